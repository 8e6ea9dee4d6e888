//! Trusting: decides whether a peer may talk to us, and ends what it has begun if not.
//!
//! A peer is looked at three times. What its description says saves the work of a connection, and proves nothing.
//! Once a channel is open, DTLS has proven that it has the certificate. Its `hello` proves that it knows the
//! secret of the mesh, and that nobody sits between: the proof names both certificates. Until then nothing of it
//! is taken, and all that it gets of us is a `hello`.

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::control::Hello;
use crate::protocol::ipc::{ErrorCode, Event};
use crate::protocol::proof::{Claim, Side};

use super::Mesh;
use super::commands::report;
use super::connection::{Connection, ConnectionId, Phase, Role};
use super::link::{Certificates, Channel, Link, Linker, description};
use super::peer::{Distrusted, Peer};
use super::trust::PeerTrust;
use super::trust::distrust::Distrust;
use super::trust::known_peers::{Familiarity, KnownPeer, KnownPeers};
use super::trust::warnings::Due;

impl<K: Linker> Mesh<K> {
    /// Replaces what is known of the certificates of peers. It counts for connections that are made from now on.
    pub fn set_known_peers(&mut self, known: KnownPeers) {
        self.known_peers = known;
    }

    /// Returns the next peer whose certificate is to be remembered beyond the end of the process.
    pub fn poll_known_peer(&mut self) -> Option<KnownPeer> {
        self.new_known_peers.pop_front()
    }

    /// Ends the connections to a peer that was met for the first time by this certificate, because another has meanwhile
    /// become known for it. What `file`, a copy of `KNOWN_PEERS`, has of this peer replaces what is known of it. The agent
    /// is told, since it was told that the peer is there.
    pub fn certificate_differs(&mut self, now: Instant, met: &KnownPeer, file: &KnownPeers) {
        self.known_peers.take_lines_of(&met.peer, file);
        let distrust = self.distrusts_certificate(&met.peer, Some(&met.certificate));
        let Some(distrust) = distrust else {
            return;
        };
        let with_it = self.connections_of(&met.peer).filter(|(_, connection)| {
            let certificates = connection.certificates.as_ref();
            certificates.is_some_and(|certificates| certificates.theirs == met.certificate)
        });
        let with_it: Vec<_> = with_it.map(|(id, _)| id).collect();
        for id in with_it {
            self.distrusted(now, id, &distrust);
        }
        let text = not_trusted(&met.peer, &distrust);
        let error = report(ErrorCode::UntrustedPeer, text, &met.peer, None);
        self.agent.push_state(Event::Error { id: None, error });
    }

    /// Returns whether this peer may talk to us at all.
    pub(super) fn is_allowed(&self, peer_id: &PeerId) -> bool {
        self.settings.trust.allowed.contains(peer_id)
    }

    /// Returns why a peer with this description is not trusted, as far as that is certain already. `is_ours`:
    /// whether it claims to speak part 5.
    pub(super) fn distrusts_description(
        &self,
        peer_id: &PeerId,
        sdp: &str,
        is_ours: bool,
    ) -> Option<Distrust> {
        let certificate = description::fingerprint(sdp);
        self.distrusts_make(peer_id, is_ours).or_else(|| {
            // Without a fingerprint that we can read, the certificate itself decides.
            let certificate = certificate?;
            self.distrusts_certificate(peer_id, Some(&certificate))
        })
    }

    /// Returns why a peer is not trusted whose channel is open, so that its certificate is certain.
    pub(super) fn distrusts_connection(&self, id: ConnectionId) -> Option<Distrust> {
        let connection = self.connections.get(&id)?;
        let certificate = connection.certificates.as_ref();
        let certificate = certificate.map(|certificates| certificates.theirs.as_str());
        self.distrusts_make(&connection.peer, connection.speaks_sessions)
            .or_else(|| self.distrusts_certificate(&connection.peer, certificate))
    }

    /// Returns why a peer is not trusted that has said this hello.
    pub(super) fn distrusts_hello(&self, id: ConnectionId, hello: &Hello) -> Option<Distrust> {
        let connection = self.connections.get(&id)?;
        self.distrusts_proof(connection, hello).or_else(|| {
            // Who has proven himself is believed his name, whatever the registry calls him.
            let is_demanding = self.settings.trust.is_demanding();
            match hello.peer_id.clone().filter(|_| is_demanding) {
                Some(name) if name != connection.peer => Some(Distrust::AnotherName { name }),
                None if self.settings.trust.secret.is_some() => Some(Distrust::NoName),
                _ => None,
            }
        })
    }

    fn distrusts_proof(&self, connection: &Connection<K::Link>, hello: &Hello) -> Option<Distrust> {
        let secret = self.settings.trust.secret.as_ref()?;
        let Some(proof) = &hello.proof else {
            return Some(Distrust::NoProof);
        };
        let Some(claim) = theirs(connection, &hello.session) else {
            return Some(Distrust::NotComparable);
        };
        if claim.sender == claim.receiver {
            return Some(Distrust::OwnCertificate);
        }
        (!claim.is_proven(secret, proof)).then_some(Distrust::WrongProof)
    }

    /// Returns until when the peer of a connection has to prove itself, since it has our hello.
    pub(super) fn proof_is_due(&self, connection: &Connection<K::Link>) -> Option<Instant> {
        let is_awaited = self.settings.trust.secret.is_some()
            && connection.speaks_sessions
            && connection.greeting.is_none();
        let sent = connection.handshake.sent_at.filter(|_| is_awaited);
        let patience = match self.proven_waiting(&connection.peer).next() {
            // If it is the peer itself who has our hello, its own comes after one round trip.
            Some((_, waiting)) => (2 * waiting.round_trip.unwrap_or_default())
                .clamp(limits::PROOF_TIMEOUT_BESIDE_PROVEN, limits::PROOF_TIMEOUT),
            None => limits::PROOF_TIMEOUT,
        };
        sent.map(|sent| sent + patience)
    }

    /// Returns the connections on which the peer has proven itself, and which wait for what becomes of our proposal.
    fn proven_waiting(
        &self,
        peer_id: &PeerId,
    ) -> impl Iterator<Item = (ConnectionId, &Connection<K::Link>)> {
        self.connections_of(peer_id).filter(|(_, connection)| {
            connection.role == Role::Answerer
                && connection.phase == Phase::Connecting
                && connection.greeting.is_some()
        })
    }

    /// Goes on with the connections that have waited for what became of our proposal, since nobody has proven
    /// himself on that.
    pub(super) fn advance_waiting(&mut self, now: Instant, peer_id: &PeerId) {
        let waiting = self.proven_waiting(peer_id);
        let waiting: Vec<_> = waiting.map(|(id, _)| id).collect();
        for id in waiting {
            self.advance(now, id);
        }
    }

    /// Takes what the connection in use has brought already, before our hello on another tells what was taken.
    pub(super) fn empty_current(&mut self, now: Instant, proposed: ConnectionId) {
        if let Some(current) = self.current_beside(proposed) {
            self.listen(now, current);
        }
    }

    /// Has the connection in use wait, because our hello was sent on another. If nobody proves himself there, this
    /// one goes on as if nothing had been.
    pub(super) fn hold_current(&mut self, proposed: ConnectionId) {
        if let Some(current) = self.current_beside(proposed) {
            self.watch_gate(current);
        }
    }

    /// Returns the connection in use to the same peer, where that has to wait for a proof.
    fn current_beside(&self, proposed: ConnectionId) -> Option<ConnectionId> {
        self.settings.trust.secret.as_ref()?;
        let peer_id = &self.connections.get(&proposed)?.peer;
        let current = self.peers.get(peer_id)?.current;
        current.filter(|current| *current != proposed)
    }

    /// Returns whether what a connection brings has to wait until somebody has proven himself on another.
    pub(super) fn waits_for_proof(&self, id: ConnectionId) -> bool {
        let is_demanded = self.settings.trust.secret.is_some();
        let connection = self.connections.get(&id).filter(|_| is_demanded);
        connection.is_some_and(|connection| {
            connection.speaks_sessions && self.greets_elsewhere(&connection.peer, id)
        })
    }

    /// Ends a connection whose peer was sent our hello, and has not proven itself in time. Returns whether it does. Of
    /// one that is not heard, or has not acknowledged our hello, the path may be lost: it is not called untrusted.
    pub(super) fn ends_without_proof(&mut self, now: Instant, id: ConnectionId) -> bool {
        let connection = self.connections.get(&id);
        let due = connection.and_then(|connection| self.proof_is_due(connection));
        if due.is_none_or(|due| now < due) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        let is_silent = connection.is_alive(now) && connection.link.buffered(Channel::Control) == 0;
        let peer_id = connection.peer.clone();
        if is_silent && self.proven_waiting(&peer_id).next().is_none() {
            self.distrusted(now, id, &Distrust::NoProof);
        } else {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.link.close();
            }
            self.connection_failed(now, id, "it has not proven itself in time");
        }
        true
    }

    /// Returns the proof for our hello, which tells this session. `None` without a secret.
    pub(super) fn proof(&self, id: ConnectionId, session: &str) -> Option<String> {
        let secret = self.settings.trust.secret.as_ref()?;
        let claim = ours(self.connections.get(&id)?, session)?;
        Some(claim.prove(secret))
    }

    fn distrusts_make(&self, peer_id: &PeerId, is_ours: bool) -> Option<Distrust> {
        let trust = &self.settings.trust;
        if is_ours || !trust.is_demanding() {
            None
        } else if trust.secret.is_some() && !trust.allow_unproven {
            Some(Distrust::AnotherMake)
        } else {
            let peer = self.peers.get(peer_id);
            let was_ours = peer.is_some_and(Peer::can_resume);
            was_ours.then_some(Distrust::Downgraded)
        }
    }

    fn distrusts_certificate(&self, peer_id: &PeerId, shown: Option<&str>) -> Option<Distrust> {
        let policy = self.settings.trust.peers;
        if policy == PeerTrust::Registry {
            return None;
        }
        let Some(shown) = shown else {
            return Some(Distrust::NoFingerprint);
        };
        let known = &self.known_peers;
        let (shown, file) = (shown.to_owned(), known.file().to_owned());
        match known.familiarity(peer_id, &shown) {
            Familiarity::Known => None,
            Familiarity::Other { certificate, line } => Some(Distrust::Changed {
                peer: peer_id.clone(),
                shown,
                known: certificate,
                line,
                file,
            }),
            Familiarity::New if policy == PeerTrust::Known => Some(Distrust::Unknown {
                peer: peer_id.clone(),
                shown,
                file,
            }),
            Familiarity::New if known.has_room() => None,
            Familiarity::New => Some(Distrust::NoRoom {
                limit: limits::KNOWN_PEERS,
                file,
            }),
        }
    }

    /// Notes the certificates of a connection, which are certain once a channel is open.
    pub(super) fn note_certificates(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.certificates.is_none()
        {
            connection.certificates = connection.link.certificates();
            let theirs = connection.certificates.as_ref();
            connection.fingerprint = theirs.map(|certificates| certificates.theirs.clone());
        }
    }

    /// Remembers the certificate of a peer that is met for the first time, if the first is to stay.
    pub(super) fn remember_certificate(&mut self, id: ConnectionId) {
        if self.settings.trust.peers != PeerTrust::FirstUse {
            return;
        }
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let Some(certificate) = connection.fingerprint.clone() else {
            return;
        };
        let peer = connection.peer.clone();
        if self.known_peers.familiarity(&peer, &certificate) == Familiarity::New {
            let new = KnownPeer { peer, certificate };
            self.known_peers.add(new.clone());
            if self.new_known_peers.len() < limits::KNOWN_PEERS_TO_WRITE {
                self.new_known_peers.push_back(new);
            }
        }
    }

    /// Ends a connection whose peer is not trusted.
    pub(super) fn distrusted(&mut self, now: Instant, id: ConnectionId, distrust: &Distrust) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let peer_id = connection.peer.clone();
        connection.link.close();
        self.note_distrust(now, &peer_id, distrust);
        self.connection_failed(now, id, "it is not trusted");
        self.give_up_untrusted(now, &peer_id);
    }

    /// Refuses an offer of a peer that is not trusted. It is told nothing.
    pub(super) fn refuse_untrusted(&mut self, now: Instant, peer_id: &PeerId, distrust: &Distrust) {
        self.note_distrust(now, peer_id, distrust);
        self.give_up_untrusted(now, peer_id);
    }

    fn note_distrust(&mut self, now: Instant, peer_id: &PeerId, distrust: &Distrust) {
        self.totals.drops.untrusted_peers += 1;
        let text = not_trusted(peer_id, distrust);
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.distrusted = Some(Distrusted {
                at: now,
                why: text.clone(),
            });
        }
        match self.distrust_warnings.take(now, peer_id) {
            Due::No => log::debug!("{text}"),
            Due::Yes => log::warn!("{text}"),
            Due::Last => {
                log::warn!("{text}. Many are not; of further ones it is not warned now");
            }
        }
    }

    /// Tells the agent of what waits for a peer that is not trusted. The peer itself may still come, if it was
    /// met, or if another connection to it is being made: whoever stands in its place must not cost what waits
    /// for it.
    fn give_up_untrusted(&mut self, now: Instant, peer_id: &PeerId) {
        let peer = self.peers.get(peer_id);
        if peer.is_some_and(|peer| !peer.met && peer.connections.is_empty()) {
            self.abandon(now, peer_id, ErrorCode::UntrustedPeer);
        }
    }
}

fn not_trusted(peer_id: &PeerId, distrust: &Distrust) -> String {
    format!("{peer_id} is not trusted: {distrust}")
}

/// Returns what our proof on this connection claims.
fn ours<'a, L>(connection: &'a Connection<L>, session: &'a str) -> Option<Claim<'a>> {
    let side = match connection.role {
        Role::Offerer => Side::Offerer,
        Role::Answerer => Side::Answerer,
    };
    let Certificates { ours, theirs } = connection.certificates.as_ref()?;
    Some(Claim {
        conn: connection.attempt.as_deref()?,
        side,
        sender: ours,
        receiver: theirs,
        session,
    })
}

/// Returns what the peer's proof on this connection has to claim.
fn theirs<'a, L>(connection: &'a Connection<L>, session: &'a str) -> Option<Claim<'a>> {
    let claim = ours(connection, session)?;
    Some(Claim {
        side: match claim.side {
            Side::Offerer => Side::Answerer,
            Side::Answerer => Side::Offerer,
        },
        sender: claim.receiver,
        receiver: claim.sender,
        ..claim
    })
}
