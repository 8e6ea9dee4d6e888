//! The clock that str0m is told. It is put forward to make SCTP retransmit at once.
//!
//! While a path is dead SCTP doubles the time to its next retransmission, up to a minute, and neither new
//! messages nor a path that works again shorten it (RFC 9260 section 6.3.3). str0m has no call for that. So
//! its clock is put forward beyond the end of that wait. All else that depends on the clock is at rest
//! then: the ICE agent checks its pairs once more, and DTLS has nothing to repeat once it is established.

use std::time::{Duration, Instant};

/// The longest time to a retransmission of SCTP (RFC 9260 section 16, `RTO.max`).
const LONGEST_RETRANSMISSION: Duration = Duration::from_secs(60);

/// The time to the first retransmission (RFC 9260 section 16, `RTO.min`), with a margin.
const FIRST_RETRANSMISSION: Duration = Duration::from_secs(2);

/// How far str0m's clock is ahead.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead: Duration,
}

impl Clock {
    /// Returns the time to tell str0m.
    pub(super) fn told(&self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// Returns the time that str0m means by `told`. That may have passed long ago.
    pub(super) fn meant(&self, told: Instant) -> Instant {
        told.checked_sub(self.ahead).unwrap_or(told)
    }

    /// Puts the clock forward, so that what SCTP has repeated in vain for a time of `silence` is due. Its
    /// waits double, so the present one is at most about as long as all before it together.
    pub(super) fn put_forward(&mut self, silence: Duration) {
        let wait = (2 * silence).min(LONGEST_RETRANSMISSION);
        self.ahead += wait + FIRST_RETRANSMISSION;
    }

    /// Returns a round-trip time as str0m has measured it, unless the clock was put forward meanwhile.
    pub(super) fn measured(&self, round_trip: Duration) -> Option<Duration> {
        let may_be_wrong = !self.ahead.is_zero() && round_trip >= FIRST_RETRANSMISSION;
        (!may_be_wrong).then_some(round_trip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_outage_the_clock_is_ahead_by_more_than_the_next_wait() {
        for silence in [1, 5, 30, 3600].map(Duration::from_secs) {
            let mut clock = Clock::default();
            clock.put_forward(silence);
            let now = Instant::now();
            let wait = silence.min(LONGEST_RETRANSMISSION);
            assert!(clock.told(now) > now + wait);
            assert_eq!(clock.meant(clock.told(now)), now);
        }
    }

    #[test]
    fn a_round_trip_that_may_hold_the_leap_is_not_believed() {
        let mut clock = Clock::default();
        assert_eq!(
            clock.measured(Duration::from_secs(3)),
            Some(Duration::from_secs(3))
        );
        clock.put_forward(Duration::from_secs(5));
        assert_eq!(clock.measured(Duration::from_secs(7)), None);
        let short = Duration::from_millis(300);
        assert_eq!(clock.measured(short), Some(short));
    }
}
