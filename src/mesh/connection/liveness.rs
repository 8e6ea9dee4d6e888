//! Liveness of a connection: judges whether the peer is still there, and whether it receives what we
//! send.
//!
//! Only what the peer alone can have sent counts as a sign of life: checks that bear its password, and
//! messages. Between two of ours, what we send must also be known to arrive: a peer may be heard on one
//! path while the path that we use is dead.

use std::time::{Duration, Instant};

/// After this long without a sign of life or an answer, a peer of ours is sent a ping.
pub(crate) const ASK_AFTER: Duration = Duration::from_millis(2000);

/// After this long without a sign of life or an answer the connection is suspect, and another is tried
/// beside it.
pub(crate) const SUSPECT_AFTER: Duration = Duration::from_millis(3500);

/// After this long without a sign of life the agent is told that the peer can't be reached.
pub(crate) const SILENT_AFTER: Duration = Duration::from_millis(5000);

/// The health of a connection at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Heard of lately, and answered if answers are expected.
    Alive,
    /// Quiet for a while; worth a ping.
    Quiet,
    /// Quiet for longer; the ping was not answered so far.
    Suspect,
    /// Quiet for so long that the peer counts as unreachable.
    Silent,
}

/// When a connection was last heard of, and when something that we had sent was last known to have
/// arrived.
#[derive(Debug, Clone)]
pub(crate) struct Liveness {
    heard: Instant,
    /// When we last knew that what we send arrives. `None` where that is not demanded: some peers of
    /// another make check paths on which they do not answer.
    answered: Option<Instant>,
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Liveness {
            heard: now,
            answered: None,
        }
    }

    /// Demands from now on that what we send is known to arrive, too.
    pub(crate) fn expect_answers(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// Notes that a sign of life came in.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// Notes that what we send arrives by the path in use. Also called for a new path, which so gets its
    /// time to prove itself.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.answered = self.answered.map(|answered| answered.max(now));
    }

    /// Makes the connection suspect until it is heard and answered again. To be called when the path in
    /// use is gone.
    pub(crate) fn doubt(&mut self, now: Instant) {
        if let Some(suspect) = now.checked_sub(SUSPECT_AFTER) {
            self.heard = self.heard.min(suspect);
            self.answered = self.answered.map(|answered| answered.min(suspect));
        }
    }

    /// Returns the health at `now`. Missing answers alone make it suspect at most: a peer that is heard
    /// is never silent, however long it has not answered.
    pub(crate) fn health(&self, now: Instant) -> Health {
        let by_answers = self
            .answered
            .map_or(Health::Alive, |at| health_since(at, now));
        health_since(self.heard, now).max(by_answers.min(Health::Suspect))
    }

    /// Returns when the health changes next if nothing comes in; `None` for a silent connection.
    pub(crate) fn next_change(&self, now: Instant) -> Option<Instant> {
        let of_silence =
            [ASK_AFTER, SUSPECT_AFTER, SILENT_AFTER].map(|after| Some(self.heard + after));
        let of_answers = [ASK_AFTER, SUSPECT_AFTER].map(|after| Some(self.answered? + after));
        of_silence
            .into_iter()
            .chain(of_answers)
            .flatten()
            .filter(|change| *change > now)
            .min()
    }
}

fn health_since(last: Instant, now: Instant) -> Health {
    match now.saturating_duration_since(last) {
        silence if silence < ASK_AFTER => Health::Alive,
        silence if silence < SUSPECT_AFTER => Health::Quiet,
        silence if silence < SILENT_AFTER => Health::Suspect,
        _ => Health::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_goes_from_quiet_to_suspect_to_silent_and_one_sign_of_life_ends_it() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        let mut now = start;
        let mut seen = vec![liveness.health(now)];
        while let Some(change) = liveness.next_change(now) {
            now = change;
            seen.push(liveness.health(now));
        }
        assert_eq!(
            seen,
            [
                Health::Alive,
                Health::Quiet,
                Health::Suspect,
                Health::Silent
            ]
        );
        assert_eq!(now, start + SILENT_AFTER);
        liveness.heard(now);
        assert_eq!(liveness.health(now), Health::Alive);
    }

    #[test]
    fn a_peer_that_is_heard_but_does_not_answer_is_suspect_and_no_more() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.expect_answers(start);
        let mut indifferent = Liveness::new(start);
        let later = start + 2 * SILENT_AFTER;
        liveness.heard(later);
        indifferent.heard(later);
        assert_eq!(liveness.health(later), Health::Suspect);
        assert_eq!(indifferent.health(later), Health::Alive);
        liveness.answered(later);
        assert_eq!(liveness.health(later), Health::Alive);
        assert_eq!(liveness.next_change(later), Some(later + ASK_AFTER));
    }
}
