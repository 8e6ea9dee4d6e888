//! A histogram of durations, with fixed bounds, which costs a few nanoseconds an observation.

use std::time::Duration;

/// The upper bounds of the buckets, inclusive, from a local network's times to those of an agent that takes
/// nothing for a minute.
const BOUNDS: [Duration; 17] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// Counts durations by their size.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    /// How many were in each bucket and in none below it.
    counts: [u64; BOUNDS.len()],
    /// How many were longer than the last bound.
    longer: u64,
    sum: Duration,
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn observe(&mut self, duration: Duration) {
        let place = BOUNDS.partition_point(|bound| *bound < duration);
        let count = self.counts.get_mut(place).unwrap_or(&mut self.longer);
        *count += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// Returns each bound, and how many durations were no longer than that.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS.into_iter().zip(counts)
    }

    /// Returns how many durations were counted.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.longer
    }

    /// Returns the sum of the durations that were counted.
    pub(crate) fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_each_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 100, 61_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let at = |bound: Duration| {
            let found = histogram.cumulative().find(|(each, _)| *each == bound);
            found.unwrap().1
        };
        assert_eq!(at(Duration::from_micros(100)), 1);
        assert_eq!(at(Duration::from_millis(1)), 2, "a bound is in its bucket");
        assert_eq!(at(Duration::from_micros(2500)), 3);
        assert_eq!(at(Duration::from_millis(100)), 4);
        assert_eq!(at(Duration::from_secs(60)), 4);
        assert_eq!(histogram.count(), 5);
        assert_eq!(histogram.sum(), Duration::from_millis(61_103));
    }

    #[test]
    fn bounds_grow() {
        assert!(BOUNDS.is_sorted_by(|one, other| one < other));
    }
}
