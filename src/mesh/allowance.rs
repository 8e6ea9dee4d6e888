//! A token bucket: lets a burst through and then a few a second.

use std::time::{Duration, Instant};

/// What is left of a burst, and how it comes back.
#[derive(Debug)]
pub(super) struct Allowance {
    burst: u32,
    interval: Duration,
    left: u32,
    since: Instant,
}

impl Allowance {
    /// `burst` at once, and one more after each `interval`.
    pub(super) fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Allowance {
            burst,
            interval,
            left: burst,
            since: now,
        }
    }

    /// Whether one more is within the limit.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let gained =
            now.saturating_duration_since(self.since).as_nanos() / self.interval.as_nanos().max(1);
        if gained > 0 {
            let gained = u32::try_from(gained).unwrap_or(self.burst);
            self.left = self.left.saturating_add(gained).min(self.burst);
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_each_interval() {
        let start = Instant::now();
        let interval = Duration::from_millis(10);
        let mut allowance = Allowance::new(3, interval, start);
        let passed =
            |allowance: &mut Allowance, now| (0..9).filter(|_| allowance.take(now)).count();
        assert_eq!(passed(&mut allowance, start), 3);
        assert_eq!(passed(&mut allowance, start + interval / 2), 0);
        assert_eq!(passed(&mut allowance, start + interval), 1);
        assert_eq!(passed(&mut allowance, start + 100 * interval), 3);
    }
}
