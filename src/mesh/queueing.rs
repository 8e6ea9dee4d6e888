//! Queueing messages: decides what is accepted for a peer that is slow or out of reach, when the agent is held back, and
//! what is refused. The rules are those of [`overflow`](super::peer::overflow).

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorCode, Event};

use super::Mesh;
use super::link::Linker;
use super::peer::Peer;
use super::peer::session::Outgoing;

impl<K: Linker> Mesh<K> {
    /// Queues a message for the peer, or refuses it. Returns whether it is queued.
    pub(super) fn queue(&mut self, now: Instant, peer_id: &PeerId, outgoing: Outgoing) -> bool {
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return false;
        };
        let cost = outgoing.message.size() + limits::ITEM_COST_BYTES;
        let has_room = peer.reachable
            || peer.session.queued().cost() < self.settings.queue_bytes
            || self.overflow.has_room_aside(cost);
        if peer.watermarks.is_stalled() || !has_room {
            let text = why_refused(peer);
            self.settle_failed(peer_id, outgoing, ErrorCode::PeerStalled, text);
            return false;
        }
        peer.session.push(outgoing);
        self.watch_queue(now, peer_id);
        true
    }

    /// Brings up to date what depends on a peer's queue and on whether it is out of the way: the overflow, and
    /// what the agent is told of watermarks. To be called after each change of either.
    pub(super) fn watch_queue(&mut self, now: Instant, peer_id: &PeerId) {
        let capacity = self.settings.queue_bytes;
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        let queued = peer.session.queued();
        let crossed = peer.watermarks.fill(now, queued.cost(), capacity);
        let excess = queued.cost().saturating_sub(capacity);
        let is_aside = peer.is_out_of_the_way();
        let has_turned = self.overflow.account(&mut peer.excess, excess, is_aside);
        if crossed.is_some() || has_turned {
            self.arm_peer(now, peer_id);
        }
        if let Some(state) = crossed {
            self.agent.push_state(Event::Pressure {
                target_peer: peer_id.clone(),
                state,
                queued_bytes: queued.bytes(),
            });
        }
        if has_turned && is_aside {
            self.refuse_surplus(peer_id);
        }
    }

    /// Refuses, from the newest on, what a peer that has got out of the way has more than there is room for.
    fn refuse_surplus(&mut self, peer_id: &PeerId) {
        let capacity = self.settings.queue_bytes;
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        let mut surplus = Vec::new();
        while !self.overflow.has_room_aside(0)
            && let Some(newest) = peer.session.take_newest(capacity)
        {
            surplus.push(newest);
            let excess = peer.session.queued().cost().saturating_sub(capacity);
            self.overflow.account(&mut peer.excess, excess, true);
        }
        let text = why_refused(peer);
        for outgoing in surplus.into_iter().rev() {
            self.settle_failed(peer_id, outgoing, ErrorCode::PeerStalled, text.clone());
        }
    }
}

/// Returns the error text for a message to a peer that is out of the way.
fn why_refused(peer: &Peer) -> String {
    let queued = peer.session.queued().bytes();
    if peer.watermarks.is_stalled() {
        format!(
            "{} has taken nothing for SEND_STALL_SECONDS and {queued} bytes wait for it",
            peer.id
        )
    } else {
        format!(
            "{} is out of reach, {queued} bytes wait for it, and OVERFLOW_BYTES has no room for more",
            peer.id
        )
    }
}
