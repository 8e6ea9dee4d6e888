//! What is told to those whose changes were given to the store, which was lost before it said whether they count.

use std::mem;
use std::time::Instant;

use super::response::Response;
use super::server::Server;
use super::shared::{Unsure, Version};

impl Server {
    /// Learns from the store what has come of the last changes, and answers who has waited for that.
    pub(super) fn learn(&mut self, present: &Version, taken: Option<u64>, now: Instant) {
        let Some(unsure) = self.take_unsure() else {
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
        let unsure = self.parts.shared.as_ref();
        let unsure = unsure.and_then(|shared| shared.unsure.as_ref());
        if unsure.is_none_or(|unsure| now < unsure.until) {
            return;
        }
        for (action, _) in self
            .take_unsure()
            .map_or_else(Vec::new, |unsure| unsure.done)
        {
            if let Some(id) = action.connection() {
                self.release(id);
                self.refuse(id, &may_count(), now);
            }
        }
    }

    fn take_unsure(&mut self) -> Option<Unsure> {
        let shared = self.parts.shared.as_mut()?;
        let unsure = mem::take(&mut shared.unsure)?;
        shared.body_bytes = shared.body_bytes.saturating_sub(unsure.body_bytes());
        Some(unsure)
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
