//! Signaling: handles the offers, answers and candidates that other sidecars send through the registry,
//! and makes our own.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::signaling::{Extension, Incoming, Outgoing, Signal};

use super::connection::early_messages::EarlyMessages;
use super::connection::flow_control::FlowControl;
use super::connection::liveness::Liveness;
use super::connection::outstanding::Outstanding;
use super::connection::path_search::PathSearch;
use super::connection::receipts::Receipts;
use super::connection::remote_candidates::RemoteCandidates;
use super::connection::send_window::SendWindow;
use super::connection::swallowing::Swallowing;
use super::connection::{Connection, ConnectionId, Handshake, Phase, Role};
use super::introduction::negotiation;
use super::introduction::negotiation::{Situation, Verdict};
use super::link::description;
use super::link::{Link, Linker};
use super::peer::{HeldOffer, Peer};
use super::{Mesh, random_id};

/// How long an attempt may take, from its beginning.
struct Patience {
    /// How long the answer to our offer may take.
    answer: Duration,
    /// How long the connection may take.
    attempt: Duration,
}

impl<K: Linker> Mesh<K> {
    /// Takes a frame of the registry.
    pub fn handle_frame(&mut self, now: Instant, frame: Incoming) {
        if self.shutting_down {
            return;
        }
        match frame {
            Incoming::PeerList { peers, left_out } => self.listed(now, peers, left_out),
            Incoming::Relay {
                sender,
                signal,
                extension,
                target: _,
            } => self.signaled(now, &sender, signal, extension, None),
            Incoming::Unknown { kind } => log::debug!("a frame of the unknown type {kind:?}"),
        }
    }

    /// Takes a signal of a peer. It came from the registry, or from the peer `introducer`.
    pub(super) fn signaled(
        &mut self,
        now: Instant,
        sender: &PeerId,
        signal: Signal,
        extension: Extension,
        introducer: Option<PeerId>,
    ) {
        if self.own.as_ref() == Some(sender) {
            return;
        }
        match signal {
            Signal::Offer { sdp } => self.offered(now, sender, &sdp, extension, introducer),
            Signal::Answer { sdp } => self.answered(now, sender, &sdp, &extension),
            Signal::Candidate { .. } if extension.refused.is_some() => {
                self.offer_refused(now, sender, extension.conn.as_deref());
            }
            Signal::Candidate { candidate } => {
                self.candidate(now, sender, candidate, extension.conn);
            }
        }
    }

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
        let is_known = |peer: &Peer| peer.met && peer.speaks_sessions;
        let is_known = self.peers.get(peer_id).is_some_and(is_known);
        let id = self.add_connection(now, peer_id, lane, Role::Offerer, link);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.attempt = Some(attempt.clone());
            connection.introducers = introducers;
        }
        let offer = self.signal(peer_id, Signal::Offer { sdp }, Some(attempt));
        if let Some(connection) = self.connections.get_mut(&id).filter(|_| is_known) {
            connection.offer = Some(offer);
            connection.repeats_at = Some(now + limits::INTRODUCTION_INTERVAL);
        }
        self.drive(now, id);
    }

    /// Sends a signal to the peer through the registry, and through the peers that introduce us. Returns the
    /// frame.
    pub(super) fn signal(
        &mut self,
        peer_id: &PeerId,
        signal: Signal,
        attempt: Option<String>,
    ) -> Outgoing {
        let of_attempt = self
            .connections_of(peer_id)
            .find(|(_, connection)| connection.attempt == attempt);
        let introducers = of_attempt
            .map(|(_, connection)| connection.introducers.clone())
            .unwrap_or_default();
        let theirs = of_attempt.and_then(|(_, connection)| connection.announced_session.as_deref());
        let session = self
            .peers
            .get(peer_id)
            .map(|peer| peer.session.announced_to(theirs).to_owned());
        let frame = Outgoing::Relay {
            target: peer_id.clone(),
            signal,
            extension: Extension {
                ours: true,
                conn: attempt,
                session,
                refused: None,
            },
        };
        self.ask_to_pass(&introducers, &frame);
        self.frames.push_back(frame.clone());
        frame
    }

    /// Chooses a lane, a set of local candidates: one that no other connection to this peer uses, or else
    /// the one that comes next in turn.
    fn free_lane(&self, peer_id: &PeerId) -> usize {
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

    fn add_connection(
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
        let receive_window = limits::RECEIVE_BUFFER_BYTES.max(self.settings.limits.message_bytes);
        let connection = Connection {
            peer: peer_id.clone(),
            lane,
            role,
            attempt: None,
            introducers: Vec::new(),
            offer: None,
            repeats_at: None,
            fingerprint: None,
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
            outstanding: Outstanding::default(),
            swallowing: Swallowing::default(),
            may_be_left: false,
            is_to_rest: false,
            send_window: SendWindow::default(),
            flow_control: FlowControl::new(receive_window),
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
    fn search_after(&self, peer_id: &PeerId) -> Duration {
        let (known, unknown) = limits::ATTEMPT_SEARCH_AFTER;
        let round_trip = self
            .current_of(peer_id)
            .and_then(|current| current.round_trip);
        round_trip.map_or(unknown, |round_trip| known + 2 * round_trip)
    }

    /// Returns how long the next attempt may take. The first leaves time for another within the connect
    /// timeout; each that fails doubles the time for the next, up to a limit.
    fn patience(&self, peer_id: &PeerId) -> Patience {
        let failures = self.peers.get(peer_id).map_or(0, Peer::failures);
        let doubled = 1 << failures.min(limits::PATIENCE_DOUBLINGS);
        let attempt = limits::ATTEMPT_TIMEOUT.min(self.settings.connect_timeout / 2);
        Patience {
            answer: limits::ANSWER_TIMEOUT.min(attempt) * doubled,
            attempt: attempt * doubled,
        }
    }

    fn offered(
        &mut self,
        now: Instant,
        peer_id: &PeerId,
        sdp: &str,
        extension: Extension,
        introducer: Option<PeerId>,
    ) {
        let Some(own) = self.own.clone() else {
            return;
        };
        let known = self.peers.get(peer_id);
        let knows = |attempt: &String| known.is_some_and(|peer| peer.knows_offer(attempt));
        if extension.conn.as_ref().is_some_and(knows) {
            return;
        }
        let is_of_registry = introducer.is_none();
        if is_of_registry && self.is_stranger(peer_id) && !self.strangers.take(now) {
            self.totals.ignored_offers += 1;
            return log::warn!("ignored an offer of {peer_id}: too many from new names");
        }
        if is_of_registry {
            self.roster.heard_of(peer_id);
        }
        let max_peers = self.settings.max_peers;
        let Some(peer) = self.ensure_room(now, peer_id, limits::ROOM_IDLE) else {
            log::warn!("refused an offer of {peer_id}: MAX_PEERS is {max_peers}");
            return self.refuse_offer(peer_id, &extension, introducer);
        };
        if is_of_registry && !peer.offers.take(now) {
            log::debug!("{peer_id} offers too often; its latest offer waits");
            let until = peer.offers.next();
            let replaced = peer.held.replace(HeldOffer {
                sdp: sdp.to_owned(),
                extension,
                until,
                is_early: true,
                introducer,
            });
            self.totals.ignored_offers += u64::from(replaced.is_some());
            return self.arm_peer(now, peer_id);
        }
        let own_offer_outstanding = self
            .connections_of(peer_id)
            .any(|(_, connection)| connection.phase == Phase::Offered);
        let verdict = negotiation::judge(Situation {
            own: &own,
            theirs: peer_id,
            speaks_sessions: extension.ours,
            own_offer_outstanding,
        });
        match verdict {
            Verdict::Accept => self.accept_offer(now, peer_id, sdp, extension, introducer),
            Verdict::Yield => {
                self.drop_attempts(now, peer_id, |connection| {
                    connection.phase == Phase::Offered
                });
                self.accept_offer(now, peer_id, sdp, extension, introducer);
            }
            Verdict::Hold => {
                if let Some(peer) = self.peers.get_mut(peer_id) {
                    peer.held = Some(HeldOffer {
                        sdp: sdp.to_owned(),
                        extension,
                        until: now + limits::HELD_OFFER_TIMEOUT,
                        is_early: false,
                        introducer,
                    });
                }
                self.arm_peer(now, peer_id);
            }
        }
    }

    /// Returns whether we have neither met the peer nor seen it listed by the registry.
    fn is_stranger(&self, peer_id: &PeerId) -> bool {
        self.peers
            .get(peer_id)
            .is_none_or(|peer| !peer.met && !self.roster.lists(peer_id))
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

    /// Looks again at the offer that was held: our own offer, which stood against it, was not answered in
    /// time, or the peer may offer again.
    pub(super) fn answer_held_offer(&mut self, now: Instant, peer_id: &PeerId) {
        let held = self
            .peers
            .get_mut(peer_id)
            .and_then(|peer| peer.held.take());
        let Some(HeldOffer {
            sdp,
            extension,
            is_early,
            introducer,
            until: _,
        }) = held
        else {
            return;
        };
        if is_early {
            self.offered(now, peer_id, &sdp, extension, introducer);
        } else {
            self.accept_offer(now, peer_id, &sdp, extension, introducer);
        }
    }

    /// Answers an offer with a new connection, beside those that exist.
    fn accept_offer(
        &mut self,
        now: Instant,
        peer_id: &PeerId,
        sdp: &str,
        extension: Extension,
        introducer: Option<PeerId>,
    ) {
        let repeated = extension.conn.is_some()
            && self
                .connections_of(peer_id)
                .any(|(_, connection)| connection.attempt == extension.conn);
        if repeated {
            return;
        }
        let peer = self.peers.get_mut(peer_id);
        if let (Some(peer), Some(attempt)) = (peer, &extension.conn) {
            peer.remember_offer(attempt);
        }
        // The peer has given up its earlier offer in favour of this one.
        self.drop_attempts(now, peer_id, |connection| {
            connection.role == Role::Answerer && connection.is_attempt()
        });
        let lane = self.free_lane(peer_id);
        let candidates = self.lanes.get(lane).cloned().unwrap_or_default();
        let mut remote = RemoteCandidates::new(now);
        let sdp = &remote.limit(now, sdp);
        let packets = self.packets_to(peer_id);
        let (link, answer) = match self.linker.answer(now, &candidates, packets, sdp) {
            Ok(made) => made,
            Err(error) => {
                log::warn!("cannot answer the offer of {peer_id}: {error}");
                return self.forget_if_idle(peer_id);
            }
        };
        self.meet_session(now, peer_id, &extension);
        let id = self.add_connection(now, peer_id, lane, Role::Answerer, link);
        let attempt = extension.conn.clone();
        let search_after = self.search_after(peer_id);
        let early = self
            .peers
            .get_mut(peer_id)
            .map(|peer| peer.early_of(now, attempt.as_deref()))
            .unwrap_or_default();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.attempt = attempt.clone();
            connection.introducers.extend(introducer);
            connection.search.begin(now + search_after);
            connection.speaks_sessions = extension.ours;
            connection.announced_session = extension.session;
            connection.candidates = remote;
            connection.described(sdp);
            for candidate in early {
                connection.take_candidate(now, &candidate);
            }
        }
        self.took_candidates(id);
        self.signal(peer_id, Signal::Answer { sdp: answer }, attempt);
        self.drive(now, id);
        self.arm_peer(now, peer_id);
    }

    /// Drops the connection in use if a description announces another session than the one that we know:
    /// that process is gone.
    fn meet_session(&mut self, now: Instant, peer_id: &PeerId, extension: &Extension) {
        let Some(peer) = self.peers.get(peer_id) else {
            return;
        };
        if peer.session.is_replaced_by(extension.session.as_deref())
            && let Some(current) = peer.current
        {
            log::info!("{peer_id} was started anew");
            self.retire(now, current);
        }
    }

    fn answered(&mut self, now: Instant, peer_id: &PeerId, sdp: &str, extension: &Extension) {
        let outstanding = self.connections_of(peer_id).filter(|(_, connection)| {
            connection.phase == Phase::Offered
                && (extension.conn.is_none() || connection.attempt == extension.conn)
        });
        let Some((id, _)) = outstanding.last() else {
            return self.answered_again(now, peer_id);
        };
        self.meet_session(now, peer_id, extension);
        let patience = self.patience(peer_id);
        let search_after = self.search_after(peer_id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.speaks_sessions = extension.ours;
        connection.announced_session = extension.session.clone();
        let sdp = &connection.candidates.limit(now, sdp);
        if let Err(error) = connection.link.accept_answer(now, sdp) {
            log::warn!("the answer of {peer_id} cannot be used: {error}");
            return self.connection_failed(now, id, "its answer cannot be used");
        }
        connection.phase = Phase::Connecting;
        connection.offer = None;
        connection.search.begin(now + search_after);
        connection.deadline = Some(connection.created + patience.attempt);
        connection.described(sdp);
        if connection.speaks_sessions {
            connection.link.open_control();
        }
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.held = None;
        }
        self.took_candidates(id);
        self.drive(now, id);
        self.arm_peer(now, peer_id);
    }

    /// Handles an answer that belongs to no open offer.
    ///
    /// A peer that was away, asleep for instance, answers every offer that has waited for it, and one of
    /// another make does not say which. So what we took for the answer to our latest offer was the answer
    /// to an earlier one, and comes to nothing. The peer has left the older connections, so it is offered
    /// another at once.
    fn answered_again(&mut self, now: Instant, peer_id: &PeerId) {
        let is_mistaken = |connection: &Connection<K::Link>| {
            connection.role == Role::Offerer
                && connection.phase == Phase::Connecting
                && !connection.speaks_sessions
        };
        let mistaken = self
            .connections_of(peer_id)
            .find(|(_, connection)| is_mistaken(connection))
            .map(|(id, _)| id);
        let may_offer = |peer: &mut Peer| peer.offers.take(now);
        match mistaken {
            Some(id) if self.peers.get_mut(peer_id).is_some_and(may_offer) => {
                log::debug!("{peer_id} has answered an earlier offer; offered another");
                self.retire(now, id);
                self.offer(now, peer_id);
            }
            Some(_) | None => log::debug!("an answer of {peer_id} to no open offer"),
        }
    }

    fn candidate(
        &mut self,
        now: Instant,
        peer_id: &PeerId,
        candidate: String,
        attempt: Option<String>,
    ) {
        let belongs = self
            .connections_of(peer_id)
            .filter(|(_, connection)| match &attempt {
                Some(attempt) => connection.attempt.as_ref() == Some(attempt),
                None => !connection.speaks_sessions,
            });
        let found = belongs.map(|(id, _)| id).last();
        if let Some(connection) = found.and_then(|id| self.connections.get_mut(&id)) {
            connection.take_candidate(now, &candidate);
        }
        // A candidate that names no attempt may still be meant for the offer that follows it.
        if (found.is_none() || attempt.is_none())
            && let Some(peer) = self.ensure_peer(now, peer_id)
        {
            let is_kept = peer.keep_early(now, attempt, candidate);
            self.totals.ignored_candidates += u64::from(!is_kept && found.is_none());
            self.arm_peer(now, peer_id);
        }
        if let Some(id) = found {
            self.took_candidates(id);
            self.drive(now, id);
        }
    }
}
