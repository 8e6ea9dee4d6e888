//! Requests whose changes were given to the store, which was lost before it said whether they count. It is asked when
//! it is found again; so the caller gets the answer that was meant for him, or is told that nothing has changed.

use std::time::Instant;

use super::exchange::Version;
use super::limits::UNSURE;
use crate::registry::actions::{Action, Effect};

/// See the module's description. There are no more than an exchange has.
pub(in crate::registry) struct Unsure {
    pub(in crate::registry) done: Vec<(Action, Effect)>,
    /// The version that their changes lead to.
    version: Version,
    /// How long their callers wait.
    pub(super) until: Instant,
}

impl Unsure {
    /// Makes it of actions whose changes were made on the version `known`.
    pub(in crate::registry) fn new(
        done: Vec<(Action, Effect)>,
        known: Version,
        now: Instant,
    ) -> Option<Self> {
        let number = known.number + 1;
        let version = Version { number, ..known };
        let until = now + UNSURE;
        (!done.is_empty()).then_some(Unsure {
            done,
            version,
            until,
        })
    }

    /// Returns whether the changes count, given the store's version and the one that our last changes have led to.
    pub(in crate::registry) fn counts(&self, present: &Version, taken: Option<u64>) -> bool {
        present.life == self.version.life && taken == Some(self.version.number)
    }
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
