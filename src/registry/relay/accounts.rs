//! What each peer may use of the relay: a number of allocations, and a rate for all that passes through them.

use std::collections::HashMap;
use std::time::Instant;

use crate::protocol::PeerId;
use crate::registry::limits::{ALLOCATIONS_OF_PEER, RELAY_BURST};

#[derive(Debug)]
struct Account {
    allocations: usize,
    /// Bytes that may pass at once, as of `at`.
    left: f64,
    at: Instant,
}

/// The accounts of the peers that have allocations.
#[derive(Debug)]
pub(super) struct Accounts {
    bytes_per_second: f64,
    accounts: HashMap<PeerId, Account>,
}

impl Accounts {
    /// Lets so many bytes a second pass for each peer, both ways together.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Accounts {
            bytes_per_second: bytes_per_second as f64,
            accounts: HashMap::new(),
        }
    }

    /// Returns whether a peer may have one more allocation.
    pub(super) fn has_room(&self, peer: &PeerId) -> bool {
        let account = self.accounts.get(peer);
        account.is_none_or(|account| account.allocations < ALLOCATIONS_OF_PEER)
    }

    /// Notes an allocation.
    pub(super) fn opened(&mut self, peer: &PeerId, now: Instant) {
        let left = self.bytes_per_second * RELAY_BURST.as_secs_f64();
        let account = self.accounts.entry(peer.clone()).or_insert(Account {
            allocations: 0,
            left,
            at: now,
        });
        account.allocations += 1;
    }

    /// Notes the end of an allocation.
    pub(super) fn closed(&mut self, peer: &PeerId) {
        if let Some(account) = self.accounts.get_mut(peer) {
            account.allocations = account.allocations.saturating_sub(1);
            if account.allocations == 0 {
                self.accounts.remove(peer);
            }
        }
    }

    /// Counts bytes of a peer. Returns whether they may pass.
    pub(super) fn pass(&mut self, peer: &PeerId, bytes: usize, now: Instant) -> bool {
        let rate = self.bytes_per_second;
        let Some(account) = self.accounts.get_mut(peer) else {
            return false;
        };
        let gained = now.saturating_duration_since(account.at).as_secs_f64() * rate;
        account.left = (account.left + gained).min(rate * RELAY_BURST.as_secs_f64());
        account.at = now;
        let may_pass = account.left >= bytes as f64;
        if may_pass {
            account.left -= bytes as f64;
        }
        may_pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_peer_has_its_rate_and_no_more() {
        let now = Instant::now();
        let (a, b) = (PeerId::new("a").unwrap(), PeerId::new("b").unwrap());
        let mut accounts = Accounts::new(100_000);
        assert!(!accounts.pass(&a, 1, now), "it has no allocation");
        accounts.opened(&a, now);
        accounts.opened(&b, now);
        // Tries twice as much as may pass, for ten seconds.
        let tries = (0..2000).map(|number| now + Duration::from_millis(5) * number);
        let passed = tries.filter(|at| accounts.pass(&a, 1000, *at)).count();
        let expected = 100 + 10 * 100;
        assert!((expected - 2..=expected).contains(&passed), "{passed}");
        assert!(accounts.pass(&b, 100_000, now + Duration::from_secs(10)));
    }

    #[test]
    fn a_peer_has_so_many_allocations_and_no_more() {
        let now = Instant::now();
        let a = PeerId::new("a").unwrap();
        let mut accounts = Accounts::new(1);
        for _ in 0..ALLOCATIONS_OF_PEER {
            assert!(accounts.has_room(&a));
            accounts.opened(&a, now);
        }
        assert!(!accounts.has_room(&a));
        for _ in 0..ALLOCATIONS_OF_PEER {
            accounts.closed(&a);
        }
        assert!(accounts.accounts.is_empty());
    }
}
