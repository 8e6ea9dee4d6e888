//! The watermarks of a peer's queue: tells when it gets full, and when it is taken out of the way because it does not
//! move.

use std::time::{Duration, Instant};

use crate::protocol::ipc::Pressure;

/// The watch on how full a peer's queue is, and whether it moves.
#[derive(Debug)]
pub(crate) struct Watermarks {
    pressure: Pressure,
    /// When the queue last moved, or became full.
    moved: Instant,
    stalled: bool,
}

impl Watermarks {
    pub(crate) fn new(now: Instant) -> Self {
        Watermarks {
            pressure: Pressure::Normal,
            moved: now,
            stalled: false,
        }
    }

    /// Notes that what the queue holds costs `cost` of `capacity`, in bytes. Returns the new pressure
    /// when a watermark was crossed: high at the capacity, normal at half of it.
    pub(crate) fn fill(&mut self, now: Instant, cost: usize, capacity: usize) -> Option<Pressure> {
        let pressure = match self.pressure {
            Pressure::Normal if cost >= capacity => Pressure::High,
            Pressure::High if cost <= capacity / 2 => Pressure::Normal,
            Pressure::Normal | Pressure::High => return None,
        };
        self.pressure = pressure;
        self.moved = now;
        self.stalled = false;
        Some(pressure)
    }

    /// Notes that the peer has taken something of the queue, so that it is no longer out of the way.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.moved = now;
        self.stalled = false;
    }

    /// Notes that something has reached the peer, or may reach it again, though it may not have taken it. A queue that
    /// does not move has its whole time again, unless it is out of the way. What we have merely written does not count.
    pub(crate) fn wait_anew(&mut self, now: Instant) {
        self.moved = now;
    }

    /// Returns whether the queue is full and taken out of the way: what is sent to it is refused.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Returns when the queue counts as stalled if it does not move.
    pub(crate) fn stalls_at(&self, patience: Duration) -> Option<Instant> {
        (self.pressure == Pressure::High && !self.stalled).then(|| self.moved + patience)
    }

    /// Takes the queue out of the way if it has not moved for `patience`; returns `true` when it just
    /// did.
    pub(crate) fn check_stall(&mut self, now: Instant, patience: Duration) -> bool {
        let stalls = self.stalls_at(patience).is_some_and(|at| now >= at);
        self.stalled |= stalls;
        stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_full_queue_is_under_pressure_until_it_is_half_empty() {
        let now = Instant::now();
        let mut outlet = Watermarks::new(now);
        assert_eq!(outlet.fill(now, 99, 100), None);
        assert_eq!(outlet.fill(now, 100, 100), Some(Pressure::High));
        assert!(outlet.stalls_at(PATIENCE).is_some());
        assert_eq!(outlet.fill(now, 51, 100), None);
        assert!(outlet.stalls_at(PATIENCE).is_some());
        assert_eq!(outlet.fill(now, 50, 100), Some(Pressure::Normal));
        assert_eq!(outlet.stalls_at(PATIENCE), None);
    }

    #[test]
    fn a_queue_that_does_not_move_is_taken_out_of_the_way_and_comes_back() {
        let start = Instant::now();
        let mut outlet = Watermarks::new(start);
        outlet.fill(start, 100, 100);
        outlet.moved(start + PATIENCE / 2);
        assert!(!outlet.check_stall(start + PATIENCE, PATIENCE));
        assert!(outlet.check_stall(start + PATIENCE * 2, PATIENCE));
        assert!(outlet.is_stalled());
        outlet.wait_anew(start + PATIENCE * 2);
        assert!(outlet.is_stalled());
        outlet.moved(start + PATIENCE * 2);
        assert!(!outlet.is_stalled());
        assert_eq!(outlet.stalls_at(PATIENCE), Some(start + PATIENCE * 3));
    }
}
