//! Broadcasts that wait until each of their peers is settled.

use std::collections::BTreeMap;

use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorCode, Success};

use super::origin::{BroadcastKey, Origin};

#[derive(Debug)]
struct Open {
    origin: Origin,
    unsettled: usize,
    delivered: Vec<PeerId>,
    failed: Vec<(PeerId, ErrorCode)>,
}

/// The broadcasts under way.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    next: BroadcastKey,
    open: BTreeMap<BroadcastKey, Open>,
}

impl Broadcasts {
    /// A broadcast that `origin` asked for; it is told once [`Broadcasts::settle`] was called for
    /// each of its `peers` peers.
    pub(super) fn open(&mut self, origin: Origin, peers: usize) -> BroadcastKey {
        let key = self.next;
        self.next += 1;
        self.open.insert(
            key,
            Open {
                origin,
                unsettled: peers,
                delivered: Vec::new(),
                failed: Vec::new(),
            },
        );
        key
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// What became of it at one peer. Gives its origin and answer when that was the last.
    pub(super) fn settle(
        &mut self,
        key: BroadcastKey,
        peer: &PeerId,
        failure: Option<ErrorCode>,
    ) -> Option<(Origin, Success)> {
        let open = self.open.get_mut(&key)?;
        match failure {
            None => open.delivered.push(peer.clone()),
            Some(code) => open.failed.push((peer.clone(), code)),
        }
        open.unsettled = open.unsettled.saturating_sub(1);
        if open.unsettled > 0 {
            return None;
        }
        let done = self.open.remove(&key)?;
        Some((
            done.origin,
            Success::Broadcast {
                delivered: done.delivered,
                failed: done.failed,
            },
        ))
    }

    /// Whether the broadcast carries an id, so that its answer lists its failures.
    pub(super) fn origin(&self, key: BroadcastKey) -> Option<&Origin> {
        self.open.get(&key).map(|open| &open.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_answered_once_when_its_last_peer_is_settled() {
        let (a, b) = (PeerId::new("a").unwrap(), PeerId::new("b").unwrap());
        let origin = Origin::Command {
            generation: 1,
            id: None,
        };
        let mut broadcasts = Broadcasts::default();
        let key = broadcasts.open(origin.clone(), 2);
        assert_eq!(broadcasts.settle(key, &a, None), None);
        let answer = Success::Broadcast {
            delivered: vec![a],
            failed: vec![(b.clone(), ErrorCode::ConnectionLost)],
        };
        let last = broadcasts.settle(key, &b, Some(ErrorCode::ConnectionLost));
        assert_eq!(last, Some((origin, answer)));
        assert_eq!(broadcasts.settle(key, &b, None), None);
        assert_eq!(broadcasts.len(), 0);
    }
}
