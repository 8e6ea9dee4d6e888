//! Finds out that another sidecar uses our name, so that the registry lets it take our place.
//!
//! Each of the two would end the connection of the other for ever. Our registry says why it closes a
//! connection. With others, connections that are closed soon after they have opened, again and again, mean
//! that the other one takes its place back each time. A registry that is started anew can't be reached in
//! between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::failure::Kind;
use crate::limits;

/// Another sidecar that uses our name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rival {
    /// The registry has told of it for the first time of late: it may be `doctor`, which goes again.
    Passing,
    /// The registry has told of it again.
    Staying,
    /// The registry closes connections as if there were one.
    Guessed,
}

/// The connections that we have lately lost in a way that others cause.
#[derive(Debug, Default)]
pub(super) struct Contest {
    closed: VecDeque<Instant>,
    displaced: Option<Instant>,
}

impl Contest {
    /// Notes a failure. Returns the sidecar that uses our name, if the failure means that there is one.
    /// `served_for`: how long the registry had served us on the connection, if it did.
    pub(super) fn rival(
        &mut self,
        kind: Kind,
        now: Instant,
        served_for: Option<Duration>,
    ) -> Option<Rival> {
        match kind {
            Kind::NameTaken => Some(match self.displaced(now) {
                true => Rival::Staying,
                false => Rival::Passing,
            }),
            Kind::Closed => {
                let is_contested = self.closed(now, served_for?);
                is_contested.then_some(Rival::Guessed)
            }
            Kind::Unreachable | Kind::Refused => {
                self.closed.clear();
                None
            }
            Kind::PathLost | Kind::Silent | Kind::Busy(_) => None,
        }
    }

    /// Notes that the registry has closed a connection that had lasted so long. Returns whether our name
    /// must be in use elsewhere.
    fn closed(&mut self, now: Instant, lasted: Duration) -> bool {
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

    /// Notes that the registry has said that another sidecar has taken our place. Returns whether that is not
    /// the first time of late.
    fn displaced(&mut self, now: Instant) -> bool {
        let (_, within, _) = limits::NAME_CONTEST;
        let before = self.displaced.replace(now);
        before.is_some_and(|before| now.saturating_duration_since(before) <= within)
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

    #[test]
    fn a_registry_that_is_started_anew_again_and_again_is_no_contest() {
        let now = Instant::now();
        let mut contest = Contest::default();
        for _ in 0..20 {
            assert!(!contest.closed(now, Duration::ZERO));
            assert_eq!(contest.rival(Kind::Unreachable, now, None), None);
        }
    }

    #[test]
    fn a_place_that_is_taken_twice_within_a_minute_is_contested() {
        let start = Instant::now();
        let mut contest = Contest::default();
        let seconds = [0, 100, 103, 300];
        let found = seconds.map(|s| contest.displaced(start + Duration::from_secs(s)));
        assert_eq!(found, [false, false, true, false]);
    }
}
