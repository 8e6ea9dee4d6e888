//! Changes that were heard before those that precede them, or while an exchange is under way. Without I/O.

use std::collections::BTreeMap;

use super::exchange::Change;
use super::limits::{EARLY_CHANGES, EARLY_CHANGES_BYTES};

/// See the module's description. It holds [`EARLY_CHANGES`] of [`EARLY_CHANGES_BYTES`] at most.
#[derive(Default)]
pub(in crate::registry) struct Early {
    /// By the number of the version that they led to.
    changes: BTreeMap<u64, Vec<Change>>,
    bytes: usize,
}

impl Early {
    /// Keeps changes that led to the version `number`; `next` is the one after that which is known. Returns whether
    /// some before them were not heard.
    pub(in crate::registry) fn keep(
        &mut self,
        number: u64,
        next: u64,
        changes: Vec<Change>,
    ) -> bool {
        let bytes = bytes(&changes);
        if self.changes.len() >= EARLY_CHANGES || self.bytes + bytes > EARLY_CHANGES_BYTES {
            self.clear();
        }
        let is_gap = number > next && !self.changes.contains_key(&(number - 1));
        if bytes > EARLY_CHANGES_BYTES {
            return true;
        }
        self.bytes += bytes;
        if let Some(before) = self.changes.insert(number, changes) {
            self.forget(&before);
        }
        is_gap
    }

    /// Takes the changes that led to the version `next`. Those that are older are forgotten.
    pub(in crate::registry) fn take(&mut self, next: u64) -> Option<Vec<Change>> {
        while let Some(entry) = self.changes.first_entry()
            && *entry.key() <= next
        {
            let (number, changes) = entry.remove_entry();
            self.forget(&changes);
            if number == next {
                return Some(changes);
            }
        }
        None
    }

    /// Forgets all.
    pub(in crate::registry) fn clear(&mut self) {
        *self = Early::default();
    }

    fn forget(&mut self, changes: &[Change]) {
        self.bytes = self.bytes.saturating_sub(bytes(changes));
    }
}

fn bytes(changes: &[Change]) -> usize {
    changes.iter().map(Change::bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(length: usize) -> Vec<Change> {
        vec![Change(
            "t".to_owned(),
            "k".to_owned(),
            Some("x".repeat(length)),
        )]
    }

    #[test]
    fn only_what_was_not_heard_is_a_gap() {
        let mut early = Early::default();
        assert!(
            !early.keep(5, 5, changes(1)),
            "our own, while it is under way"
        );
        assert!(!early.keep(6, 5, changes(2)), "it follows");
        assert!(early.keep(9, 5, changes(3)), "two are missing");
        assert!(!early.keep(10, 5, changes(4)), "it was told already");
        assert_eq!(early.take(6), Some(changes(2)), "5 is old");
        assert_eq!(early.take(7), None);
        assert_eq!(early.take(9), Some(changes(3)));
        assert_eq!(early.take(10), Some(changes(4)));
        assert_eq!((early.bytes, early.changes.len()), (0, 0));
    }

    #[test]
    fn it_is_bounded_in_number_and_bytes() {
        let mut early = Early::default();
        for number in 0..=EARLY_CHANGES as u64 {
            let is_gap = early.keep(number + 2, 1, changes(0));
            assert_eq!(is_gap, [0, EARLY_CHANGES as u64].contains(&number));
        }
        assert_eq!(early.changes.len(), 1);
        let half = EARLY_CHANGES_BYTES / 2;
        early.clear();
        assert!(!early.keep(2, 2, changes(half)));
        assert!(early.keep(3, 2, changes(half)), "the first is forgotten");
        assert_eq!(early.changes.len(), 1);
        assert!(early.keep(4, 2, changes(EARLY_CHANGES_BYTES)));
        assert_eq!((early.bytes, early.changes.len()), (0, 0), "it never fits");
    }
}
