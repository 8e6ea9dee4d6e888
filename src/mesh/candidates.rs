//! Candidates that come late or go: trickles our own candidates that are found late (RFC 8838), takes
//! those that are lost out of use, and has the names in the peer's candidates resolved.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::nat::candidate::LocalCandidate;
use crate::nat::interface_kind::InterfaceKind;
use crate::protocol::signaling::Signal;

use super::Mesh;
use super::connection::ConnectionId;
use super::link::{Link, Linker};

impl<K: Linker> Mesh<K> {
    /// Sets the local candidates that there are now, in lanes; see the note on lanes in
    /// `ARCHITECTURE.md`. May be called at any time, with all of them.
    pub fn set_lanes(&mut self, now: Instant, lanes: Vec<Vec<LocalCandidate>>) {
        self.set_candidates(now, lanes, Vec::new());
    }

    /// Does what [`Mesh::set_lanes`] does. Candidates in `outdone` stay for the connections that have
    /// them, and new connections do not use them.
    pub fn set_candidates(
        &mut self,
        now: Instant,
        lanes: Vec<Vec<LocalCandidate>>,
        outdone: Vec<LocalCandidate>,
    ) {
        self.lanes = lanes;
        self.outdone = outdone;
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for id in connections {
            self.update_candidates(now, id);
        }
    }

    /// Sets the name and kind of the interface of each address of this machine, for the statistics.
    pub fn set_interfaces(&mut self, interfaces: BTreeMap<IpAddr, (String, InterfaceKind)>) {
        self.interfaces = interfaces;
    }

    /// Returns the next name under `.local` whose address a peer's candidate needs. To be drained after
    /// every input.
    pub fn poll_local_name(&mut self) -> Option<String> {
        self.local_names.pop_front()
    }

    /// Notes that a name which [`Mesh::poll_local_name`] gave has this address.
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

    /// Follows up on candidates of the peer that were taken: has the names in them asked for, and counts
    /// those that were too many.
    pub(super) fn took_candidates(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            self.totals.drops.ignored_candidates += connection.candidates.take_ignored();
            let names = connection.candidates.names_to_ask().map(str::to_owned);
            self.local_names.extend(names);
        }
    }

    /// Brings a connection's candidates up to those of its lane. If that opens a better path, ICE takes
    /// it by itself.
    fn update_candidates(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let mut present = self.lanes.get(connection.lane).cloned().unwrap_or_default();
        let kept = self
            .outdone
            .iter()
            .filter(|kept| connection.local.contains(kept));
        present.extend(kept);
        let former = std::mem::replace(&mut connection.local, present.clone());
        if former == present {
            return;
        }
        let lost: Vec<_> = former
            .iter()
            .filter(|former| !present.contains(former))
            .collect();
        for lost in &lost {
            connection.link.remove_local_candidate(**lost);
        }
        let found = present.iter().filter(|present| !former.contains(present));
        let trickled: Vec<_> = found
            .filter_map(|found| connection.link.add_local_candidate(*found))
            .collect();
        let has_lost_path = connection
            .path
            .is_some_and(|path| !connection.sends_from(path.local));
        // Another address outside explains why the peer is not heard. A relay that is not in use explains nothing.
        let is_searching = !connection.is_attempt() && connection.search.is_under_way();
        let has_lost_address = lost.iter().any(|lost| !is_relayed(lost));
        let is_in_doubt = has_lost_path || (is_searching && has_lost_address);
        if is_in_doubt {
            connection.liveness.doubt(now);
            connection.search.end();
        } else if !connection.is_attempt() && lost.iter().any(|lost| is_reflexive(lost)) {
            // A router has another address, so peers know us by none that still leads here.
            connection.liveness.lost_datagrams(now);
            connection.check_again(now);
        }
        let (peer_id, attempt) = (connection.peer.clone(), connection.attempt.clone());
        self.choose_introducers(now, id);
        for candidate in trickled {
            self.signal(&peer_id, Signal::Candidate { candidate }, attempt.clone());
        }
        self.drive(now, id);
        if is_in_doubt {
            self.look_at_connection(now, id);
        }
    }
}

fn is_relayed(candidate: &LocalCandidate) -> bool {
    matches!(candidate, LocalCandidate::Relayed { .. })
}

fn is_reflexive(candidate: &LocalCandidate) -> bool {
    matches!(candidate, LocalCandidate::ServerReflexive { .. })
}
