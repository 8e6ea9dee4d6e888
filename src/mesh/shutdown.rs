//! Shutting down: settles what is under way, tells nothing twice, and says goodbye to peers.
//!
//! It goes in steps, with time between them: [`Mesh::refuse_messages`], [`Mesh::stop_sending`],
//! [`Mesh::shut_down`]. So both agents are told the same about a message, as far as the time allows.

use std::time::Instant;

use crate::protocol::ipc::ErrorCode;

use super::Mesh;
use super::commands::ENDING;
use super::link::Linker;

impl<K: Linker> Mesh<K> {
    /// Returns whether a message is on its way whose outcome is not known: to a peer, if it can still be
    /// sent, or to our agent.
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

    /// Takes no more messages from peers that are ours: they are not told that our agent has them, and
    /// report them as lost. Other makes are told by their transport, so their messages are still taken.
    pub fn refuse_messages(&mut self) {
        self.refuses_messages = true;
    }

    /// Sends nothing new from here on: what was not written is refused, and so is what is asked for
    /// later. What was written may still be acknowledged.
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
            self.watch_queue(now, &peer_id);
        }
    }

    /// Tells every peer what our agent has taken, and goodbye; tells the agent what will not be
    /// delivered. To be called once. Its datagrams are polled as usual.
    pub fn shut_down(&mut self, now: Instant) {
        self.refuse_messages();
        self.stop_sending(now);
        let peers: Vec<_> = self.peers.keys().cloned().collect();
        for peer_id in &peers {
            self.acknowledge_last(now, peer_id);
        }
        // The senders of messages that the agent has not got by now are told that they are lost.
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
