//! Sending messages: writes them from a session's outbox to the current connection, as many as the peer's
//! window and the channel have room for.

use std::time::Instant;

use super::Mesh;
use super::connection::ConnectionId;
use super::link::{Channel, Linker};

impl<K: Linker> Mesh<K> {
    /// Writes as many queued messages as the window and the channel have room for. Returns whether
    /// anything was written, so that the link has to be polled again.
    pub(super) fn pump(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        let buffered = connection.look_at_acknowledgements(now);
        if !connection.is_ready() {
            return false;
        }
        let peer_id = connection.peer.clone();
        if !connection.speaks_sessions {
            self.settle_by_transport(now, id, buffered);
        }
        let (Some(connection), Some(peer)) =
            (self.connections.get_mut(&id), self.peers.get_mut(&peer_id))
        else {
            return false;
        };
        // A peer of another make that offers anew has dropped this connection: what is left to send goes
        // over the next one.
        let is_replaced = !connection.speaks_sessions && peer.connections.last() != Some(&id);
        if peer.current != Some(id) || is_replaced {
            return false;
        }
        if connection.send_window.acknowledged_to(now, buffered) {
            peer.watermarks.wait_anew(now);
        }
        let capacity = self.settings.queue_bytes;
        let mut companion =
            connection.send_window.may_be_alone() && connection.receipts.has_room_for_companion();
        let mut wrote = false;
        let mut failure = None;
        let mut too_large = Vec::new();
        let mut taken = Vec::new();
        loop {
            let next = if connection.speaks_sessions {
                peer.session.next_to_write(capacity)
            } else {
                peer.session
                    .peek_next()
                    .filter(|_| connection.receipts.has_room() || std::mem::take(&mut companion))
            };
            let Some(next) = next else { break };
            let size = next.size();
            if size > connection.max_message_bytes && peer.session.next_is_unnumbered() {
                too_large.extend(peer.session.take_next());
                continue;
            }
            if !connection.send_window.has_room(now, size) {
                break;
            }
            match connection.write(Channel::Mesh, next.as_str().as_bytes()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            connection.send_window.written(now, size);
            wrote = true;
            peer.sent.add(size);
            peer.last_message = now;
            self.totals.sent.add(size);
            if connection.speaks_sessions {
                peer.session.written();
                connection.tail.written(now, peer.session.progress().1);
                taken.extend(peer.session.settle_taken());
            } else if let Some(next) = peer.session.take_next() {
                let request_id = next.message.request_id();
                let receipts = &mut connection.receipts;
                receipts.written(next.origin, next.accepted, request_id, size);
            }
        }
        let limit = connection.max_message_bytes;
        for outgoing in taken {
            self.arrived(now, &peer_id, outgoing);
        }
        for outgoing in too_large {
            self.settle_too_large(&peer_id, outgoing, limit);
        }
        self.watch_queue(now, &peer_id);
        if let Some(error) = failure {
            self.connection_failed(now, id, &error.to_string());
            return false;
        }
        if wrote {
            self.acknowledge_along(now, &peer_id);
        }
        wrote
    }
}
