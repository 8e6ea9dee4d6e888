//! One round: which tries of TURN servers are still to be made, and when.

use std::collections::VecDeque;
use std::time::Instant;

use super::plan::Plan;

/// The tries that are not made yet.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) began: Instant,
    pub(super) plans: VecDeque<Plan>,
    pub(super) was_refused: bool,
}

impl Round {
    /// When the next try is due.
    pub(super) fn next_try(&self) -> Option<Instant> {
        Some(self.began + self.plans.front()?.offset)
    }
}
