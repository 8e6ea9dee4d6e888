//! Liveness of a connection: judges whether the peer is still there, and whether it receives what we
//! send.
//!
//! Only what the peer alone can have sent counts as a sign of life: checks that bear its password,
//! messages, and acknowledgements of its transport. Between two of ours, what we send must also be known
//! to arrive: a peer may be heard on one path while the path that we use is dead.
//!
//! An idle connection is silent for seconds. But what is sent to a peer of ours is acknowledged within a
//! round trip and the 200 ms of a delayed acknowledgement (RFC 9260 section 6.2). So while something waits
//! for that, a dead path shows at once.

use std::time::{Duration, Instant};

/// After this long without a sign of life or an answer, a peer of ours is sent a ping.
pub(crate) const ASK_AFTER: Duration = Duration::from_millis(2000);

/// After this long without a sign of life or an answer the connection is suspect, and another is tried
/// beside it.
pub(crate) const SUSPECT_AFTER: Duration = Duration::from_millis(3500);

/// After this long without a sign of life the agent is told that the peer can't be reached.
pub(crate) const SILENT_AFTER: Duration = Duration::from_millis(5000);

/// How long a peer of ours may take to acknowledge something, beside the round trip; then other paths are
/// looked for. Checks may go on meanwhile: the peer may send its data by another path than its checks.
const OVERDUE_AFTER: Duration = Duration::from_millis(450);

/// After this long, beside the round trip, a peer of ours that has to acknowledge something and is not heard
/// at all is suspect.
const OVERDUE_SUSPECT_AFTER: Duration = Duration::from_millis(1600);

/// After this long the transport has doubled the wait for its next retransmission.
const STUCK_AFTER: Duration = Duration::from_millis(1000);

/// How often the transport is made to retransmit until it counts as dead.
const RETRANSMISSIONS: u32 = 1;

/// The health of a connection at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Heard of lately, and answered if answers are expected.
    Alive,
    /// Quiet for a while; worth a ping.
    Quiet,
    /// Acknowledges nothing although it has to; worth a look at other paths. Often a packet was lost.
    Overdue,
    /// Quiet for longer; the ping was not answered so far.
    Suspect,
    /// Quiet for so long that the peer counts as unreachable.
    Silent,
}

/// When a connection was last heard of, and when something that we had sent was last known to have
/// arrived.
#[derive(Debug, Clone)]
pub(crate) struct Liveness {
    /// When a sign of life last came in; before the first one, when the connection was begun.
    heard: Instant,
    was_heard: bool,
    /// When we last knew that what we send arrives. `None` where that is not demanded: some peers of
    /// another make check paths on which they do not answer.
    answered: Option<Instant>,
    /// Since when the peer's transport has had something to acknowledge and acknowledged nothing.
    unacknowledged: Option<Instant>,
    /// When the last record came by the path in use, whoever sent it. Can only delay a look at other
    /// paths and the suspicion.
    seen: Instant,
    /// How often the transport was made to retransmit since it last acknowledged something.
    retransmissions: u32,
    /// Whether the path was dead until a moment ago, or is another now. The transport may have got one packet
    /// through since, and yet wait long with those before it.
    is_revived: bool,
    /// As measured last; a guess until then.
    round_trip: Duration,
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Liveness {
            heard: now,
            was_heard: false,
            answered: None,
            unacknowledged: None,
            seen: now,
            retransmissions: 0,
            is_revived: false,
            round_trip: Duration::ZERO,
        }
    }

    /// Demands from now on that what we send is known to arrive, too.
    pub(crate) fn expect_answers(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// Notes that a sign of life came in.
    pub(crate) fn heard(&mut self, now: Instant) {
        if self.answered.is_none() && now > self.heard + SUSPECT_AFTER {
            self.retransmissions = 0;
            self.is_revived = true;
        }
        self.heard = self.heard.max(now);
        self.was_heard = true;
    }

    /// Returns whether no sign of life ever came in.
    pub(crate) fn was_never_heard(&self) -> bool {
        !self.was_heard
    }

    /// Notes that a record came by the path in use.
    pub(crate) fn seen(&mut self, now: Instant) {
        self.seen = now;
    }

    /// Notes that what we send arrives by the path in use. Also called for a new path, which so gets its
    /// time to prove itself.
    pub(crate) fn answered(&mut self, now: Instant) {
        // Retransmitting could not help while the path was dead.
        let was_dead = self
            .answered
            .is_some_and(|answered| now > answered + ASK_AFTER + 2 * self.round_trip);
        if was_dead {
            self.retransmissions = 0;
            self.is_revived = true;
        }
        self.answered = self.answered.map(|answered| answered.max(now));
    }

    /// Notes the round-trip time of the path in use.
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Notes whether the peer's transport has something to acknowledge.
    pub(crate) fn awaits_acknowledgement(&mut self, now: Instant, has_to: bool) {
        self.unacknowledged = has_to.then(|| self.unacknowledged.unwrap_or(now));
    }

    /// Notes that the peer's transport has acknowledged something, which only the peer can do.
    pub(crate) fn acknowledged(&mut self, now: Instant) {
        self.heard(now);
        self.answered(now);
        self.unacknowledged = None;
        self.retransmissions = 0;
    }

    /// Returns whether the transport is to retransmit now that the path is known to work: it is stuck, waiting
    /// longer for its next retransmission than for the first. Each time it is given twice as long.
    pub(crate) fn is_stuck(&self, now: Instant) -> bool {
        self.unacknowledged.is_some_and(|since| {
            self.is_revived || now >= since + self.patience(self.retransmissions)
        })
    }

    /// Notes that what was sent lately may have gone where the peer no longer is.
    pub(crate) fn lost_datagrams(&mut self) {
        self.is_revived = true;
    }

    /// Notes that the transport was made to retransmit.
    pub(crate) fn retransmitted(&mut self) {
        self.retransmissions = self.retransmissions.saturating_add(1);
        self.is_revived = false;
    }

    /// Returns how often the transport was made to retransmit since it last acknowledged something.
    pub(crate) fn retransmissions(&self) -> u32 {
        self.retransmissions
    }

    /// Returns how long the transport may acknowledge nothing until it is made to retransmit once more.
    fn patience(&self, retransmissions: u32) -> Duration {
        // 1, 3, 7, 15 times the first wait, as it would retransmit by itself.
        let waits = (2u32 << retransmissions.min(16)) - 1;
        (STUCK_AFTER + 2 * self.round_trip) * waits
    }

    /// Makes the connection suspect until it is heard and answered again. To be called when the path in
    /// use is gone.
    pub(crate) fn doubt(&mut self, now: Instant) {
        if let Some(suspect) = now.checked_sub(SUSPECT_AFTER) {
            self.heard = self.heard.min(suspect);
            let suspect = suspect.checked_sub(2 * self.round_trip).unwrap_or(suspect);
            self.answered = self.answered.map(|answered| answered.min(suspect));
        }
    }

    /// Returns the health at `now`. Missing answers alone make it suspect at most: a peer that is heard
    /// is never silent, however long it has not answered.
    pub(crate) fn health(&self, now: Instant) -> Health {
        let latest = self.changes().filter(|(at, _)| *at <= now);
        latest
            .map(|(_, health)| health)
            .max()
            .unwrap_or(Health::Alive)
    }

    /// Returns when the health changes next if nothing comes in; `None` for a silent connection.
    pub(crate) fn next_change(&self, now: Instant) -> Option<Instant> {
        self.changes()
            .map(|(at, _)| at)
            .filter(|at| *at > now)
            .min()
    }

    /// Returns from when on each health is reached, unless something comes in.
    fn changes(&self) -> impl Iterator<Item = (Instant, Health)> {
        let heard = self.heard;
        let of_silence = [
            (heard + ASK_AFTER, Health::Quiet),
            (heard + SUSPECT_AFTER, Health::Suspect),
            (heard + SILENT_AFTER, Health::Silent),
        ];
        // An answer is one round trip younger than what it answers, and is asked for now and then.
        let of_answers = self.answered.map(|answered| {
            let answered = answered + 2 * self.round_trip;
            [
                (answered + ASK_AFTER, Health::Quiet),
                (answered + SUSPECT_AFTER, Health::Suspect),
            ]
        });
        let of_acknowledgements = self.unacknowledged.filter(|_| self.answered.is_some());
        let of_acknowledgements = of_acknowledgements.map(|since| {
            let dead = since + self.patience(RETRANSMISSIONS);
            let since = since.max(self.seen) + 2 * self.round_trip;
            [
                (since + OVERDUE_AFTER, Health::Overdue),
                (since.max(heard) + OVERDUE_SUSPECT_AFTER, Health::Suspect),
                // The path works, and yet nothing is carried. Another connection may do it.
                (dead, Health::Suspect),
            ]
        });
        of_silence
            .into_iter()
            .chain(of_answers.into_iter().flatten())
            .chain(of_acknowledgements.into_iter().flatten())
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

    #[test]
    fn a_peer_that_acknowledges_nothing_is_overdue_long_before_an_idle_one_would_be_quiet() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.expect_answers(start);
        liveness.measured(Duration::from_millis(20));
        liveness.awaits_acknowledgement(start, true);
        let overdue = liveness.next_change(start).unwrap();
        assert!(overdue < start + Duration::from_millis(500));
        assert_eq!(liveness.health(overdue), Health::Overdue);
        let suspect = liveness.next_change(overdue).unwrap();
        assert!(suspect < start + ASK_AFTER);
        assert_eq!(liveness.health(suspect), Health::Suspect);
        liveness.acknowledged(suspect);
        assert_eq!(liveness.health(suspect), Health::Alive);
        assert_eq!(liveness.next_change(suspect), Some(suspect + ASK_AFTER));
    }

    #[test]
    fn a_long_round_trip_gives_answers_their_time_but_not_silence() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.expect_answers(start);
        liveness.measured(Duration::from_secs(3));
        liveness.awaits_acknowledgement(start, true);
        let later = start + Duration::from_secs(6);
        assert_eq!(liveness.health(later), Health::Silent);
        liveness.heard(later);
        liveness.answered(later);
        assert_eq!(liveness.health(later), Health::Alive);
        assert!(!liveness.is_stuck(later));
        assert!(liveness.is_stuck(later + Duration::from_secs(1)));
    }

    #[test]
    fn a_transport_that_acknowledges_nothing_on_a_path_that_works_is_dead_after_some_tries() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.expect_answers(start);
        liveness.awaits_acknowledgement(start, true);
        let mut tries = Vec::new();
        for tenth in 1..100u32 {
            let now = start + Duration::from_millis(100) * tenth;
            liveness.heard(now);
            liveness.answered(now);
            if liveness.health(now) >= Health::Suspect {
                break;
            }
            if liveness.is_stuck(now) {
                liveness.retransmitted();
                tries.push(tenth / 10);
            }
        }
        assert_eq!(tries, [1]);
        let dead = start + Duration::from_secs(7);
        assert_eq!(liveness.health(dead), Health::Suspect);
        liveness.acknowledged(dead);
        assert_eq!(liveness.health(dead), Health::Alive);
    }
}
