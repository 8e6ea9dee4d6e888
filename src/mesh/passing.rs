//! Introductions without the registry (contract part 5, `frame`): signals go over `mesh-control` of a
//! connection to the peer itself, or of one to a third sidecar, which passes them on.
//!
//! So a connection is replaced while the registry is away, or while it has lost the peer. A frame is passed
//! on once, and only between peers that the registry has listed to the one who passes.
//!
//! Whoever introduces has less say than the registry. Its word counts only about a peer that we know and that
//! can't be reached otherwise. A description has to bear the certificate of the peer's last connection, and
//! an offer the session that goes on. Its frames are counted apart.

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::control::Control;
use crate::protocol::signaling::{Extension, Incoming, Outgoing, Signal};

use super::Mesh;
use super::connection::{ConnectionId, Role};
use super::link::{Channel, Linker, description};
use super::peer::Peer;

impl<K: Linker> Mesh<K> {
    /// Returns whether a connection to a peer that we have met can be made without the registry.
    pub(super) fn may_be_introduced(&self, now: Instant, peer_id: &PeerId) -> bool {
        self.peers.get(peer_id).is_some_and(Peer::can_resume)
            && self.ways_to_pass(now).next().is_some()
    }

    /// Offers to those that can't be reached, because another peer can again and may introduce us.
    pub(super) fn found_introducer(&mut self, now: Instant) {
        if !self.roster.is_connected() {
            self.hurry_offers(now);
        }
    }

    /// Chooses the peers that are to pass our signals on to `peer_id`: that one itself while it is well and
    /// the registry is away, some of the others while it is not well. Those in `asked` come last.
    pub(super) fn introducers(
        &mut self,
        now: Instant,
        peer_id: &PeerId,
        asked: &[PeerId],
    ) -> Vec<PeerId> {
        if !self.may_be_introduced(now, peer_id) {
            return Vec::new();
        }
        if !self.is_in_doubt(now, peer_id) {
            let is_needed = !self.roster.is_connected();
            return is_needed.then(|| peer_id.clone()).into_iter().collect();
        }
        let mut others: Vec<_> = self.ways_to_pass(now).cloned().collect();
        self.random.shuffle(&mut others);
        others.sort_by_key(|other| asked.contains(other));
        others.truncate(limits::INTRODUCERS);
        others
    }

    /// Chooses the introducers of a connection anew, for candidates that are found late.
    pub(super) fn choose_introducers(&mut self, now: Instant, id: ConnectionId) {
        let Some(peer_id) = self.connections.get(&id).map(|found| found.peer.clone()) else {
            return;
        };
        let introducers = self.introducers(now, &peer_id, &[]);
        if let Some(connection) = self.connections.get_mut(&id)
            && !introducers.is_empty()
            && !connection.is_attempt()
        {
            connection.introducers = introducers;
        }
    }

    /// Asks others to pass on an offer that is not answered. Those that were asked may not be connected to the
    /// peer, or were not asked at all because nobody could be.
    pub(super) fn repeat_offer(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(offer) = connection.offer.as_mut().filter(|offer| now >= offer.at) else {
            return;
        };
        offer.at = now + limits::INTRODUCTION_INTERVAL;
        let frame = offer.frame.clone();
        let (peer_id, asked) = (connection.peer.clone(), connection.introducers.clone());
        let others = self.introducers(now, &peer_id, &asked);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        for other in &others {
            if !connection.introducers.contains(other) {
                connection.introducers.push(other.clone());
            }
        }
        self.ask_to_pass(&others, &frame);
    }

    /// Returns the peers whose connections pass frames at the moment.
    fn ways_to_pass(&self, now: Instant) -> impl Iterator<Item = &PeerId> {
        let passes = move |peer: &&Peer| {
            let current = peer.current.and_then(|id| self.connections.get(&id));
            current.is_some_and(|current| {
                current.speaks_sessions && current.is_ready() && current.is_well(now)
            })
        };
        self.peers.values().filter(passes).map(|peer| &peer.id)
    }

    /// Sends a signal to its peer through the registry, and through the peers that introduce us.
    pub(super) fn send_signal(&mut self, introducers: &[PeerId], signal: Outgoing) {
        self.ask_to_pass(introducers, &signal);
        self.frames.push_back(signal);
    }

    /// Asks the introducers to pass a signal on.
    fn ask_to_pass(&mut self, introducers: &[PeerId], signal: &Outgoing) {
        let Some(own) = self.own.as_ref().filter(|_| !introducers.is_empty()) else {
            return;
        };
        let text = signal.to_text(own);
        let frame = Control::Frame { text }.to_text();
        for introducer in introducers {
            self.send_frame(introducer, &frame);
        }
    }

    /// Sends a control frame with a signal to a peer over the connection in use. If there is none, or it has no
    /// room, the frame is lost; offers are repeated.
    fn send_frame(&mut self, peer_id: &PeerId, frame: &str) {
        let Some(id) = self.peers.get(peer_id).and_then(|peer| peer.current) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let fits = frame.len() <= limits::CONTROL_FRAME_BYTES.min(connection.max_message_bytes);
        if !connection.is_ready() || !connection.speaks_sessions || !fits {
            return log::debug!(
                "{peer_id}: a signal of {} bytes is not passed on",
                frame.len()
            );
        }
        if let Err(error) = connection.write(Channel::Control, frame.as_bytes()) {
            log::debug!("{peer_id}: a signal is not passed on: {error}");
        }
        // What goes on here may be the handling of a frame that this connection has brought.
        self.undriven.insert(id);
    }

    /// Takes a signaling frame that came over a connection: a signal for us, or one to pass on.
    pub(super) fn passed(&mut self, now: Instant, id: ConnectionId, text: &str) {
        let Some(connection) = self.connections.get(&id).filter(|found| found.is_ready()) else {
            return;
        };
        let from = connection.peer.clone();
        let Ok(Incoming::Relay {
            sender,
            signal,
            extension,
            target: Some(target),
        }) = Incoming::parse(text)
        else {
            return log::debug!("{from}: a frame that cannot be used");
        };
        let is_for_us = self.own.as_ref() == Some(&target);
        let Some(peer) = self.peers.get_mut(&from).filter(|_| !self.shutting_down) else {
            return;
        };
        let is_within_limit = if is_for_us {
            peer.passes.take(now)
        } else {
            peer.asks_to_pass.take(now)
        };
        if !is_within_limit {
            self.totals.drops.ignored_frames += 1;
        } else if !is_for_us {
            self.pass_on(&from, &sender, &target, text);
        } else if sender == from || self.may_introduce(now, &from, &sender, &signal, &extension) {
            self.signaled(now, &sender, signal, extension, Some(from));
        } else {
            log::debug!("{from}: a signal of {sender} that it may not bring");
        }
    }

    /// Passes a frame on to another peer.
    fn pass_on(&mut self, from: &PeerId, sender: &PeerId, target: &PeerId, text: &str) {
        if sender == from && self.roster.has_listed(sender) && self.roster.has_listed(target) {
            let text = text.to_owned();
            self.send_frame(target, &Control::Frame { text }.to_text());
        }
    }

    /// Returns whether a signal of `sender` counts that `introducer` has brought.
    fn may_introduce(
        &self,
        now: Instant,
        introducer: &PeerId,
        sender: &PeerId,
        signal: &Signal,
        extension: &Extension,
    ) -> bool {
        let Some(peer) = self.peers.get(sender) else {
            return false;
        };
        // The other side may have noticed earlier that the connection carries nothing.
        let current = self.current_of(sender);
        let is_beyond_doubt =
            current.is_some_and(|current| !current.may_be_left && current.is_beyond_doubt(now));
        if !peer.can_resume() || !extension.ours || extension.conn.is_none() {
            return false;
        }
        let known = peer.session.theirs();
        let certificate = known.and_then(|known| known.certificate.as_deref());
        let is_theirs = |sdp: &str| {
            certificate.is_some() && description::fingerprint(sdp).as_deref() == certificate
        };
        let is_open = current.is_some_and(|current| current.attempt == extension.conn);
        let is_asked_for = self.connections_of(sender).any(|(_, connection)| {
            connection.attempt == extension.conn && connection.introducers.contains(introducer)
        });
        match signal {
            Signal::Offer { sdp } => {
                let is_heard = self.connections_of(sender).any(|(_, connection)| {
                    connection.is_attempt() && !connection.liveness.was_never_heard()
                });
                let stands = peer
                    .held
                    .as_ref()
                    .is_some_and(|held| held.offer.introducer.as_ref() != Some(introducer));
                // Its sender may have given up the one before, but that shows within a moment.
                let is_young = self.connections_of(sender).any(|(_, connection)| {
                    connection.role == Role::Answerer
                        && connection.is_attempt()
                        && now < connection.created + limits::YOUNG_ATTEMPT
                });
                let session = known.map(|known| known.session.as_str());
                let goes_on = session == extension.session.as_deref();
                goes_on && is_theirs(sdp) && !is_heard && !is_young && !stands && !is_beyond_doubt
            }
            Signal::Answer { sdp } => is_asked_for && is_theirs(sdp) && !is_beyond_doubt,
            // The peer may notice earlier that its addresses are others now.
            Signal::Candidate { .. } => is_asked_for || is_open,
        }
    }
}
