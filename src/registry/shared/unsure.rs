//! Requests whose changes were given to the store, which was lost before it said whether they count. It is asked when
//! it is found again; so the caller gets the answer that was meant for him, or is told that nothing has changed.

use std::mem;
use std::time::Instant;

use super::exchange::Version;
use super::limits::UNSURE;
use crate::registry::actions::{Action, Effect};
use crate::registry::response::Response;
use crate::registry::server::Server;

/// See the module's description. There are no more than an exchange has.
pub(super) struct Unsure {
    done: Vec<(Action, Effect)>,
    /// The version that their changes lead to.
    version: Version,
    /// How long their callers wait.
    pub(super) until: Instant,
}

impl Unsure {
    /// Makes it of actions whose changes were made on the version `known`.
    pub(super) fn new(done: Vec<(Action, Effect)>, known: Version, now: Instant) -> Option<Self> {
        let number = known.number + 1;
        let version = Version { number, ..known };
        let until = now + UNSURE;
        (!done.is_empty()).then_some(Unsure {
            done,
            version,
            until,
        })
    }

    /// Returns how long the bodies of the requests are.
    pub(super) fn body_bytes(&self) -> usize {
        self.done
            .iter()
            .map(|(action, _)| action.body_bytes())
            .sum()
    }

    /// Returns whether the changes count, given the store's version and the one that our last changes have led to.
    fn counts(&self, present: &Version, taken: Option<u64>) -> bool {
        present.life == self.version.life && taken == Some(self.version.number)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn version(life: &str, number: u64) -> Version {
        Version {
            life: life.to_owned(),
            number,
        }
    }

    #[test]
    fn changes_count_that_the_same_store_has_taken_last() {
        let left = Action::Gone("r".to_owned());
        let unsure = Unsure::new(
            vec![(left, Effect::Nothing)],
            version("a", 7),
            Instant::now(),
        );
        let unsure = unsure.unwrap();
        // Others may have changed something since.
        assert!(unsure.counts(&version("a", 8), Some(8)));
        assert!(unsure.counts(&version("a", 9), Some(8)));
        assert!(!unsure.counts(&version("a", 8), Some(7)), "another's");
        assert!(!unsure.counts(&version("a", 7), None));
        assert!(!unsure.counts(&version("b", 8), Some(8)), "it was emptied");
        assert!(Unsure::new(Vec::new(), version("a", 7), Instant::now()).is_none());
    }
}
