//! A round of attempts at TURN servers: those that are still to be made, and when.

use std::collections::VecDeque;
use std::time::Instant;

use super::plan::Plan;

/// The attempts that are not made yet.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) began: Instant,
    pub(super) plans: VecDeque<Plan>,
    pub(super) was_refused: bool,
}

impl Round {
    /// Returns when the next attempt is due.
    pub(super) fn next_try(&self) -> Option<Instant> {
        Some(self.began + self.plans.front()?.offset)
    }
}
