//! Signaling: handles the frames of the registry, and the answers and candidates that other sidecars send.

use std::time::Instant;

use crate::protocol::PeerId;
use crate::protocol::signaling::{Extension, Incoming, Outgoing, Signal};

use super::Mesh;
use super::connection::{Connection, ConnectionId, Phase, Role};
use super::handshake::process_on;
use super::link::sctp_init::without_forward_tsn;
use super::link::{Link, Linker, description};
use super::peer::{Offer, Peer};

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
        if !self.is_allowed(sender) {
            self.totals.drops.ignored_frames += 1;
            return log::debug!("ignored a signal of {sender}, whom ALLOW_PEERS does not allow");
        }
        match signal {
            Signal::Offer { sdp } => {
                let offer = Offer {
                    sdp,
                    extension,
                    introducer,
                };
                self.offered(now, sender, offer);
            }
            Signal::Answer { sdp } => self.answered(now, sender, &sdp, &extension),
            Signal::Candidate { .. } if extension.refused.is_some() => {
                self.offer_refused(now, sender, extension.conn.as_deref());
            }
            Signal::Candidate { candidate } => {
                self.candidate(now, sender, candidate, extension.conn);
            }
        }
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
        // Who is only said to have taken the place of the process that is known may not exist.
        let is_demanding = self.settings.trust.is_demanding();
        let session = self.peers.get(peer_id).map(|peer| {
            let known = peer.session.theirs().filter(|_| is_demanding);
            let theirs = of_attempt.and_then(|(_, found)| process_on(found, &peer.session));
            let theirs = theirs.as_ref().or(known);
            peer.session.announced_to(theirs).to_owned()
        });
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
        self.send_signal(&introducers, frame.clone());
        frame
    }

    /// Drops the connection in use if a description announces another process than the one that we know, because
    /// that one is gone. Where the registry's word is not enough, it has to prove itself first.
    pub(super) fn meet_process(
        &mut self,
        now: Instant,
        peer_id: &PeerId,
        sdp: &str,
        extension: &Extension,
    ) {
        let Some(peer) = self.peers.get(peer_id) else {
            return;
        };
        if self.settings.trust.is_demanding() {
            return;
        }
        let certificate = description::fingerprint(sdp);
        let announced = extension.session.as_deref();
        let announced = peer.session.process_of(announced, certificate.as_deref());
        if peer.session.is_replaced_by(announced.as_ref())
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
        if let Some(distrust) = self.distrusts_description(peer_id, sdp, extension.ours) {
            return self.distrusted(now, id, &distrust);
        }
        self.meet_process(now, peer_id, sdp, extension);
        let patience = self.patience(peer_id);
        let search_after = self.search_after(peer_id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.speaks_sessions = extension.ours;
        connection.announced_session = extension.session.clone();
        let limited = connection.candidates.limit(now, sdp);
        let sdp: &str = match extension.ours {
            true => &without_forward_tsn(&limited),
            false => &limited,
        };
        if let Err(error) = connection.link.accept_answer(now, sdp) {
            log::warn!("the answer of {peer_id} cannot be used: {error}");
            return self.connection_failed(now, id, "its answer cannot be used");
        }
        connection.phase = Phase::Connecting;
        connection.offer = None;
        connection.liveness.counts_from(now);
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
        let found = belongs.last();
        let found = found.map(|(id, connection)| (id, connection.phase == Phase::Open));
        let is_named = attempt.is_some();
        let taking = found.filter(|(_, is_open)| is_named || !is_open);
        if let Some((id, _)) = taking {
            self.take_candidate(now, id, &candidate);
        }
        // A candidate that names no attempt may still be meant for the offer that follows it.
        if taking.is_none() || !is_named {
            let open = found.filter(|(_, is_open)| *is_open && !is_named);
            let open = open.map(|(id, _)| id);
            let is_kept = self
                .ensure_peer(now, peer_id)
                .is_some_and(|peer| peer.early.keep(now, attempt, candidate, open));
            self.totals.drops.ignored_candidates += u64::from(!is_kept && taking.is_none());
            self.arm_peer(now, peer_id);
        }
    }

    /// Gives a candidate of the peer to a connection, if that still exists.
    pub(super) fn take_candidate(&mut self, now: Instant, id: ConnectionId, candidate: &str) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.take_candidate(now, candidate);
            self.took_candidates(id);
            self.drive(now, id);
        }
    }
}
