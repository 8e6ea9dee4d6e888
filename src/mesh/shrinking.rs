//! Falls back to smaller packets where a path swallows full ones. How large a link's packets are is fixed when
//! it is made, so the connection is replaced, and the session goes on.

use std::time::Instant;

use crate::protocol::PeerId;

use super::Mesh;
use super::connection::ConnectionId;
use super::link::{Linker, Packets};

impl<K: Linker> Mesh<K> {
    /// Returns how large the packets of a new connection to the peer are to be.
    pub(super) fn packets_to(&self, peer_id: &PeerId) -> Packets {
        let peer = self.peers.get(peer_id);
        peer.map(|peer| peer.packets).unwrap_or_default()
    }

    /// Acts on it that a path swallows the packets of a connection. With a peer of another make the session would be
    /// lost with the connection, and it may be that its program takes nothing, so it is only said. A peer that takes
    /// no small packets either takes nothing, so the next connection has full ones again.
    pub(super) fn packets_are_swallowed(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let peer_id = connection.peer.clone();
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return;
        };
        if !connection.speaks_sessions {
            log::warn!(
                "{peer_id} acknowledges nothing of what is sent, though it answers checks: it takes nothing, \
                 or packets of full size are lost on the way"
            );
            return;
        }
        if connection.swallowing.packets() == Packets::Small {
            peer.packets = Packets::Full;
            log::warn!(
                "{peer_id} acknowledges nothing of what is sent, though it answers checks and packets are small"
            );
            return;
        }
        log::warn!(
            "packets of full size are lost on the way to {peer_id}; the connection is replaced by one with \
             smaller ones. Is the MTU of a tunnel on the way set too large?"
        );
        peer.packets = Packets::Small;
        self.plan_replacement(now, &peer_id);
    }

    /// Uses full packets for new connections again, because the network is another. Where they are swallowed at the
    /// moment, small ones are about to replace them, and routes change for many reasons.
    pub(super) fn forget_swallowed_packets(&mut self) {
        for peer in self.peers.values_mut() {
            let current = peer.current.and_then(|id| self.connections.get(&id));
            if !current.is_some_and(|current| current.swallowing.wants_smaller()) {
                peer.packets = Packets::Full;
            }
        }
    }
}
