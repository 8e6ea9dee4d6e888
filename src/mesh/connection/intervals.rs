//! The times after which a silent peer is asked for a sign of life, suspected and given up.

use std::time::Duration;

/// The times after which a silent peer is asked, suspected and given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intervals {
    /// After this long without a sign of life the peer is asked for one.
    pub(crate) ask: Duration,
    /// How much longer the side waits whose question was answered last, so that the two take turns: one
    /// question serves both.
    pub(crate) turn: Duration,
    /// After this long without a sign of life the connection is suspect, and another is tried beside it.
    pub(crate) suspect: Duration,
    /// After this long without a sign of life the agent is told that the peer can't be reached.
    pub(crate) silent: Duration,
}

/// How much earlier than needed an answer comes.
const MARGIN: Duration = Duration::from_millis(250);

/// The shortest silence after which a peer is asked.
const SOONEST: Duration = Duration::from_millis(500);

impl Intervals {
    /// The times that the contract promises.
    pub(crate) const NORMAL: Intervals = Intervals {
        ask: Duration::from_millis(1800),
        turn: Duration::from_millis(300),
        suspect: Duration::from_millis(3500),
        silent: Duration::from_millis(5000),
    };

    /// The times for a line that is paid for by the byte (`METERED`). Routers forget what was silent for
    /// 30 s.
    pub(crate) const METERED: Intervals = Intervals {
        ask: Duration::from_secs(12),
        turn: Duration::from_secs(1),
        suspect: Duration::from_secs(16),
        silent: Duration::from_secs(20),
    };

    /// Returns the times for a connection, one of whose lines may be metered.
    pub(crate) fn of(is_metered: bool) -> Self {
        if is_metered {
            Intervals::METERED
        } else {
            Intervals::NORMAL
        }
    }

    /// Returns the times for a path of this round trip: the answer to a question comes before the suspicion, and
    /// that before the silence.
    pub(crate) fn over(self, round_trip: Duration) -> Self {
        let answer = self.turn + self.turn / 2 + round_trip + MARGIN;
        let latest = self.silent - MARGIN;
        let suspect = self.suspect.max(latest.min(self.ask + answer));
        let ask = self.ask.min(suspect.saturating_sub(answer).max(SOONEST));
        Intervals {
            ask,
            suspect,
            ..self
        }
    }

    /// Returns after what time without an answer a peer is asked that is heard. When the two take turns,
    /// each is answered sooner.
    pub(crate) fn unanswered(&self) -> Duration {
        2 * (self.ask + self.turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_before_the_suspicion_and_that_before_the_silence() {
        for intervals in [Intervals::NORMAL, Intervals::METERED] {
            assert_eq!(intervals.over(Duration::from_millis(900)), intervals);
            for tenth in 0..31 {
                let round_trip = Duration::from_millis(100) * tenth;
                let long = intervals.over(round_trip);
                assert!(long.ask + round_trip < long.suspect, "{round_trip:?}");
                assert!(long.suspect < long.silent && long.silent == intervals.silent);
            }
        }
    }
}
