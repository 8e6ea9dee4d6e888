//! Receiving messages: numbers them as they come from a connection, queues them for the agent, and counts
//! them as taken when the agent's socket has them. A peer that is not ours is slowed by holding its
//! datagrams ([`super::connection::flow_control`]).

use std::time::Instant;

use crate::protocol::PeerId;
use crate::protocol::ipc::Event;
use crate::protocol::message::Message;

use super::Mesh;
use super::agent::Taken;
use super::agent::origin::Generation;
use super::connection::ConnectionId;
use super::link::{Link, Linker};

impl<K: Linker> Mesh<K> {
    /// Takes a message that came in on the channel `mesh`.
    pub(super) fn mesh_message(&mut self, now: Instant, id: ConnectionId, data: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.is_ready() {
            return self.keep_until_ready(now, id, data);
        }
        let peer_id = connection.peer.clone();
        let is_refused = self.refuses_messages && connection.speaks_sessions;
        if is_refused || self.greets_elsewhere(&peer_id, id) {
            return;
        }
        let inbox_limit = self.inbox_limit();
        let (Some(connection), Some(peer)) =
            (self.connections.get_mut(&id), self.peers.get_mut(&peer_id))
        else {
            return;
        };
        let message = Message::from_peer(&data);
        if connection.speaks_sessions {
            if peer.inbox.bytes() > inbox_limit {
                return self.connection_failed(now, id, "it sends beyond its window");
            }
            let number = connection.next_number;
            connection.next_number += 1;
            let is_new = match &message {
                Ok(_) => peer.session.accept(number),
                Err(_) => peer.session.accept_unusable(number),
            };
            if !is_new {
                return;
            }
        }
        peer.received.add(data.len());
        peer.last_message = now;
        self.totals.received.add(data.len());
        match message {
            Ok(message) => {
                // The bytes on the wire are counted: its sender knows of no others.
                let bytes = data.len();
                peer.inbox.add(bytes);
                let taken = Taken {
                    peer: peer_id.clone(),
                    epoch: peer.session.epoch(),
                    bytes,
                };
                let from_peer = peer_id;
                self.agent
                    .push_message(Event::Message { from_peer, message }, taken);
            }
            Err(error) => {
                self.totals.drops.unusable_messages += 1;
                log::warn!(
                    "dropped a message of {peer_id}, {} bytes: it {error}",
                    data.len()
                );
            }
        }
        self.watch_gate(id);
    }

    /// Keeps a message that comes in before the `hello` that gives it its number.
    fn keep_until_ready(&mut self, now: Instant, id: ConnectionId, data: Vec<u8>) {
        let most = self.window() + self.settings.limits.message_bytes;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.early.keep(data, most) {
            self.connection_failed(now, id, "it sends beyond the window before its hello");
        }
    }

    /// Holds the datagrams of a peer while too many of its messages wait for the agent. A peer of ours is
    /// slowed by its window long before, unless its messages are tiny: a window counts bytes alone. They are also
    /// held while somebody is to prove himself on another connection.
    pub(super) fn watch_gate(&mut self, id: ConnectionId) {
        let inbox_limit = self.inbox_limit();
        let waits_for_proof = self.waits_for_proof(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(peer) = self.peers.get(&connection.peer) else {
            return;
        };
        let capacity = if connection.speaks_sessions {
            inbox_limit
        } else {
            self.settings.queue_bytes
        };
        if waits_for_proof || peer.inbox.cost() >= capacity {
            connection.flow_control.set_closed(true);
        } else if peer.inbox.cost() <= capacity / 2 {
            connection.flow_control.set_closed(false);
        }
    }

    /// Notes that the agent's socket has taken `count` further events.
    pub fn events_written(&mut self, now: Instant, generation: Generation, count: usize) {
        let mut touched: Vec<PeerId> = Vec::new();
        for taken in self.agent.written(generation, count) {
            let Some(peer) = self.peers.get_mut(&taken.peer) else {
                continue;
            };
            peer.inbox.remove(taken.bytes);
            if peer.session.take(taken.epoch) {
                peer.acknowledgement.taken(now, taken.bytes);
            }
            if touched.last() != Some(&taken.peer) {
                touched.push(taken.peer);
            }
        }
        touched.sort();
        touched.dedup();
        for peer_id in touched {
            self.acknowledge_soon(now, &peer_id);
            self.release_gate(now, &peer_id);
            self.forget_if_idle(&peer_id);
        }
    }

    pub(super) fn release_gate(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(id) = self.peers.get(peer_id).and_then(|peer| peer.current) else {
            return;
        };
        self.watch_gate(id);
        while let Some(connection) = self.connections.get_mut(&id)
            && let Some(held) = connection.flow_control.release()
        {
            let handled = connection.link.handle_datagram(now, &held.as_datagram());
            self.after_input(now, id, handled);
        }
    }
}
