//! The end of all: what is under way is settled, nothing is told twice, and peers hear a goodbye.
//!
//! It goes in steps, with time between them: [`Mesh::refuse_messages`], [`Mesh::stop_sending`],
//! [`Mesh::shut_down`]. So what both agents are told of a message agrees, as far as the time allows.

use std::time::Instant;

use crate::protocol::ipc::ErrorCode;

use super::Mesh;
use super::commands::ENDING;
use super::link::Linker;

impl<K: Linker> Mesh<K> {
    /// Whether some message is on its way of which it is not known what became of it: to a peer, if it
    /// can still be sent, or to our agent.
    pub fn has_unsettled(&self) -> bool {
        let to_peer = self
            .peers
            .values()
            .any(|peer| !peer.session.is_idle() && (peer.current.is_some() || !self.shutting_down));
        let to_other_makes = self
            .connections
            .values()
            .any(|connection| !connection.receipts.is_empty());
        to_peer || to_other_makes || self.agent.is_taking_messages()
    }

    /// From here on no more is taken of peers that are ours: they are not told that our agent has it,
    /// and report it as lost. Other makes are told by their transport, so from them it goes on.
    pub fn refuse_messages(&mut self) {
        self.refuses_messages = true;
    }

    /// From here on nothing new is sent: what was not written and what is asked for later is refused.
    /// What was written may still be acknowledged.
    pub fn stop_sending(&mut self, now: Instant) {
        self.shutting_down = true;
        let peers: Vec<_> = self.peers.keys().cloned().collect();
        for peer_id in peers {
            let Some(peer) = self.peers.get_mut(&peer_id) else {
                continue;
            };
            for outgoing in peer.session.take_unwritten() {
                let code = ErrorCode::ShuttingDown;
                self.settle_failed(&peer_id, outgoing, code, ENDING.to_owned());
            }
            self.watch_pressure(now, &peer_id);
        }
    }

    /// Tells every peer what our agent has taken and goodbye, and the agent what will not be
    /// delivered. To be called once; what there is to transmit is polled as ever.
    pub fn shut_down(&mut self, now: Instant) {
        self.refuse_messages();
        self.stop_sending(now);
        let peers: Vec<_> = self.peers.keys().cloned().collect();
        for peer_id in &peers {
            self.acknowledge_last(now, peer_id);
        }
        // What the agent has not got by now, its senders are told to be lost.
        let peers_of_ours = &self.peers;
        self.agent.drop_messages(|peer_id| {
            peers_of_ours
                .get(peer_id)
                .is_some_and(|peer| peer.speaks_sessions)
        });
        for peer_id in &peers {
            self.abandon(now, peer_id, ErrorCode::ShuttingDown);
        }
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for connection in connections {
            self.retire(now, connection);
        }
        for peer in self.peers.values_mut() {
            peer.reachable = false;
            peer.note_state(now);
        }
    }
}
