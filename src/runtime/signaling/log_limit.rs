//! Keeps what an outsider can provoke from flooding the log.

use std::time::{Duration, Instant};

/// Lets a few lines through in each window of time and counts the others.
#[derive(Debug)]
pub(super) struct LogLimit {
    lines: u32,
    window: Duration,
    window_start: Option<Instant>,
    in_window: u32,
    suppressed: u64,
}

impl LogLimit {
    /// At most `lines` in each `window`.
    pub(super) fn new((lines, window): (u32, Duration)) -> Self {
        LogLimit {
            lines,
            window,
            window_start: None,
            in_window: 0,
            suppressed: 0,
        }
    }

    /// Whether a line may be written now. If so: how many were suppressed since the last one.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self
            .window_start
            .is_none_or(|start| now >= start + self.window)
        {
            self.window_start = Some(now);
            self.in_window = 0;
        }
        if self.in_window >= self.lines {
            self.suppressed += 1;
            return None;
        }
        self.in_window += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_few_through_and_counts_the_rest() {
        let start = Instant::now();
        let mut limit = LogLimit::new((2, Duration::from_secs(1)));
        let first: Vec<_> = (0..5).map(|_| limit.admit(start)).collect();
        assert_eq!(first, [Some(0), Some(0), None, None, None]);
        let later = start + Duration::from_secs(1);
        let second: Vec<_> = (0..3).map(|_| limit.admit(later)).collect();
        assert_eq!(second, [Some(3), Some(0), None]);
    }
}
