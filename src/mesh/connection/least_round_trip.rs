//! The least round-trip time of late. A round trip that is measured while our own data fills the line tells
//! how long our queue is; the least one tells how long the path is.

use std::time::{Duration, Instant};

/// For how long a measurement counts, at least; it is forgotten after twice that.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// The same in round trips, where that is longer.
const COUNTS_FOR_ROUND_TRIPS: u32 = 40;

/// The measurements of the present and of the former period.
#[derive(Debug, Default)]
pub(crate) struct LeastRoundTrip {
    began: Option<Instant>,
    present: Option<Duration>,
    former: Option<Duration>,
}

impl LeastRoundTrip {
    /// Takes a measurement. It may be too long, never too short.
    pub(crate) fn measured(&mut self, now: Instant, round_trip: Duration) {
        let ends = self.began.map(|began| began + self.period());
        if ends.is_none_or(|ends| now >= ends) {
            self.began = Some(now);
            self.former = self.present.take();
        }
        let present = self.present.unwrap_or(round_trip);
        self.present = Some(present.min(round_trip));
    }

    /// Returns the least round-trip time of late; `None` before the first measurement.
    pub(crate) fn least(&self) -> Option<Duration> {
        [self.present, self.former].into_iter().flatten().min()
    }

    /// Returns how long a period is. One measurement in each must be made while the line is empty.
    pub(crate) fn period(&self) -> Duration {
        COUNTS_FOR.max(COUNTS_FOR_ROUND_TRIPS * self.least().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_round_trip_counts_once_the_shorter_one_is_forgotten() {
        let start = Instant::now();
        let [short, long] = [20, 900].map(Duration::from_millis);
        let mut least = LeastRoundTrip::default();
        assert_eq!(least.least(), None);
        least.measured(start, long);
        least.measured(start, short);
        let period = least.period();
        for (time, expected) in [
            (Duration::from_secs(3), short),
            (period, short),
            (2 * period, long),
        ] {
            least.measured(start + time, long);
            assert_eq!(least.least(), Some(expected), "{time:?}");
        }
        least.measured(start + 2 * period, short);
        assert_eq!(least.least(), Some(short));
    }
}
