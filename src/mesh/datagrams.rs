//! The network side: finds the connection of each datagram that comes in, and handles everything that a
//! link gives out.

use std::time::Instant;

use crate::limits;

use super::connection::ConnectionId;
use super::link::check::Check;
use super::link::{Channel, Datagram, Link, LinkError, LinkOutput, Linker, Path};
use super::{Mesh, TimerKey};

impl<K: Linker> Mesh<K> {
    /// Returns how many datagrams so far belonged to no connection.
    pub fn stray_datagrams(&self) -> u64 {
        self.totals.drops.stray_datagrams
    }

    /// Takes a datagram. One that belongs to no connection is dropped and counted.
    ///
    /// Records of one open connection are taken together: their outputs come with the last that there is room for, or
    /// with [`Mesh::flush`].
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        let routes = self.routes.len();
        let Some(id) = self.route(now, &datagram) else {
            if !self.note_late_answer(now, &datagram) {
                self.totals.drops.stray_datagrams += 1;
            }
            return;
        };
        let comes_from_elsewhere = self.routes.len() > routes;
        // Only what the link has verified is a sign of life: a check that it accepts, and what comes out
        // of a DTLS record (see `listen`). The record itself may be anybody's.
        if is_stun(&datagram) {
            self.heard(now, id);
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let is_of_path = connection.uses(&datagram);
        let is_first = is_of_path && !is_stun(&datagram) && connection.liveness.seen(now);
        if connection.flow_control.holds(&datagram) {
            return;
        }
        let is_of_burst = !is_stun(&datagram)
            && !comes_from_elsewhere
            && connection.handshake.mesh_open
            && !is_first;
        let is_of_other_make = !connection.speaks_sessions;
        if is_of_burst
            && !connection
                .burst
                .has_room_for(datagram.bytes, is_of_other_make)
        {
            self.listen(now, id);
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match connection.link.handle_datagram(now, &datagram) {
            Ok(()) => {
                if is_of_burst && connection.burst.add(datagram.bytes, is_of_other_make) {
                    // If nobody flushes it is done with the timers.
                    self.timers.set(TimerKey::Link(id), Some(now));
                } else {
                    if is_stun(&datagram) {
                        if is_of_path && is_stun_response(&datagram) {
                            self.path_answers(now, id);
                        }
                        self.note_check(now, id, &datagram);
                    }
                    self.listen(now, id);
                    if comes_from_elsewhere {
                        self.peer_is_elsewhere(now, id);
                    }
                    if is_first {
                        self.peer_uses_path(now, id);
                    }
                }
                self.unflushed.insert(id);
            }
            Err(error) => {
                // The records before it may hold the peer's goodbye.
                self.listen(now, id);
                self.connection_failed(now, id, &error.to_string());
            }
        }
    }

    /// Takes the outputs of what datagrams have brought, and writes what requests have queued and what datagrams
    /// have made room for. To be called after some of them: together they cost less than each by itself.
    pub fn flush(&mut self, now: Instant) {
        while let Some(id) = self.unflushed.pop_first() {
            let connection = self.connections.get(&id);
            if connection.is_some_and(|connection| connection.burst.is_waiting()) {
                self.listen(now, id);
            }
            if self.pump(now, id) {
                self.drive(now, id);
            }
        }
        while let Some(id) = self.undriven.pop_first() {
            self.drive(now, id);
        }
    }

    /// Finds the connection that a datagram belongs to.
    fn route(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<ConnectionId> {
        let key = (datagram.destination, datagram.source);
        // A STUN message names its connection itself, and makes a route known. Everything else is told
        // apart by the addresses.
        let is_stun = is_stun(datagram);
        let known = self.routes.get(&key).copied();
        if let Some(known) = known
            && let Some(connection) = self.connections.get(&known)
        {
            if !is_stun {
                return Some(known);
            }
            // A newer connection to the same peer is asked first, since the one in use takes everything
            // that comes from there.
            let newer = self
                .connections_of(&connection.peer)
                .filter(|(id, newer)| *id > known && newer.sends_from(datagram.destination))
                .filter(|(_, newer)| newer.link.accepts(now, datagram))
                .map(|(id, _)| id)
                .last();
            if let Some(newer) = newer {
                self.routes.insert(key, newer);
                return Some(newer);
            }
            if connection.link.accepts(now, datagram) {
                return Some(known);
            }
        }
        let newest_first = self.connections.iter().rev();
        let id = newest_first
            .filter(|(_, connection)| connection.sends_from(datagram.destination))
            .find(|(_, connection)| connection.link.accepts(now, datagram))
            .map(|(id, _)| *id)?;
        // Where two connections share a pair of addresses, datagrams that do not name their connection
        // belong to the newer one: the older one is about to be replaced.
        if known.map_or(self.routes.len() < self.route_limit(), |known| known < id) {
            self.routes.insert(key, id);
        }
        Some(id)
    }

    fn route_limit(&self) -> usize {
        self.settings.max_peers * limits::ROUTES_PER_PEER
    }

    /// Goes on after an input of the link was handled: handles its outputs, or ends the connection if
    /// that failed.
    pub(super) fn after_input(
        &mut self,
        now: Instant,
        id: ConnectionId,
        handled: Result<(), LinkError>,
    ) {
        match handled {
            Ok(()) => self.drive(now, id),
            Err(error) => self.connection_failed(now, id, &error.to_string()),
        }
    }

    /// Handles all outputs of the link, and writes what it has room for, until there is no more of
    /// either.
    pub(super) fn drive(&mut self, now: Instant, id: ConnectionId) {
        self.take_all_outputs(now, id);
        while self.pump(now, id) {
            self.take_all_outputs(now, id);
        }
        // By now it is known whether something waits to be acknowledged.
        self.arm(now, id);
        self.watch_tail(id);
    }

    /// Handles all outputs of the link, until it asks for a timeout.
    pub(super) fn listen(&mut self, now: Instant, id: ConnectionId) {
        self.take_all_outputs(now, id);
        self.arm(now, id);
    }

    fn take_all_outputs(&mut self, now: Instant, id: ConnectionId) {
        while self.take_outputs(now, id) {
            // ICE takes a path when it works, so what waits for the old one need not wait any longer.
            self.retransmit_if_stuck(now, id);
            self.plan_report(now);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.liveness.path_changed();
            }
        }
    }

    /// Handles all outputs of the link, until it asks for a timeout. Returns whether our datagrams take
    /// another path than before.
    fn take_outputs(&mut self, now: Instant, id: ConnectionId) -> bool {
        let (mut is_heard, mut has_new_path) = (false, false);
        while let Some(connection) = self.connections.get_mut(&id) {
            match connection.link.poll() {
                Ok(LinkOutput::Transmit(transmit)) => {
                    let (local, remote) = (transmit.source, transmit.destination);
                    let path = Path { local, remote };
                    if matches!(transmit.bytes.first(), Some(20..=63)) {
                        connection.swallowing.sent(now, transmit.bytes.len());
                        has_new_path |= connection.goes_by(now, path);
                    } else if let Some(Check::Request { id, .. }) = Check::read(&transmit.bytes) {
                        connection.round_trips.sent(now, path, id);
                    }
                    self.transmits.push_back(transmit);
                }
                Ok(LinkOutput::Opened(channel)) => {
                    connection.liveness.heard(now);
                    match channel {
                        Channel::Mesh => connection.handshake.mesh_open = true,
                        Channel::Control => connection.handshake.control_open = true,
                    }
                    self.note_certificates(id);
                    self.advance(now, id);
                }
                Ok(LinkOutput::Message(channel, data)) => {
                    if !std::mem::replace(&mut is_heard, true) {
                        self.heard(now, id);
                    }
                    match channel {
                        Channel::Mesh => self.mesh_message(now, id, data),
                        Channel::Control => self.control_frame(now, id, &data),
                    }
                }
                Ok(LinkOutput::Pair {
                    local,
                    remote,
                    round_trip,
                }) => {
                    // An idle connection sends no records that would show the path.
                    has_new_path |= connection.goes_by(now, Path { local, remote });
                    if let Some(round_trip) = round_trip {
                        connection.measured(now, round_trip);
                    }
                }
                Ok(LinkOutput::Nominated) => {
                    connection.liveness.answered(now);
                    has_new_path = true;
                }
                Ok(LinkOutput::Closed) => {
                    self.said_goodbye(now, id);
                    self.connection_failed(now, id, "ended by the peer");
                    return false;
                }
                Ok(LinkOutput::Timeout(at)) => {
                    connection.burst.drained();
                    self.timers.set(TimerKey::Link(id), Some(at));
                    break;
                }
                Err(error) => {
                    self.connection_failed(now, id, &error.to_string());
                    return false;
                }
            }
        }
        has_new_path
    }

    /// Ends a connection on our side: its peer is told, and nothing more is taken from it.
    pub(super) fn retire(&mut self, now: Instant, id: ConnectionId) {
        let Some(mut connection) = self.detach(now, id) else {
            return;
        };
        connection.link.close();
        self.send_last_words(&mut connection.link);
        self.release_gate(now, &connection.peer);
        self.check_reachability(now, &connection.peer);
    }

    /// Sends the last datagrams of a link that has ended to its peer.
    pub(super) fn send_last_words(&mut self, link: &mut K::Link) {
        for _ in 0..limits::GOODBYE_OUTPUTS {
            match link.poll() {
                Ok(LinkOutput::Transmit(transmit)) => self.transmits.push_back(transmit),
                Ok(LinkOutput::Timeout(_)) | Err(_) => break,
                Ok(_) => {}
            }
        }
    }
}

/// Returns whether it is a STUN message: its first byte is 0 to 3 (RFC 7983).
fn is_stun(datagram: &Datagram<'_>) -> bool {
    matches!(datagram.bytes.first(), Some(0..=3))
}

/// Returns whether it is a STUN response: its class sets the lowest bit of the first byte (RFC 8489
/// section 5).
fn is_stun_response(datagram: &Datagram<'_>) -> bool {
    matches!(datagram.bytes.first(), Some(1 | 3))
}
