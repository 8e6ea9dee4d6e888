//! A token bucket: lets a burst through, and then one per interval.

use std::time::{Duration, Instant};

/// How much of a burst is left, and how it comes back.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    burst: u32,
    interval: Duration,
    left: u32,
    since: Instant,
}

impl TokenBucket {
    /// Creates a full bucket: it lets `burst` through at once, and one more after each `interval`.
    pub(crate) fn new((burst, interval): (u32, Duration), now: Instant) -> Self {
        TokenBucket {
            burst,
            interval,
            left: burst,
            since: now,
        }
    }

    /// Takes a token; returns whether there was one, so that one more is within the limit.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let gained =
            now.saturating_duration_since(self.since).as_nanos() / self.interval.as_nanos().max(1);
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        if gained <= self.burst - self.left {
            self.left += gained;
            self.since += self.interval * gained;
        } else {
            self.left = self.burst;
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }

    /// Returns when the next token comes, after one was refused.
    pub(crate) fn next(&self) -> Instant {
        self.since + self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_each_interval() {
        let start = Instant::now();
        let interval = Duration::from_millis(10);
        let mut allowance = TokenBucket::new((3, interval), start);
        let passed =
            |allowance: &mut TokenBucket, now| (0..9).filter(|_| allowance.take(now)).count();
        assert_eq!(passed(&mut allowance, start), 3);
        assert_eq!(passed(&mut allowance, start + interval / 2), 0);
        assert_eq!(passed(&mut allowance, start + interval), 1);
        assert_eq!(passed(&mut allowance, start + 100 * interval), 3);
    }

    #[test]
    fn what_is_asked_for_between_two_intervals_costs_no_time() {
        let start = Instant::now();
        let interval = Duration::from_millis(10);
        let mut allowance = TokenBucket::new((1, interval), start);
        assert!(allowance.take(start));
        let passed = (1..=200).filter(|step| allowance.take(start + *step * interval * 9 / 10));
        assert_eq!(passed.count(), 180);
        assert_eq!(allowance.next(), start + 181 * interval);
    }
}
