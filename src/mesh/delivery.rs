//! Delivery of messages: handles the acknowledgements of the peer or of its transport, and tells the
//! agent what became of each message.

use std::time::Instant;

use crate::protocol::PeerId;
use crate::protocol::control::Control;
use crate::protocol::ipc::{ErrorCode, ErrorReport, Receipt, Success};

use super::Mesh;
use super::agent::origin::{BroadcastKey, Origin};
use super::commands::report;
use super::connection::ConnectionId;
use super::link::{Channel, Linker};
use super::peer::session::Outgoing;

impl<K: Linker> Mesh<K> {
    /// Handles a frame that came in on `mesh-control`.
    pub(super) fn control_frame(&mut self, now: Instant, id: ConnectionId, data: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.speaks_sessions {
            return;
        }
        match Control::parse(data) {
            Some(Control::Hello(hello)) => {
                if connection.greeting.is_some() {
                    return;
                }
                if let Some(distrust) = self.distrusts_hello(id, &hello) {
                    return self.distrusted(now, id, &distrust);
                }
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.greeting = Some(hello);
                    self.advance(now, id);
                }
            }
            // Each side's hello comes first. What comes before it is nobody's.
            Some(_) if connection.greeting.is_none() => {}
            Some(Control::Ack { taken, window }) if connection.is_ready() => {
                let peer_id = connection.peer.clone();
                self.acknowledged(now, id, &peer_id, taken, window);
            }
            Some(Control::Ping { t }) => {
                let pong = Control::Pong { t }.to_text();
                if let Err(error) = connection.write(Channel::Control, pong.as_bytes()) {
                    log::debug!("{}: no pong: {error}", connection.peer);
                }
            }
            Some(Control::Pong { .. }) => connection.liveness.answered(now),
            Some(Control::Frame { text }) => self.passed(now, id, &text),
            Some(Control::Rest) => connection.is_to_rest = true,
            Some(Control::Ack { .. }) | None => {}
        }
    }

    fn acknowledged(
        &mut self,
        now: Instant,
        id: ConnectionId,
        peer_id: &PeerId,
        taken: u64,
        window: u64,
    ) {
        if self.greets_elsewhere(peer_id, id) {
            return;
        }
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        let settled = match peer.session.acknowledge(taken, window) {
            Ok(settled) => settled,
            Err(contradiction) => return self.contradicted(now, id, peer_id, contradiction),
        };
        if !settled.is_empty() {
            peer.has_contradicted = false;
            peer.watermarks.moved(now);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.tail.taken(peer.session.progress().0);
        }
        for outgoing in settled {
            self.arrived(now, peer_id, outgoing);
        }
        self.watch_queue(now, peer_id);
    }

    /// Settles messages to a peer of another make by the acknowledgements of its transport, which says
    /// that `buffered` bytes of the mesh channel are not acknowledged.
    pub(super) fn settle_by_transport(&mut self, now: Instant, id: ConnectionId, buffered: usize) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let settled = connection.receipts.settle(buffered);
        let peer_id = connection.peer.clone();
        if !settled.is_empty()
            && let Some(peer) = self.peers.get_mut(&peer_id)
        {
            peer.watermarks.moved(now);
            self.watch_queue(now, &peer_id);
        }
        for written in settled {
            let took = now.saturating_duration_since(written.accepted);
            self.totals.receipts.transport.observe(took);
            self.settle(&peer_id, &written.origin, Ok(Receipt::Transport));
        }
    }

    /// Tells that the peer's agent has taken a message.
    pub(super) fn arrived(&mut self, now: Instant, peer_id: &PeerId, outgoing: Outgoing) {
        let took = now.saturating_duration_since(outgoing.accepted);
        self.totals.receipts.agent.observe(took);
        self.settle(peer_id, &outgoing.origin, Ok(Receipt::Agent));
    }

    /// Tells what became of a message.
    pub(super) fn settle(
        &mut self,
        peer_id: &PeerId,
        origin: &Origin,
        result: Result<Receipt, ErrorReport>,
    ) {
        match (origin, result) {
            (Origin::Command { .. }, Ok(receipt)) => {
                let target_peer = peer_id.clone();
                self.agent.succeed(
                    origin,
                    Success::Sent {
                        target_peer,
                        receipt,
                    },
                );
            }
            (Origin::Command { .. }, Err(error)) => self.agent.fail_message(origin, error),
            (Origin::Broadcast(key), result) => self.settle_broadcast(peer_id, *key, result),
        }
    }

    fn settle_broadcast(
        &mut self,
        peer_id: &PeerId,
        key: BroadcastKey,
        result: Result<Receipt, ErrorReport>,
    ) {
        let Some(settled) = self.broadcasts.settle(key, peer_id, result.err()) else {
            return;
        };
        let origin = settled.origin.clone();
        if self.agent.awaits_answer(&origin) {
            self.agent.succeed(&origin, settled.into_answer());
        } else {
            // The answer would have listed the failures.
            for error in settled.into_failures() {
                self.agent.fail_message(&origin, error);
            }
        }
    }

    /// Tells that a message will not arrive, for a reason that a person can read.
    pub(super) fn settle_failed(
        &mut self,
        peer_id: &PeerId,
        outgoing: Outgoing,
        code: ErrorCode,
        text: String,
    ) {
        self.totals.drops.failed_messages += 1;
        let request_id = outgoing.message.request_id();
        let error = report(code, text, peer_id, request_id);
        self.settle(peer_id, &outgoing.origin, Err(error));
    }

    pub(super) fn settle_too_large(&mut self, peer_id: &PeerId, outgoing: Outgoing, limit: usize) {
        self.totals.drops.failed_messages += 1;
        let size = outgoing.message.size();
        let text = format!("{peer_id} takes {limit} bytes at most; the message has {size}");
        let request_id = outgoing.message.request_id();
        let error = ErrorReport {
            limit: Some(limit as u64),
            ..report(ErrorCode::MessageTooLarge, text, peer_id, request_id)
        };
        self.settle(peer_id, &outgoing.origin, Err(error));
    }
}
