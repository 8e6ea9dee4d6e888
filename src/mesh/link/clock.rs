//! The clock that str0m is told. It is put forward to make SCTP retransmit at once.
//!
//! While a path is dead SCTP doubles the time to its next retransmission, up to a minute, and neither new
//! messages nor a path that works again shorten it (RFC 9260 section 6.3.3). str0m has no call for that. So
//! its clock is put forward beyond the end of that wait. All else that depends on the clock is at rest
//! then: the ICE agent checks its pairs once more, and DTLS has nothing to repeat once it is established.

use std::time::{Duration, Instant};

/// How far the clock is put forward: beyond the longest time to a retransmission of SCTP, 60 s (RFC 9260
/// section 16, `RTO.max`).
const LEAP: Duration = Duration::from_secs(62);

/// How long after a leap a round-trip time may hold it: until another has been measured.
const WRONG_FOR: Duration = Duration::from_secs(10);

/// How far str0m's clock is ahead.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead: Duration,
    /// When it was last put forward.
    leapt: Option<Instant>,
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

    /// Puts the clock forward, so that whatever SCTP waits to repeat is due.
    pub(super) fn put_forward(&mut self, now: Instant) {
        self.ahead += LEAP;
        self.leapt = Some(now);
    }

    /// Returns a round-trip time as str0m has measured it, unless the clock was put forward meanwhile.
    pub(super) fn measured(&self, now: Instant, round_trip: Duration) -> Option<Duration> {
        let has_just_leapt = self.leapt.is_some_and(|leapt| now < leapt + WRONG_FOR);
        (!has_just_leapt || round_trip < LEAP).then_some(round_trip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_ahead_of_what_is_meant() {
        let mut clock = Clock::default();
        let now = Instant::now();
        clock.put_forward(now);
        assert!(clock.told(now) > now + Duration::from_secs(60));
        assert_eq!(clock.meant(clock.told(now)), now);
    }

    #[test]
    fn a_round_trip_that_may_hold_the_leap_is_not_believed() {
        let now = Instant::now();
        let mut clock = Clock::default();
        let [long, short] = [70, 3].map(Duration::from_secs);
        assert_eq!(clock.measured(now, long), Some(long));
        clock.put_forward(now);
        assert_eq!(clock.measured(now, long), None);
        assert_eq!(clock.measured(now, short), Some(short));
        assert_eq!(clock.measured(now + WRONG_FOR, long), Some(long));
    }
}
