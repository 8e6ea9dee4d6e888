//! Broadcasts that wait to be answered, as those with an id are, until each of their peers is settled.

use std::collections::BTreeMap;

use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorReport, Success};

use super::origin::{BroadcastKey, Origin};

#[derive(Debug)]
struct Open {
    origin: Origin,
    unsettled: usize,
    delivered: Vec<PeerId>,
    failed: Vec<(PeerId, ErrorReport)>,
}

/// A broadcast whose peers are all settled.
#[derive(Debug, PartialEq)]
pub(crate) struct Settled {
    /// The command that asked for the broadcast, to be answered.
    pub(crate) origin: Origin,
    delivered: Vec<PeerId>,
    failed: Vec<(PeerId, ErrorReport)>,
}

impl Settled {
    /// Returns the answer to the command.
    pub(crate) fn into_answer(self) -> Success {
        let failed = self.failed.into_iter();
        Success::Broadcast {
            delivered: self.delivered,
            failed: failed.map(|(peer, error)| (peer, error.code)).collect(),
        }
    }

    /// Returns its failures one by one, for when nobody who waits for the answer is left.
    pub(crate) fn into_failures(self) -> impl Iterator<Item = ErrorReport> {
        self.failed.into_iter().map(|(_, error)| error)
    }
}

/// The broadcasts under way.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    next: BroadcastKey,
    open: BTreeMap<BroadcastKey, Open>,
    /// How many peers all open broadcasts have together.
    deliveries: usize,
}

impl Broadcasts {
    /// Opens a broadcast that `origin` asked for. It is settled once [`Broadcasts::settle`] was called
    /// for each of its `peers` peers.
    pub(crate) fn open(&mut self, origin: Origin, peers: usize) -> BroadcastKey {
        let key = self.next;
        self.next += 1;
        self.deliveries += peers;
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

    /// Returns how many peers the broadcasts under way have together.
    pub(crate) fn deliveries(&self) -> usize {
        self.deliveries
    }

    /// Notes what became of a broadcast at one peer. Returns all results when that was the last peer.
    pub(crate) fn settle(
        &mut self,
        key: BroadcastKey,
        peer: &PeerId,
        failure: Option<ErrorReport>,
    ) -> Option<Settled> {
        let open = self.open.get_mut(&key)?;
        match failure {
            None => open.delivered.push(peer.clone()),
            Some(error) => open.failed.push((peer.clone(), error)),
        }
        open.unsettled = open.unsettled.saturating_sub(1);
        if open.unsettled > 0 {
            return None;
        }
        let done = self.open.remove(&key)?;
        self.deliveries -= done.delivered.len() + done.failed.len();
        Some(Settled {
            origin: done.origin,
            delivered: done.delivered,
            failed: done.failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ipc::ErrorCode;

    #[test]
    fn is_answered_once_when_its_last_peer_is_settled() {
        let (a, b) = (PeerId::new("a").unwrap(), PeerId::new("b").unwrap());
        let origin = Origin::Command {
            generation: 1,
            id: None,
        };
        let lost = || Some(ErrorReport::new(ErrorCode::ConnectionLost, "lost"));
        let mut broadcasts = Broadcasts::default();
        let key = broadcasts.open(origin, 2);
        assert_eq!(broadcasts.settle(key, &a, None), None);
        assert_eq!(broadcasts.deliveries(), 2, "both count until the answer");
        let settled = broadcasts.settle(key, &b, lost()).unwrap();
        let answer = Success::Broadcast {
            delivered: vec![a],
            failed: vec![(b.clone(), ErrorCode::ConnectionLost)],
        };
        assert_eq!(settled.into_answer(), answer);
        assert_eq!(broadcasts.settle(key, &b, lost()), None);
        assert_eq!(broadcasts.deliveries(), 0);
    }
}
