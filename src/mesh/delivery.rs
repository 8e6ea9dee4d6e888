//! Messages: out of a session's outbox into the connection of the day, in from there to the agent,
//! and what is known of their arrival.

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::control::Control;
use crate::protocol::ipc::{ErrorCode, ErrorReport, Event, Pressure, Receipt, Success};
use crate::protocol::message::Message;

use super::agent::Taken;
use super::commands::report;
use super::connection::ConnectionId;
use super::link::{Channel, Link, Linker};
use super::origin::{Generation, Origin};
use super::session::Outgoing;
use super::{Mesh, TimerKey};

impl<K: Linker> Mesh<K> {
    /// Writes as many queued messages as the window and the channel have room for. Says whether
    /// anything was written, so that the link has to be heard again.
    pub(super) fn pump(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        if !connection.is_ready() {
            return false;
        }
        let peer_id = connection.peer.clone();
        self.settle_by_transport(now, id);
        let (Some(connection), Some(peer)) =
            (self.connections.get_mut(&id), self.peers.get_mut(&peer_id))
        else {
            return false;
        };
        // Another make that offers anew has dropped this connection: what is left to send goes over
        // the next.
        let is_replaced = !connection.speaks_sessions && peer.connections.last() != Some(&id);
        if peer.current != Some(id) || is_replaced {
            return false;
        }
        let buffered = connection.link.buffered(Channel::Mesh);
        connection.flight.acknowledged_to(buffered);
        let mut wrote = false;
        let mut failure = None;
        let mut too_large = Vec::new();
        let mut taken = Vec::new();
        loop {
            let next = if connection.speaks_sessions {
                peer.session.next_to_write()
            } else {
                peer.session
                    .peek_next()
                    .filter(|_| connection.receipts.has_room())
            };
            let Some(next) = next else { break };
            let size = next.size();
            if size > connection.max_message_bytes && peer.session.next_is_unnumbered() {
                too_large.extend(peer.session.take_next());
                continue;
            }
            if !connection.flight.has_room(size, connection.round_trip) {
                break;
            }
            match connection
                .link
                .write(Channel::Mesh, next.as_str().as_bytes())
            {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            connection.flight.written(size);
            wrote = true;
            peer.sent.add(size);
            self.totals.sent.add(size);
            if connection.speaks_sessions {
                peer.session.written();
                taken.extend(peer.session.settle_taken());
            } else if let Some(Outgoing { message, origin }) = peer.session.take_next() {
                let request_id = message.request_id();
                connection.receipts.written(origin, request_id, size);
            }
        }
        if wrote {
            peer.outlet.moved(now);
        }
        let limit = connection.max_message_bytes;
        for outgoing in taken {
            self.settle(&peer_id, &outgoing.origin, Ok(Receipt::Agent));
        }
        for outgoing in too_large {
            self.settle_too_large(&peer_id, outgoing, limit);
        }
        self.watch_pressure(now, &peer_id);
        if let Some(error) = failure {
            self.connection_failed(now, id, &error.to_string());
            return false;
        }
        wrote
    }

    /// Towards other makes the transport's acknowledgement is the receipt.
    fn settle_by_transport(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.speaks_sessions {
            return;
        }
        let buffered = connection.link.buffered(Channel::Mesh);
        let settled = connection.receipts.settle(buffered);
        let peer_id = connection.peer.clone();
        if !settled.is_empty()
            && let Some(peer) = self.peers.get_mut(&peer_id)
        {
            peer.outlet.moved(now);
        }
        for written in settled {
            self.settle(&peer_id, &written.origin, Ok(Receipt::Transport));
        }
    }

    /// A message on `mesh`.
    pub(super) fn mesh_message(&mut self, now: Instant, id: ConnectionId, data: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.is_ready() {
            return self.keep_until_ready(now, id, data);
        }
        let peer_id = connection.peer.clone();
        if self.greets_elsewhere(&peer_id, id) {
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
            if peer.inbox_bytes > inbox_limit {
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
        self.totals.received.add(data.len());
        match message {
            Ok(message) => {
                peer.inbox_bytes += message.size();
                let taken = Taken {
                    peer: peer_id.clone(),
                    epoch: peer.session.epoch(),
                    bytes: message.size(),
                };
                let from_peer = peer_id;
                self.agent
                    .push_message(Event::Message { from_peer, message }, taken);
            }
            Err(error) => {
                self.totals.unusable_messages += 1;
                log::warn!(
                    "dropped a message of {peer_id}, {} bytes: {error}",
                    data.len()
                );
            }
        }
        self.watch_gate(id);
    }

    /// Keeps what comes in before the `hello` that gives it its number.
    fn keep_until_ready(&mut self, now: Instant, id: ConnectionId, data: Vec<u8>) {
        let window = self.window();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let kept: usize = connection.early.iter().map(Vec::len).sum();
        if kept + data.len() <= window + self.settings.limits.message_bytes {
            connection.early.push(data);
        } else {
            self.connection_failed(now, id, "sends beyond the window before its hello");
        }
    }

    /// Closes the gate of a peer of another make while the agent has more than enough of it.
    pub(super) fn watch_gate(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.speaks_sessions {
            return;
        }
        let Some(peer) = self.peers.get(&connection.peer) else {
            return;
        };
        let capacity = self.settings.queue_bytes;
        if peer.inbox_bytes >= capacity {
            connection.gate.set_closed(true);
        } else if peer.inbox_bytes <= capacity / 2 {
            connection.gate.set_closed(false);
        }
    }

    /// The agent's socket has taken `count` further events.
    pub fn events_written(&mut self, now: Instant, generation: Generation, count: usize) {
        let mut touched: Vec<PeerId> = Vec::new();
        for taken in self.agent.written(generation, count) {
            let Some(peer) = self.peers.get_mut(&taken.peer) else {
                continue;
            };
            peer.inbox_bytes = peer.inbox_bytes.saturating_sub(taken.bytes);
            if peer.session.take(taken.epoch) {
                peer.acknowledgement.untold_bytes += taken.bytes;
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

    fn release_gate(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(id) = self.peers.get(peer_id).and_then(|peer| peer.current) else {
            return;
        };
        self.watch_gate(id);
        while let Some(connection) = self.connections.get_mut(&id)
            && let Some(held) = connection.gate.release()
        {
            let handled = connection.link.handle_datagram(now, &held.as_datagram());
            self.after_input(now, id, handled);
        }
    }

    /// Tells the peer how much our agent has taken: at once if much is untold or nothing was told
    /// lately, or else a moment later together with what is taken until then.
    fn acknowledge_soon(&mut self, now: Instant, peer_id: &PeerId) {
        let window = self.window();
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        let acknowledgement = &mut peer.acknowledgement;
        let next = acknowledgement
            .last
            .map_or(now, |last| last + limits::ACKNOWLEDGEMENT_INTERVAL);
        if acknowledgement.untold_bytes >= window / 4 || next <= now {
            self.acknowledge(now, peer_id);
        } else {
            self.timers
                .set(TimerKey::Acknowledgement(peer_id.clone()), Some(next));
        }
    }

    /// Sends the acknowledgement that is due.
    pub(super) fn acknowledge(&mut self, now: Instant, peer_id: &PeerId) {
        let share = self.window();
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        // What processes before this one have sent takes room too.
        let window = share.saturating_sub(peer.inbox_bytes.saturating_sub(share)) as u64;
        let Some(id) = peer.current else { return };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        // While a hello is under way elsewhere, what we tell here might be newer than it.
        if !connection.speaks_sessions || self.greets_elsewhere(peer_id, id) {
            return;
        }
        let (Some(peer), Some(connection)) =
            (self.peers.get_mut(peer_id), self.connections.get_mut(&id))
        else {
            return;
        };
        let frame = Control::Ack {
            taken: peer.session.taken(),
            window,
        };
        let written = connection
            .link
            .write(Channel::Control, frame.to_text().as_bytes());
        let acknowledgement = &mut peer.acknowledgement;
        acknowledgement.last = Some(now);
        let key = TimerKey::Acknowledgement(peer_id.clone());
        match written {
            Ok(true) => {
                acknowledgement.untold_bytes = 0;
                self.timers.set(key, None);
            }
            Ok(false) => {
                let again = now + limits::ACKNOWLEDGEMENT_INTERVAL;
                self.timers.set(key, Some(again));
            }
            Err(error) => return self.connection_failed(now, id, &error.to_string()),
        }
        self.drive(now, id);
    }

    /// A frame on `mesh-control`.
    pub(super) fn control_frame(&mut self, now: Instant, id: ConnectionId, data: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.speaks_sessions {
            return;
        }
        match Control::parse(data) {
            Some(Control::Hello { session, received }) => {
                if connection.greeting.is_none() {
                    connection.greeting = Some((session, received));
                    self.advance(now, id);
                }
            }
            Some(Control::Ack { taken, window }) if connection.is_ready() => {
                let peer_id = connection.peer.clone();
                self.acknowledged(now, id, &peer_id, taken, window);
            }
            Some(Control::Ping { t }) => {
                let pong = Control::Pong { t }.to_text();
                if let Err(error) = connection.link.write(Channel::Control, pong.as_bytes()) {
                    log::debug!("{}: no pong: {error}", connection.peer);
                }
            }
            Some(Control::Ack { .. } | Control::Pong { .. }) | None => {}
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
        let settled = peer.session.acknowledge(taken, window);
        if !settled.is_empty() {
            peer.outlet.moved(now);
        }
        for outgoing in settled {
            self.settle(peer_id, &outgoing.origin, Ok(Receipt::Agent));
        }
        self.watch_pressure(now, peer_id);
    }

    /// What became of a message.
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
            (Origin::Command { .. }, Err(error)) => self.agent.fail(origin, error),
            (Origin::Broadcast(key), result) => self.settle_broadcast(peer_id, *key, result),
        }
    }

    fn settle_broadcast(
        &mut self,
        peer_id: &PeerId,
        key: super::origin::BroadcastKey,
        result: Result<Receipt, ErrorReport>,
    ) {
        // With an id the answer lists the failures, without one each is told by itself.
        if let Err(error) = &result
            && let Some(origin @ Origin::Command { id: None, .. }) = self.broadcasts.origin(key)
        {
            self.agent.fail(origin, error.clone());
        }
        let Some(settled) = self.broadcasts.settle(key, peer_id, result.err()) else {
            return;
        };
        let origin = settled.origin.clone();
        match &origin {
            Origin::Command { id: Some(_), .. } if !self.agent.awaits_answer(&origin) => {
                for error in settled.into_failures() {
                    self.agent.fail(&origin, error);
                }
            }
            Origin::Command { .. } | Origin::Broadcast(_) => {
                self.agent.succeed(&origin, settled.into_answer());
            }
        }
    }

    /// A message will not arrive, for a reason that a person can read.
    pub(super) fn settle_failed(
        &mut self,
        peer_id: &PeerId,
        outgoing: Outgoing,
        code: ErrorCode,
        text: String,
    ) {
        self.totals.failed_messages += 1;
        let request_id = outgoing.message.request_id();
        let error = report(code, text, peer_id, request_id);
        self.settle(peer_id, &outgoing.origin, Err(error));
    }

    pub(super) fn settle_too_large(&mut self, peer_id: &PeerId, outgoing: Outgoing, limit: usize) {
        self.totals.failed_messages += 1;
        let size = outgoing.message.size();
        let text = format!("{peer_id} takes {limit} bytes at most; the message has {size}");
        let request_id = outgoing.message.request_id();
        let error = ErrorReport {
            limit: Some(limit as u64),
            ..report(ErrorCode::MessageTooLarge, text, peer_id, request_id)
        };
        self.settle(peer_id, &outgoing.origin, Err(error));
    }

    /// Tells the agent when a queue crosses its watermarks, and holds it back above.
    pub(super) fn watch_pressure(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        let queued_bytes = peer.session.queued_bytes();
        let change = peer
            .outlet
            .fill(now, queued_bytes, self.settings.queue_bytes);
        let Some(state) = change else { return };
        match state {
            Pressure::High => self.holding_back.insert(peer_id.clone()),
            Pressure::Normal => self.holding_back.remove(peer_id),
        };
        self.arm_peer(now, peer_id);
        self.agent.push_state(Event::Pressure {
            target_peer: peer_id.clone(),
            state,
            queued_bytes,
        });
    }
}
