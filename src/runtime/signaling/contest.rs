//! Finds out that another sidecar uses our name, so that the registry lets it take our place.
//!
//! Few registries say so. But a connection that is closed soon after it has opened, again and again, means
//! that the other one takes its place back each time. Each would end the connection of the other for ever.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits;

/// The connections that the registry has lately closed soon after they had opened.
#[derive(Debug, Default)]
pub(super) struct Contest {
    closed: VecDeque<Instant>,
}

impl Contest {
    /// Notes that the registry has closed a connection that had lasted so long. Returns whether our name
    /// must be in use elsewhere.
    pub(super) fn closed(&mut self, now: Instant, lasted: Duration) -> bool {
        let (times, within, soon) = limits::NAME_CONTEST;
        if lasted > soon {
            return false;
        }
        self.closed.push_back(now);
        let is_old = |at: &mut Instant| now.saturating_duration_since(*at) > within;
        while self.closed.pop_front_if(is_old).is_some() {}
        let is_contested = self.closed.len() >= times;
        if is_contested {
            self.closed.clear();
        }
        is_contested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_contested_when_connections_are_closed_soon_and_often() {
        let (times, within, soon) = limits::NAME_CONTEST;
        let start = Instant::now();
        let mut contest = Contest::default();
        let moments = (0..times as u32).map(|n| start + Duration::from_secs(1) * n);
        let found: Vec<_> = moments.map(|now| contest.closed(now, soon)).collect();
        assert_eq!(found.iter().filter(|found| **found).count(), 1);
        assert_eq!(found.last(), Some(&true));

        // One that lasts, or is closed now and then, is the registry's business.
        for n in 0..20 {
            assert!(!contest.closed(start + within * n, soon));
            assert!(!contest.closed(start + within * n, 2 * soon));
        }
    }
}
