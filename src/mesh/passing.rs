//! Introductions without the registry (contract part 5, `frame`): signals go over `mesh-control` of a
//! connection to the peer itself, or of one to a third sidecar, which passes them on.
//!
//! So a connection is replaced while the registry is away, or while it has lost the peer. What comes this
//! way counts as much as what the registry relays, and no more. A frame is passed on once, and only between
//! peers that the registry has listed to the one who passes.

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::control::Control;
use crate::protocol::signaling::{Incoming, Outgoing};

use super::Mesh;
use super::connection::ConnectionId;
use super::link::{Channel, Linker};
use super::peer::Peer;

impl<K: Linker> Mesh<K> {
    /// Returns whether a connection to a peer that we have met can be made without the registry.
    pub(super) fn may_be_introduced(&self, now: Instant, peer_id: &PeerId) -> bool {
        let is_ours = |peer: &Peer| peer.met && peer.speaks_sessions;
        self.peers.get(peer_id).is_some_and(is_ours) && self.ways_to_pass(now).next().is_some()
    }

    /// Chooses the peers that are to pass our signals on to `peer_id`: that one itself while it is well, or
    /// else some of the others at random. There are none while the registry and the peer are well, or if the
    /// peer was never met.
    pub(super) fn introducers(&mut self, now: Instant, peer_id: &PeerId) -> Vec<PeerId> {
        if !self.may_be_introduced(now, peer_id) {
            return Vec::new();
        }
        let is_well = !self.is_in_doubt(now, peer_id);
        if is_well {
            let is_direct_needed = !self.roster.is_connected();
            return is_direct_needed
                .then(|| peer_id.clone())
                .into_iter()
                .collect();
        }
        let mut others: Vec<_> = self.ways_to_pass(now).cloned().collect();
        self.random.shuffle(&mut others);
        others.truncate(limits::INTRODUCERS);
        others
    }

    /// Chooses the introducers of a connection anew, for candidates that are found late.
    pub(super) fn choose_introducers(&mut self, now: Instant, id: ConnectionId) {
        let Some(peer_id) = self.connections.get(&id).map(|found| found.peer.clone()) else {
            return;
        };
        let introducers = self.introducers(now, &peer_id);
        if let Some(connection) = self.connections.get_mut(&id)
            && !introducers.is_empty()
        {
            connection.introducers = introducers;
        }
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

    /// Asks the introducers to pass a signal on.
    pub(super) fn ask_to_pass(&mut self, now: Instant, introducers: &[PeerId], frame: &Outgoing) {
        let Some(own) = self.own.as_ref().filter(|_| !introducers.is_empty()) else {
            return;
        };
        let text = frame.to_text(own);
        for introducer in introducers {
            self.send_frame(now, introducer, &text);
        }
    }

    /// Sends a signaling frame to a peer over the connection in use. If there is none, or it has no room,
    /// the frame is lost.
    fn send_frame(&mut self, now: Instant, peer_id: &PeerId, text: &str) {
        let Some(id) = self.peers.get(peer_id).and_then(|peer| peer.current) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let text = text.to_owned();
        let frame = Control::Frame { text }.to_text();
        let fits = frame.len() <= limits::CONTROL_FRAME_BYTES.min(connection.max_message_bytes);
        if !connection.is_ready() || !connection.speaks_sessions || !fits {
            return;
        }
        if let Err(error) = connection.write(Channel::Control, frame.as_bytes()) {
            log::debug!("{peer_id}: a frame is not passed on: {error}");
        }
        self.drive(now, id);
    }

    /// Takes a signaling frame that came over a connection: a signal for us, or one to pass on.
    pub(super) fn passed(&mut self, now: Instant, id: ConnectionId, text: &str) {
        let Some(connection) = self.connections.get(&id).filter(|found| found.is_ready()) else {
            return;
        };
        let from = connection.peer.clone();
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        if !peer.passes.take(now) || self.shutting_down {
            self.totals.ignored_offers += 1;
            return;
        }
        let Ok(Incoming::Relay {
            sender,
            signal,
            extension,
            target: Some(target),
        }) = Incoming::parse(text)
        else {
            return log::debug!("{from}: a frame that cannot be used");
        };
        if self.own.as_ref() == Some(&target) {
            let may_introduce = sender == from
                || self.roster.lists(&sender)
                || self.peers.get(&sender).is_some_and(|peer| peer.met);
            if may_introduce {
                self.signaled(now, &sender, signal, extension, Some(from));
            }
        } else if sender == from && self.roster.lists(&sender) && self.roster.lists(&target) {
            self.send_frame(now, &target, text);
        }
    }
}
