//! How much waits in a queue: its bytes, which is what users are told, and what it costs in memory,
//! which is what limits are held against.

use crate::limits;

/// The items of one queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueSize {
    items: usize,
    bytes: usize,
}

impl QueueSize {
    /// An item of `bytes` was queued.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    /// An item of `bytes` has left.
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

    /// About what they take in memory, in bytes: a queue of small items is mostly what surrounds
    /// them.
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
