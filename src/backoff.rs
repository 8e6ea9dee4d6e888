//! Jittered exponential backoff. It has no clock and no random source of its own.

use std::time::Duration;

/// Doubles a wait from `first` up to `longest`, and spreads each over its upper half so that many who
/// failed together do not return together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Makes a backoff whose waits lie between half of `first` and `longest`.
    pub fn new((first, longest): (Duration, Duration)) -> Self {
        Backoff {
            first,
            longest,
            failures: 0,
        }
    }

    /// Returns the wait before the next try; `jitter` is a fresh random number in `0.0..1.0`.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        spread(doubled.min(self.longest), jitter)
    }

    /// Returns whether nothing has failed since the last success.
    pub fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// Returns how many waits there have been since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets all failures, so that the next wait is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Spreads a wait over its upper half; `jitter` is a fresh random number in `0.0..1.0`.
pub fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(0.5 + jitter / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_longest_and_starts_over_after_success() {
        let mut backoff = Backoff::new((Duration::from_millis(100), Duration::from_millis(350)));
        let waits: Vec<_> = (0..4).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
        backoff.reset();
        assert_eq!(backoff.next(0.0).as_millis(), 50);
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::new((Duration::from_secs(1), Duration::from_secs(60)));
        assert!((0..1000).all(|_| backoff.next(0.5) <= Duration::from_secs(60)));
    }
}
