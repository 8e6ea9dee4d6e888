//! Pacing of connectivity checks: how fast they follow each other while a path is looked for.
//!
//! str0m's ICE agent sends one check each time it is told the time, and asks for that every 50 ms: with
//! ten pairs of candidates the tenth waits for half a second. RFC 8445 (section 14.2) allows 5 ms. How
//! often a check is repeated is not changed by this.

use std::time::{Duration, Instant};

/// The time between two checks.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long checks are hurried after other candidates became known.
const HURRY: Duration = Duration::from_secs(1);

/// How long checks are hurried when known pairs are checked anew: time for half a dozen.
const SHORT_HURRY: Duration = Duration::from_millis(60);

/// When to tell the ICE agent the time.
#[derive(Debug)]
pub(crate) struct Pacing {
    next: Instant,
    until: Instant,
}

impl Pacing {
    pub(crate) fn new(now: Instant) -> Self {
        Pacing {
            next: now,
            until: now,
        }
    }

    /// Notes that there are other pairs to be checked: hurries for a while.
    pub(crate) fn candidates_changed(&mut self, now: Instant) {
        self.hurry(now, HURRY);
    }

    /// Notes that the known pairs are to be checked anew: hurries for a moment.
    pub(crate) fn check_again(&mut self, now: Instant) {
        self.hurry(now, SHORT_HURRY);
    }

    fn hurry(&mut self, now: Instant, time: Duration) {
        self.until = self.until.max(now + time);
        self.next = self.next.min(now + INTERVAL);
    }

    /// Ends the hurry. To be called when there is a path and a channel has opened on it.
    pub(crate) fn is_connected(&mut self) {
        self.until = self.next;
    }

    /// Notes that the agent has been told the time.
    pub(crate) fn checked(&mut self, now: Instant) {
        self.next = now + INTERVAL;
    }

    /// Returns when to tell it the time next; `None` when it may choose.
    pub(crate) fn next(&self) -> Option<Instant> {
        (self.next < self.until).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_hurried_for_a_while_after_each_candidate_and_no_more_once_connected() {
        let start = Instant::now();
        let mut pacing = Pacing::new(start);
        assert_eq!(pacing.next(), None);
        pacing.candidates_changed(start);
        let mut checks = 0;
        while let Some(now) = pacing.next() {
            pacing.checked(now);
            checks += 1;
        }
        assert_eq!(checks, HURRY.as_millis() / INTERVAL.as_millis());
        let later = start + 2 * HURRY;
        pacing.checked(later);
        pacing.candidates_changed(later);
        assert_eq!(pacing.next(), Some(later + INTERVAL));
        pacing.is_connected();
        assert_eq!(pacing.next(), None);
    }
}
