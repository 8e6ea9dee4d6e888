//! Moving to a faster path: measures the pairs of addresses of a connection by its checks, and changes from the one
//! in use to one that is clearly faster.
//!
//! The ICE agent takes the pair of the highest priority, which knows kinds of addresses and no round trips: of two
//! links, or of a link and a relay, it may take the slower one for ever. The offerer's choice counts (RFC 8445:
//! the controlling side). Only between two of ours: other stacks have rules of their own.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;

use super::Mesh;
use super::connection::{Connection, ConnectionId, Role};
use super::link::check::{Check, TransactionId};
use super::link::{Datagram, Link, Linker, Path};

impl<L: Link> Connection<L> {
    /// Notes the answer to a check. Returns whether the check was ours.
    fn measure(&mut self, now: Instant, path: Path, id: TransactionId) -> bool {
        let measured = self.round_trips.answered(now, path, id);
        if let Some(round_trip) = measured
            && self.path.is_none_or(|used| used == path)
        {
            self.measured(now, round_trip);
        }
        measured.is_some()
    }

    /// Returns whether the path may be changed: the session is on it, and nothing is wrong with it.
    fn may_move(&self, now: Instant, role: Role) -> bool {
        self.role == role && self.speaks_sessions && self.is_ready() && self.is_beyond_doubt(now)
    }
}

impl<K: Linker> Mesh<K> {
    /// Takes note of a check, or of the answer to one, that the connection has accepted.
    pub(super) fn note_check(&mut self, now: Instant, id: ConnectionId, datagram: &Datagram<'_>) {
        let path = datagram.path();
        match Check::read(datagram.bytes) {
            Some(Check::Answer { id: transaction }) => {
                let Some(connection) = self.connections.get_mut(&id) else {
                    return;
                };
                connection.measure(now, path, transaction);
                connection.search.found_pair();
                if connection.path == Some(path) && connection.choice.is_confirmed(path) {
                    return self.prefer(now, id, path);
                }
                if connection.choice.is_reached(path) {
                    // Datagrams take the new path now. One tells both us and the peer, if there is no message.
                    return self.ping(now, id);
                }
                self.consider_faster_path(now, id);
            }
            Some(Check::Request {
                nominates: true, ..
            }) => self.follow(now, id, path),
            Some(Check::Request { .. }) => self.checked_by_peer(now, id, path),
            None => {}
        }
    }

    /// Takes note that the peer has checked a path. The ICE agent ignores that if it has given the path up in favour of
    /// a faster one, which may be dead by now.
    fn checked_by_peer(&mut self, now: Instant, id: ConnectionId, path: Path) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let used = connection.path.filter(|used| *used != path);
        if used.is_some_and(|used| connection.choice.has_settled_on(now, used)) {
            // While both sides check their pairs, such checks say nothing.
            connection.choice.begin(now);
            self.peer_is_elsewhere(now, id);
        }
    }

    /// Takes the answer to a check that no connection waits for any more, because its pairs were formed anew
    /// meanwhile. It tells how long answers take. Returns whether it was one.
    pub(super) fn note_late_answer(&mut self, now: Instant, datagram: &Datagram<'_>) -> bool {
        let Some(Check::Answer { id }) = Check::read(datagram.bytes) else {
            return false;
        };
        let path = datagram.path();
        let mut connections = self.connections.values_mut();
        connections.any(|connection| connection.measure(now, path, id))
    }

    /// Moves the connection to a path that is clearly faster, if there is one.
    fn consider_faster_path(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.choice.is_open(now) || !connection.may_move(now, Role::Offerer) {
            return;
        }
        let Some(used) = connection.path else {
            return;
        };
        let Some(faster) = connection.round_trips.clearly_faster(now, used) else {
            return;
        };
        if !connection.choice.take(now, faster) {
            return;
        }
        log::info!(
            "{}: {} answers faster than {}",
            connection.peer,
            faster.remote,
            used.remote
        );
        self.prefer(now, id, faster);
    }

    /// Gives up all other paths, on our side, which is the offerer's.
    fn prefer(&mut self, now: Instant, id: ConnectionId, path: Path) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.round_trips.begin_anew();
        let seen = connection.round_trips.remotes();
        let moved = connection.link.prefer(now, path, &connection.local, &seen);
        self.after_input(now, id, moved);
    }

    /// Follows the offerer to the pair that it has chosen, if that is not the one of the highest priority.
    fn follow(&mut self, now: Instant, id: ConnectionId, path: Path) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let is_chosen = connection.choice.nominated(path);
        let Some(used) = connection.path.filter(|used| *used != path) else {
            return;
        };
        if !is_chosen
            || !connection.may_move(now, Role::Answerer)
            || !connection.choice.take(now, path)
        {
            return;
        }
        // Pairs that are formed anew are not nominated. The peer will nominate the one that it has chosen.
        let on_used = connection.local.iter();
        let on_used: Vec<_> = on_used
            .filter(|candidate| candidate.source() == used.local)
            .copied()
            .collect();
        connection.link.check_again(now, &on_used);
        self.drive(now, id);
    }

    /// Returns how long a round trip to the peer may take: the longest of those that are known, to it and to the
    /// registry, which its signals take.
    pub(super) fn longest_round_trip(&self, peer_id: &PeerId) -> Duration {
        let measured = self.connections_of(peer_id);
        let measured = measured.filter_map(|(_, connection)| connection.round_trip);
        let longest = measured.chain(self.roster.round_trip()).max();
        longest.unwrap_or_default().min(limits::LONGEST_ROUND_TRIP)
    }
}
