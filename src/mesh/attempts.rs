//! Attempts: offers a connection to a peer, and sets up the state and the limits of each attempt.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::signaling::Signal;

use super::connection::burst::Burst;
use super::connection::early_messages::EarlyMessages;
use super::connection::flow_control::FlowControl;
use super::connection::liveness::Liveness;
use super::connection::outstanding::Outstanding;
use super::connection::path_choice::PathChoice;
use super::connection::path_search::PathSearch;
use super::connection::receipts::Receipts;
use super::connection::remote_candidates::RemoteCandidates;
use super::connection::round_trips::RoundTrips;
use super::connection::send_window::SendWindow;
use super::connection::swallowing::Swallowing;
use super::connection::tail_probe::TailProbe;
use super::connection::{Connection, ConnectionId, Handshake, OfferToRepeat, Phase, Role};
use super::link::Linker;
use super::link::description;
use super::peer::Peer;
use super::{Mesh, random_id};

/// How long an attempt may take, from its beginning.
pub(super) struct Patience {
    /// How long the answer to our offer may take.
    pub(super) answer: Duration,
    /// How long the connection may take.
    pub(super) attempt: Duration,
}

impl<K: Linker> Mesh<K> {
    /// Offers a new connection to the peer.
    pub(super) fn offer(&mut self, now: Instant, peer_id: &PeerId) {
        let lane = self.free_lane(peer_id);
        let candidates = self.lanes.get(lane).cloned().unwrap_or_default();
        let packets = self.packets_to(peer_id);
        let (link, sdp) = match self.linker.offer(now, &candidates, packets) {
            Ok(made) => made,
            Err(error) => {
                log::error!("cannot offer a connection to {peer_id}: {error}");
                return self.plan_replacement(now, peer_id);
            }
        };
        let attempt = random_id(&mut self.random);
        let introducers = self.introducers(now, peer_id, &[]);
        let can_resume = self.peers.get(peer_id).is_some_and(Peer::can_resume);
        let id = self.add_connection(now, peer_id, lane, Role::Offerer, link);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.attempt = Some(attempt.clone());
            connection.introducers = introducers;
        }
        let frame = self.signal(peer_id, Signal::Offer { sdp }, Some(attempt));
        if let Some(connection) = self.connections.get_mut(&id).filter(|_| can_resume) {
            connection.offer = Some(OfferToRepeat {
                frame,
                at: now + limits::INTRODUCTION_INTERVAL,
            });
        }
        self.drive(now, id);
    }

    /// Chooses a lane, a set of local candidates: one that no other connection to this peer uses, or else
    /// the one that comes next in turn.
    pub(super) fn free_lane(&self, peer_id: &PeerId) -> usize {
        let lanes = self.lanes.len().max(1);
        let first = usize::try_from(self.next_connection).unwrap_or(0) % lanes;
        let in_turn = (0..lanes).map(|step| (first + step) % lanes);
        // If there are few ports, a lane may have no candidate at all.
        let has_candidate =
            |lane: &usize| self.lanes.get(*lane).is_some_and(|found| !found.is_empty());
        let mut usable = in_turn.filter(has_candidate);
        let is_free = |lane: &usize| {
            self.connections_of(peer_id)
                .all(|(_, connection)| connection.lane != *lane)
        };
        let any = usable.clone().next().unwrap_or(first);
        usable.find(is_free).unwrap_or(any)
    }

    pub(super) fn add_connection(
        &mut self,
        now: Instant,
        peer_id: &PeerId,
        lane: usize,
        role: Role,
        link: K::Link,
    ) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let patience = self.patience(peer_id);
        let (phase, limit) = match role {
            Role::Offerer => (Phase::Offered, patience.answer),
            Role::Answerer => (Phase::Connecting, patience.attempt),
        };
        let packets = self.packets_to(peer_id);
        let receive_window = limits::RECEIVE_BUFFER_BYTES.max(self.settings.limits.message_bytes);
        let connection = Connection {
            peer: peer_id.clone(),
            lane,
            role,
            attempt: None,
            introducers: Vec::new(),
            offer: None,
            fingerprint: None,
            certificates: None,
            speaks_sessions: false,
            announced_session: None,
            told_session: None,
            link,
            phase,
            created: now,
            deadline: Some(now + limit),
            handshake: Handshake::default(),
            greeting: None,
            early: EarlyMessages::default(),
            opened: None,
            candidates: RemoteCandidates::new(now),
            local: self.lanes.get(lane).cloned().unwrap_or_default(),
            max_message_bytes: description::UNANNOUNCED_MAX_MESSAGE_BYTES,
            next_number: 1,
            liveness: Liveness::new(now),
            search: PathSearch::default(),
            round_trips: RoundTrips::default(),
            choice: PathChoice::new(now),
            outstanding: Outstanding::default(),
            swallowing: Swallowing::new(packets),
            may_be_left: false,
            is_to_rest: false,
            send_window: SendWindow::default(),
            tail: TailProbe::default(),
            flow_control: FlowControl::new(receive_window),
            burst: Burst::default(),
            receipts: Receipts::default(),
            path: None,
            round_trip: None,
        };
        self.connections.insert(id, connection);
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.connections.push(id);
            peer.note_state(now);
        }
        id
    }

    /// Returns after what time an attempt that has found no path looks for one anew. Answers to its checks
    /// need a round trip, which is known for a peer that was met.
    pub(super) fn search_after(&self, peer_id: &PeerId) -> Duration {
        let (known, unknown) = limits::ATTEMPT_SEARCH_AFTER;
        let round_trip = self
            .current_of(peer_id)
            .and_then(|current| current.round_trip);
        round_trip.map_or_else(
            || unknown + 2 * self.longest_round_trip(peer_id),
            |round_trip| known + 2 * round_trip,
        )
    }

    /// Returns how long the next attempt may take. The first leaves time for another within the connect
    /// timeout; each that fails doubles the time for the next, up to a limit. Each has the time of its round
    /// trips beside.
    pub(super) fn patience(&self, peer_id: &PeerId) -> Patience {
        let failures = self.peers.get(peer_id).map_or(0, Peer::failures);
        let doubled = 1 << failures.min(limits::PATIENCE_DOUBLINGS);
        let attempt = limits::ATTEMPT_TIMEOUT.min(self.settings.connect_timeout / 2);
        let round_trip = self.longest_round_trip(peer_id);
        Patience {
            answer: limits::ANSWER_TIMEOUT.min(attempt) * doubled
                + limits::ROUND_TRIPS_TO_ANSWER * round_trip,
            attempt: attempt * doubled + limits::ROUND_TRIPS_TO_CONNECT * round_trip,
        }
    }

    pub(super) fn drop_attempts(
        &mut self,
        now: Instant,
        peer_id: &PeerId,
        which: impl Fn(&Connection<K::Link>) -> bool,
    ) {
        let dropped: Vec<_> = self
            .connections_of(peer_id)
            .filter(|(_, connection)| which(connection))
            .map(|(id, _)| id)
            .collect();
        for id in dropped {
            self.retire(now, id);
        }
    }
}
