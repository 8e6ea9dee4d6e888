//! Candidates as they come and go. Of our own those found late are trickled (RFC 8838), those lost are
//! taken out of use. Of the peer's those with a name in place of an address wait for that.

use std::net::IpAddr;
use std::time::Instant;

use crate::nat::candidate::LocalCandidate;
use crate::protocol::signaling::Signal;

use super::Mesh;
use super::connection::ConnectionId;
use super::link::{Link, Linker};

impl<K: Linker> Mesh<K> {
    /// The local candidates that there are now, in sets; see the note on lanes in `ARCHITECTURE.md`.
    /// May be called at any time, with all of them.
    pub fn set_lanes(&mut self, now: Instant, lanes: Vec<Vec<LocalCandidate>>) {
        self.lanes = lanes;
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for id in connections {
            self.update_candidates(now, id);
        }
    }

    /// The next name under `.local` whose address a peer's candidate needs. Drained after every input.
    pub fn poll_local_name(&mut self) -> Option<String> {
        self.local_names.pop_front()
    }

    /// A name that [`Mesh::poll_local_name`] gave has this address.
    pub fn local_name_resolved(&mut self, now: Instant, name: &str, address: IpAddr) {
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for id in connections {
            let connection = self.connections.get_mut(&id);
            if connection.is_some_and(|connection| connection.resolved(now, name, address)) {
                self.took_candidates(id);
                self.drive(now, id);
            }
        }
    }

    /// Candidates of the peer were taken: has the names asked for that they hold, and counts those that
    /// were too many.
    pub(super) fn took_candidates(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            self.totals.ignored_candidates += connection.candidates.take_ignored();
            let names = connection.candidates.names_to_ask().map(str::to_owned);
            self.local_names.extend(names);
        }
    }

    /// Brings a connection's candidates up to those of its lane. A better path that this opens is
    /// taken by ICE itself.
    fn update_candidates(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let present = self.lanes.get(connection.lane).cloned().unwrap_or_default();
        let former = std::mem::replace(&mut connection.local, present.clone());
        if former == present {
            return;
        }
        for lost in former.iter().filter(|former| !present.contains(former)) {
            connection.link.remove_local_candidate(*lost);
        }
        let found = present.iter().filter(|present| !former.contains(present));
        let trickled: Vec<_> = found
            .filter_map(|found| connection.link.add_local_candidate(*found))
            .collect();
        let has_lost_path = connection
            .path
            .is_some_and(|path| !connection.sends_from(path.local));
        if has_lost_path {
            connection.liveness.doubt(now);
        }
        let (peer_id, attempt) = (connection.peer.clone(), connection.attempt.clone());
        for candidate in trickled {
            self.signal(&peer_id, Signal::Candidate { candidate }, attempt.clone());
        }
        self.drive(now, id);
        if has_lost_path {
            self.look_at_connection(now, id);
        }
    }
}
