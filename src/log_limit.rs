//! Rate limit for log lines of the same kind, so that no outsider can fill a disk.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::limits;

/// Lets a number of lines a second through for each key, and counts the others.
///
/// It has no clock. It holds at most [`limits::LOG_KEYS`] keys; further ones share one count.
#[derive(Debug)]
pub struct RateLimited<K> {
    per_second: u32,
    windows: HashMap<K, Window>,
    shared: Window,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl<K: Eq + Hash> RateLimited<K> {
    /// Makes a limit of `per_second` lines a second for each key.
    pub fn new(per_second: u32) -> Self {
        RateLimited {
            per_second,
            windows: HashMap::new(),
            shared: Window::default(),
        }
    }

    /// Returns `Some` if a line of this key may be written now, with the number of lines of its kind that
    /// were suppressed since the last one written, to be told with it.
    pub fn pass(&mut self, key: K, now: Instant) -> Option<u64> {
        if self.windows.len() >= limits::LOG_KEYS && !self.windows.contains_key(&key) {
            let shared = &mut self.shared;
            self.windows.retain(|_, window| {
                let over = window.is_over(now);
                if over {
                    shared.suppressed += window.suppressed;
                }
                !over
            });
        }
        if self.windows.len() < limits::LOG_KEYS || self.windows.contains_key(&key) {
            let window = self.windows.entry(key).or_default();
            window.pass(self.per_second, now)
        } else {
            self.shared.pass(self.per_second, now)
        }
    }
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        self.began
            .is_none_or(|began| now.saturating_duration_since(began) >= Duration::from_secs(1))
    }

    fn pass(&mut self, per_second: u32, now: Instant) -> Option<u64> {
        if self.is_over(now) {
            self.began = Some(now);
            self.passed = 0;
        }
        if self.passed < per_second {
            self.passed += 1;
            Some(std::mem::take(&mut self.suppressed))
        } else {
            self.suppressed += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second_pass_and_the_next_tells_of_the_others() {
        let mut limit = RateLimited::new(2);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let passed: Vec<_> = [0, 1, 2, 999, 1000, 1001]
            .map(|ms| limit.pass("key", at(ms)))
            .to_vec();
        assert_eq!(passed, [Some(0), Some(0), None, None, Some(2), Some(0)]);
    }

    #[test]
    fn keys_do_not_disturb_each_other() {
        let mut limit = RateLimited::new(1);
        let now = Instant::now();
        assert_eq!(limit.pass("a", now), Some(0));
        assert_eq!(limit.pass("a", now), None);
        assert_eq!(limit.pass("b", now), Some(0));
    }

    #[test]
    fn keys_beyond_the_limit_share_one_count() {
        let mut limit = RateLimited::new(1);
        let now = Instant::now();
        let passed = (0..10 * limits::LOG_KEYS)
            .filter(|key| limit.pass(*key, now).is_some())
            .count();
        assert_eq!(passed, limits::LOG_KEYS + 1);
        assert_eq!(limit.windows.len(), limits::LOG_KEYS);
    }

    #[test]
    fn keys_that_are_quiet_make_room() {
        let mut limit = RateLimited::new(1);
        let now = Instant::now();
        for key in 0..limits::LOG_KEYS {
            limit.pass(key, now);
        }
        limit.pass(limits::LOG_KEYS, now + Duration::from_secs(1));
        assert_eq!(limit.windows.len(), 1);
    }
}
