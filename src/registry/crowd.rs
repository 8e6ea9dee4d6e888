//! Who holds how many connections, without I/O: nobody alone may take all the room that there is.

use std::collections::HashMap;
use std::hash::Hash;

use super::rates::Counted;

/// Connections by whom they count for. It is as large as what it counts.
pub(super) struct Crowd<I> {
    holders: HashMap<I, Counted>,
    counts: HashMap<Counted, usize>,
}

impl<I> Default for Crowd<I> {
    fn default() -> Self {
        Crowd {
            holders: HashMap::new(),
            counts: HashMap::new(),
        }
    }
}

impl<I: Eq + Hash> Crowd<I> {
    /// Counts a connection for somebody, and no longer for the one that it counted for.
    pub(super) fn enter(&mut self, id: I, holder: Counted) {
        self.leave(&id);
        *self.counts.entry(holder.clone()).or_default() += 1;
        self.holders.insert(id, holder);
    }

    /// Counts a connection no longer.
    pub(super) fn leave(&mut self, id: &I) {
        let Some(holder) = self.holders.remove(id) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(&holder) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&holder);
            }
        }
    }

    /// Returns how many connections count for somebody.
    pub(super) fn count(&self, holder: &Counted) -> usize {
        self.counts.get(holder).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::PeerId;

    #[test]
    fn a_connection_counts_for_one_at_a_time_and_until_it_leaves() {
        let address = Counted::address("198.51.100.1".parse().unwrap());
        let peer = Counted::Peer(PeerId::new("a").unwrap());
        let mut crowd = Crowd::default();
        crowd.enter(1, address.clone());
        crowd.enter(2, address.clone());
        assert_eq!(crowd.count(&address), 2);
        crowd.enter(1, peer.clone());
        assert_eq!((crowd.count(&address), crowd.count(&peer)), (1, 1));
        for id in [1, 2, 2, 3] {
            crowd.leave(&id);
        }
        assert!(crowd.counts.is_empty() && crowd.holders.is_empty());
    }
}
