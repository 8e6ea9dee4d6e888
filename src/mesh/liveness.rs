//! Whether the other side of a connection still lives, judged by what comes in of it: checks that bear
//! its password, and messages. What anybody could have sent does not count.

use std::time::{Duration, Instant};

/// After this long without a sign of life, a peer of ours is asked for a sign of life.
pub(super) const ASK_AFTER: Duration = Duration::from_millis(2000);

/// After this long without a sign of life the connection is suspect, and another is tried beside it.
pub(super) const SUSPECT_AFTER: Duration = Duration::from_millis(3500);

/// After this long without a sign of life the agent is told that the peer can't be reached.
pub(super) const SILENT_AFTER: Duration = Duration::from_millis(5000);

/// How a connection looks at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pulse {
    /// Heard of lately.
    Alive,
    /// Quiet; worth a ping.
    Quiet,
    /// No answer to the ping so far.
    Suspect,
    /// Counts as unreachable.
    Silent,
}

/// When a connection was last heard of.
#[derive(Debug, Clone)]
pub(super) struct Liveness {
    heard: Instant,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Liveness { heard: now }
    }

    /// A sign of life came in.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// What the connection was heard on is no longer there: it is suspect until it is heard again.
    pub(super) fn doubt(&mut self, now: Instant) {
        if let Some(suspect) = now.checked_sub(SUSPECT_AFTER) {
            self.heard = self.heard.min(suspect);
        }
    }

    pub(super) fn pulse(&self, now: Instant) -> Pulse {
        match now.saturating_duration_since(self.heard) {
            silence if silence < ASK_AFTER => Pulse::Alive,
            silence if silence < SUSPECT_AFTER => Pulse::Quiet,
            silence if silence < SILENT_AFTER => Pulse::Suspect,
            _ => Pulse::Silent,
        }
    }

    /// When the pulse changes next if nothing is heard; a silent connection has no next.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        [ASK_AFTER, SUSPECT_AFTER, SILENT_AFTER]
            .into_iter()
            .map(|after| self.heard + after)
            .find(|change| *change > now)
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
        let mut seen = vec![liveness.pulse(now)];
        while let Some(change) = liveness.next_change(now) {
            now = change;
            seen.push(liveness.pulse(now));
        }
        assert_eq!(
            seen,
            [Pulse::Alive, Pulse::Quiet, Pulse::Suspect, Pulse::Silent]
        );
        assert_eq!(now, start + SILENT_AFTER);
        liveness.heard(now);
        assert_eq!(liveness.pulse(now), Pulse::Alive);
    }
}
