//! Our own candidates as they come and go: those found late are trickled (RFC 8838), those lost are
//! taken out of use.

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
