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

use super::intervals::Intervals;

/// The time from one question to the next while nobody answers, at least and at most; in between, a little
/// more than the round trip.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));

/// How often the path is asked whether it answers, while something waits to be acknowledged. The answers say
/// how long the round trip is, and tell a path that is slow from one that is dead or swallows large packets.
const ASK_WHILE_WAITING: Duration = Duration::from_millis(1500);

/// How long a path gives no answer, beside the round trip, while something waits to be acknowledged, until it
/// counts as dead.
pub(crate) const DEAD_AFTER: Duration = Duration::from_millis(2000);

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
    /// Quiet for a while, or not known to receive what we send; to be asked.
    Quiet,
    /// Acknowledges nothing although it has to; worth a look at other paths. Often a packet was lost.
    Overdue,
    /// Quiet for longer; has answered nothing so far.
    Suspect,
    /// Quiet for so long that the peer counts as unreachable.
    Silent,
}

/// When a connection was last heard of, and when something that we had sent was last known to have
/// arrived.
#[derive(Debug, Clone)]
pub(crate) struct Liveness {
    /// The times that both sides keep.
    kept: Intervals,
    /// The same over the round trip as measured last.
    intervals: Intervals,
    /// Whether the peer asks first where both might.
    yields: bool,
    /// When the peer was last asked for a sign of life.
    asked: Option<Instant>,
    /// Whether the last sign of life was an answer to us. Then it is the peer's turn to ask.
    has_asked_last: bool,
    /// When the path in use last answered a check.
    checked: Instant,
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
    /// Whether none has come by the path since it is in use.
    awaits_record: bool,
    /// How often the transport was made to retransmit since it last acknowledged something.
    retransmissions: u32,
    /// Since when the path, which was dead before, works again or is another. The transport may have got one packet
    /// through since, and yet wait long with those before it. `None` once it has retransmitted, or goes on without.
    revived: Option<Instant>,
    /// Whether the peer was heard from elsewhere since it last answered where we send to.
    may_have_left: bool,
    /// As measured last; a guess until then.
    round_trip: Duration,
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Liveness {
            kept: Intervals::NORMAL,
            intervals: Intervals::NORMAL.over(Duration::ZERO),
            yields: false,
            asked: None,
            has_asked_last: false,
            checked: now,
            heard: now,
            was_heard: false,
            answered: None,
            unacknowledged: None,
            seen: now,
            awaits_record: false,
            retransmissions: 0,
            revived: None,
            may_have_left: false,
            round_trip: Duration::ZERO,
        }
    }

    /// Sets the times that both sides keep, and which side asks first where both might.
    pub(crate) fn keep(&mut self, intervals: Intervals, yields: bool) {
        self.kept = intervals;
        self.yields = yields;
        self.intervals = intervals.over(self.round_trip);
    }

    /// Demands from now on that what we send is known to arrive, too.
    pub(crate) fn expect_answers(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// Notes that a sign of life came in.
    pub(crate) fn heard(&mut self, now: Instant) {
        if self.answered.is_none() && now > self.heard + self.intervals.suspect {
            self.retransmissions = 0;
            self.lost_datagrams(now);
        }
        self.heard = self.heard.max(now);
        self.was_heard = true;
        self.has_asked_last = false;
    }

    /// Counts silence from now on, because only now the peer has a reason to be heard.
    pub(crate) fn counts_from(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// Notes that the peer was asked for a sign of life.
    pub(crate) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// Returns when the peer is to be asked next, unless something comes in.
    fn next_question(&self) -> Instant {
        let Intervals { ask, turn, .. } = self.intervals;
        let mut wait = ask;
        if self.has_asked_last {
            wait += turn;
        }
        if self.yields {
            wait += turn / 2;
        }
        let mut at = self.heard + wait;
        if let Some(answered) = self.answered {
            at = at.min(answered + self.intervals.unanswered() + 2 * self.round_trip);
        }
        if self.unacknowledged.is_some() {
            at = at.min(self.checked + ASK_WHILE_WAITING);
        }
        let (least, most) = ASK_AGAIN;
        let again = (self.round_trip + self.round_trip / 4).clamp(least, most);
        self.asked.map_or(at, |asked| at.max(asked + again))
    }

    /// Notes that the path in use has answered a check, so what we send arrives.
    pub(crate) fn checked(&mut self, now: Instant) {
        self.answered(now);
        self.checked = self.checked.max(now);
        self.has_asked_last = true;
    }

    /// Returns whether no sign of life ever came in.
    pub(crate) fn was_never_heard(&self) -> bool {
        !self.was_heard
    }

    /// Notes that a record came by the path in use. Returns whether it is the first since that path is used.
    pub(crate) fn seen(&mut self, now: Instant) -> bool {
        self.seen = now;
        std::mem::take(&mut self.awaits_record)
    }

    /// Notes that the path in use is another.
    pub(crate) fn path_changed(&mut self) {
        self.awaits_record = true;
    }

    /// Notes that what we send arrives by the path in use. Also called for a new path, which so gets its
    /// time to prove itself.
    pub(crate) fn answered(&mut self, now: Instant) {
        // Retransmitting could not help while the path was dead. While nothing waits, it is asked rarely.
        let was_dead = self
            .answered
            .zip(self.unacknowledged)
            .is_some_and(|(answered, since)| {
                now > answered.max(since) + DEAD_AFTER + 2 * self.round_trip
            });
        if was_dead {
            self.retransmissions = 0;
            self.lost_datagrams(now);
        }
        self.answered = self.answered.map(|answered| answered.max(now));
    }

    /// Notes the round-trip time of the path in use.
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
        self.intervals = self.kept.over(round_trip);
    }

    /// Notes whether the peer's transport has something to acknowledge.
    pub(crate) fn awaits_acknowledgement(&mut self, now: Instant, has_to: bool) {
        self.unacknowledged = has_to.then(|| self.unacknowledged.unwrap_or(now));
    }

    /// Returns when the last record came by the path in use, whoever sent it.
    pub(crate) fn last_seen(&self) -> Instant {
        self.seen
    }

    /// Returns since when the peer's transport has had something to acknowledge and acknowledged nothing.
    pub(crate) fn unacknowledged_since(&self) -> Option<Instant> {
        self.unacknowledged
    }

    /// Notes that the peer's transport has acknowledged something, which only the peer can do.
    pub(crate) fn acknowledged(&mut self, now: Instant) {
        self.heard(now);
        self.answered(now);
        self.unacknowledged = None;
        self.retransmissions = 0;
        let first_patience = self.patience(0);
        self.revived
            .take_if(|revived| now >= *revived + first_patience);
    }

    /// Returns whether the transport is to retransmit now that the path is known to work: it is stuck, waiting
    /// longer for its next retransmission than for the first. Each time it is given twice as long.
    pub(crate) fn is_stuck(&self, now: Instant) -> bool {
        self.unacknowledged.is_some_and(|since| {
            let may_be_lost = self.revived.is_some() || self.may_have_left;
            may_be_lost || now >= since + self.patience(self.retransmissions)
        })
    }

    /// Notes that what was sent lately may have gone where the peer no longer is.
    pub(crate) fn lost_datagrams(&mut self, now: Instant) {
        self.revived = Some(now);
    }

    /// Notes that the peer is heard from where we do not send to. It may have left where we do. If something was
    /// sent again a moment ago, it went there as well.
    pub(crate) fn peer_is_elsewhere(&mut self, now: Instant) {
        self.may_have_left = true;
        if self.retransmissions > 0 {
            self.lost_datagrams(now);
        }
    }

    /// Notes that the peer answers where we send to.
    pub(crate) fn reaches_peer(&mut self) {
        self.may_have_left = false;
    }

    /// Notes that the transport was made to retransmit.
    pub(crate) fn retransmitted(&mut self) {
        self.retransmissions = self.retransmissions.saturating_add(1);
        self.revived = None;
        self.may_have_left = false;
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
        if let Some(suspect) = now.checked_sub(self.intervals.suspect) {
            self.heard = self.heard.min(suspect);
            let waited = self.intervals.unanswered() - self.intervals.ask + 2 * self.round_trip;
            let suspect = suspect.checked_sub(waited).unwrap_or(suspect);
            self.answered = self.answered.map(|answered| answered.min(suspect));
        }
        self.lost_datagrams(now);
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
        let Intervals {
            ask,
            suspect,
            silent,
            ..
        } = self.intervals;
        let of_silence = [
            (self.next_question(), Health::Quiet),
            (heard + suspect, Health::Suspect),
            (heard + silent, Health::Silent),
        ];
        // An answer is one round trip younger than what it answers.
        let of_answers = self.answered.map(|answered| {
            let asked = answered + self.intervals.unanswered() + 2 * self.round_trip;
            (asked + suspect - ask, Health::Suspect)
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
            .chain(of_answers)
            .chain(of_acknowledgements.into_iter().flatten())
    }
}

#[cfg(test)]
#[path = "liveness_tests.rs"]
mod tests;
