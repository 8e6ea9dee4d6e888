//! What is told to those whose changes were given to the store, which was lost before it said whether they count.

use std::time::Instant;

use super::response::Response;
use super::server::Server;
use super::shared::{Shared, Version};

impl Server {
    /// Learns from the store what has come of the last changes, and answers who has waited for that.
    pub(super) fn learn(&mut self, present: &Version, taken: Option<u64>, now: Instant) {
        let shared = self.parts.shared.as_mut();
        let Some(unsure) = shared.and_then(Shared::take_unsure) else {
            return;
        };
        let counts = unsure.counts(present, taken);
        for (action, effect) in unsure.done {
            if let Some(id) = action.connection() {
                self.release(id);
                match counts {
                    true => self.take_effect(id, effect, now),
                    false => self.refuse(id, &store_is_away(), now),
                }
            }
        }
    }

    /// Answers who has waited long enough.
    pub(super) fn give_up_unsure(&mut self, now: Instant) {
        let shared = self.parts.shared.as_mut();
        let Some(unsure) = shared.and_then(|shared| shared.take_overdue(now)) else {
            return;
        };
        for (action, _) in unsure.done {
            if let Some(id) = action.connection() {
                self.release(id);
                self.refuse(id, &may_count(), now);
            }
        }
    }
}

/// Returns the refusal of what nothing can be said to without the store.
pub(super) fn store_is_away() -> Response {
    let text = "the store that the registries share is away; try again soon";
    Response::error(503, text).with("Retry-After", "1")
}

fn may_count() -> Response {
    let text = "the store that the registries share went away before it said whether this counts; \
                look at what has come of it before you try again";
    Response::error(503, text)
}
