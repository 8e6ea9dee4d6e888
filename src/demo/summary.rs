//! A summary of round trip times in four numbers.

use std::fmt;
use std::time::Duration;

/// The least, the largest and two percentiles by nearest rank.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    min: Duration,
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Summary {
    /// Sorts the times and sums them up; returns `None` if there are none.
    pub(super) fn of(times: &mut [Duration]) -> Option<Summary> {
        times.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied()
        };
        Some(Summary {
            min: times.first().copied()?,
            p50: percentile(50)?,
            p99: percentile(99)?,
            max: times.last().copied()?,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "p50 {:.3} ms, p99 {:.3} ms, min {:.3} ms, max {:.3} ms",
            ms(self.p50),
            ms(self.p99),
            ms(self.min),
            ms(self.max)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut times: Vec<_> = (1..=200).rev().map(Duration::from_micros).collect();
        let summary = Summary::of(&mut times).unwrap();
        assert_eq!(
            summary.to_string(),
            "p50 0.100 ms, p99 0.198 ms, min 0.001 ms, max 0.200 ms"
        );
    }

    #[test]
    fn one_time_is_all_of_them_and_none_is_none() {
        let one = Duration::from_millis(7);
        let summary = Summary::of(&mut [one]).unwrap();
        assert_eq!((summary.min, summary.p50), (one, one));
        assert_eq!((summary.p99, summary.max), (one, one));
        assert_eq!(Summary::of(&mut []), None);
    }
}
