//! The size of a queue: its bytes, which users are told, and its cost in memory, which limits are held
//! against.

use crate::limits;

/// The number of items in one queue, and their bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueSize {
    items: usize,
    bytes: usize,
}

impl QueueSize {
    /// Adds an item of `bytes`.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    /// Removes an item of `bytes`.
    pub(crate) fn remove(&mut self, bytes: usize) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(crate) fn items(&self) -> usize {
        self.items
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns about how many bytes the items take in memory. A queue of small items consists mostly of
    /// overhead.
    pub(crate) fn cost(&self) -> usize {
        self.bytes + self.items * limits::ITEM_COST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_items_cost_too() {
        let mut account = QueueSize::default();
        (0..100).for_each(|_| account.add(0));
        assert_eq!((account.items(), account.bytes()), (100, 0));
        assert_eq!(account.cost(), 100 * limits::ITEM_COST_BYTES);
        (0..100).for_each(|_| account.remove(0));
        assert_eq!(account, QueueSize::default());
    }
}
