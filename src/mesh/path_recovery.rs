//! Finding a path again: checks the pairs of a connection anew while none is known to work, and lets the
//! transport go on as soon as one does.

use std::time::{Duration, Instant};

use super::Mesh;
use super::connection::ConnectionId;
use super::link::{Link, Linker};

impl<K: Linker> Mesh<K> {
    /// Asks every peer of ours for a sign of life, because the machine's addresses or routes have changed, or it has
    /// slept. Looks at once for those that can't be reached. A peer of another make has no frame to be asked with; its
    /// path is checked when it has been quiet.
    pub fn network_changed(&mut self, now: Instant) {
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for id in connections {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            if connection.is_attempt() || !connection.is_well(now) {
                connection.search.end();
                self.search_path(now, id);
                self.check_paths(now, id);
                self.arm(now, id);
            } else {
                self.ping(now, id);
            }
        }
        self.forget_swallowed_packets();
        self.hurry_offers(now);
    }

    /// Returns whether, since the last call, nobody has answered the checks of a connection, so that the network
    /// itself is in doubt.
    pub fn take_doubt(&mut self) -> bool {
        std::mem::take(&mut self.has_new_doubt)
    }

    /// Begins to look for a path, if that is not under way.
    pub(super) fn search_path(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.search.begin(now);
        }
    }

    /// Checks all pairs anew if that is due. If nobody answers, the network itself is in doubt.
    pub(super) fn check_paths(&mut self, now: Instant, id: ConnectionId) {
        let round_trip = self.round_trip_of_checks(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let is_beyond_doubt = connection.is_beyond_doubt(now);
        if connection.is_ready() && is_beyond_doubt {
            connection.search.end();
        }
        if connection.search.finds_nobody(now) && !connection.is_attempt() {
            self.has_new_doubt = true;
        }
        let is_due = connection.search.is_due(now, round_trip);
        // While an attempt is heard and has a path, its handshake is under way. One that is not nominated yet
        // would be lost if it was formed anew.
        let has_path = connection.path.is_some() || connection.search.has_pair();
        let shakes_hands = connection.is_attempt() && is_beyond_doubt && has_path;
        if is_due && !shakes_hands {
            connection.check_again(now);
            self.drive(now, id);
        }
    }

    /// Notes that the peer is heard from an address from which it was not heard before.
    pub(super) fn peer_is_elsewhere(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(opened) = connection.opened
            && connection.search.finds_peer_elsewhere(now, opened)
        {
            connection.liveness.peer_is_elsewhere(now);
            connection.check_again(now);
            self.drive(now, id);
        }
    }

    /// Returns how long the answer to a check may take, as far as that is known: as measured on this connection,
    /// or on the one in use, or as long as the registry takes.
    fn round_trip_of_checks(&self, id: ConnectionId) -> Option<Duration> {
        let connection = self.connections.get(&id)?;
        let in_use = || self.current_of(&connection.peer)?.round_trip;
        let measured = connection.round_trip.or_else(in_use);
        measured.or_else(|| self.roster.round_trip())
    }

    /// Notes that the path in use has answered a check, so what we send arrives.
    pub(super) fn path_answers(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.liveness.reaches_peer();
            connection.liveness.checked(now);
            connection.search.found_pair();
            connection.look_at_acknowledgements(now);
            if connection.swallowing.answered(now, connection.round_trip) {
                return self.packets_are_swallowed(now, id);
            }
            self.retransmit_if_stuck(now, id);
        }
    }

    /// Notes that the peer sends by the path that we have taken before. If we had to send again at once, it may have
    /// acknowledged that by the path before, which is dead.
    pub(super) fn peer_uses_path(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.look_at_acknowledgements(now);
        if connection.liveness.retransmissions() > 0 {
            connection.liveness.lost_datagrams(now);
            self.retransmit_if_stuck(now, id);
        }
    }

    /// Lets the transport go on, now that the path works, if it has waited in vain and so would wait longer.
    pub(super) fn retransmit_if_stuck(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.look_at_acknowledgements(now);
        if !connection.link.has_path() || !connection.liveness.is_stuck(now) {
            return;
        }
        // A peer of another make may have no room, which looks the same.
        if connection.liveness.retransmissions() > 0 && !connection.speaks_sessions {
            return;
        }
        connection.liveness.retransmitted();
        log::debug!(
            "{}: what was not acknowledged is sent again",
            connection.peer
        );
        if let Err(error) = connection.link.retransmit(now) {
            self.connection_failed(now, id, &error.to_string());
        }
    }
}
