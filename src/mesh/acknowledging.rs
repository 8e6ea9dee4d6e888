//! Acknowledging messages: tells a peer how much of what it sent our agent has taken (contract part 5,
//! `ack`).
//!
//! An acknowledgement by itself costs both sides as much as a message. So one that is not urgent travels
//! with a message to the same peer, if our agent usually answers what it takes: the same idea as TCP's
//! delayed acknowledgements (RFC 9293 section 3.8.6.3).

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::control::Control;

use super::link::{Channel, LinkError, Linker};
use super::peer::Peer;
use super::{Mesh, TimerKey};

impl<K: Linker> Mesh<K> {
    /// Tells the peer now or soon that our agent has taken messages of it.
    pub(super) fn acknowledge_soon(&mut self, now: Instant, peer_id: &PeerId) {
        let window = self.window();
        let Some(peer) = self.peers.get(peer_id) else {
            return;
        };
        let due = peer.acknowledgement.due(now, window);
        if due <= now {
            self.acknowledge(now, peer_id);
        } else {
            self.timers
                .set(TimerKey::Acknowledgement(peer_id.clone()), Some(due));
        }
    }

    /// Tells the peer now, because no message to it has taken the acknowledgement along in time.
    pub(super) fn acknowledgement_is_due(&mut self, now: Instant, peer_id: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.acknowledgement.is_conversation = false;
        }
        self.acknowledge(now, peer_id);
    }

    /// Writes the acknowledgement that is owed, if any, after a message was written to the peer, so that
    /// both travel together.
    pub(super) fn acknowledge_along(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        if peer.acknowledgement.spoken(now)
            && let Err(error) = self.write_acknowledgement(now, peer_id)
        {
            log::debug!("{peer_id}: no acknowledgement: {error}");
        }
    }

    /// Tells the peer what it was not told yet, because we are ending.
    pub(super) fn acknowledge_last(&mut self, now: Instant, peer_id: &PeerId) {
        let is_owed = |peer: &Peer| peer.acknowledgement.untold_bytes > 0;
        if self.peers.get(peer_id).is_some_and(is_owed) {
            self.acknowledge(now, peer_id);
        }
    }

    /// Tells the peer now how much our agent has taken.
    pub(super) fn acknowledge(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(id) = self.peers.get(peer_id).and_then(|peer| peer.current) else {
            return;
        };
        let written = self.write_acknowledgement(now, peer_id);
        self.after_input(now, id, written);
    }

    /// Writes the acknowledgement to the connection in use; if that has no room now, it is tried again
    /// soon.
    fn write_acknowledgement(&mut self, now: Instant, peer_id: &PeerId) -> Result<(), LinkError> {
        let share = self.window();
        let Some(current) = self.peers.get(peer_id).and_then(|peer| peer.current) else {
            return Ok(());
        };
        // While a hello is under way elsewhere, what we tell here might be newer than what it says.
        if self.greets_elsewhere(peer_id, current) {
            return Ok(());
        }
        let (Some(peer), Some(connection)) = (
            self.peers.get_mut(peer_id),
            self.connections.get_mut(&current),
        ) else {
            return Ok(());
        };
        if !connection.speaks_sessions {
            return Ok(());
        }
        // Messages that earlier processes of the peer have sent take room too.
        let window = share.saturating_sub(peer.inbox.bytes().saturating_sub(share)) as u64;
        let frame = Control::Ack {
            taken: peer.session.taken(),
            window,
        };
        let has_written = connection.write(Channel::Control, frame.to_text().as_bytes())?;
        let acknowledgement = &mut peer.acknowledgement;
        acknowledgement.last_told = Some(now);
        if has_written {
            acknowledgement.untold_bytes = 0;
        }
        self.timers.set(
            TimerKey::Acknowledgement(peer_id.clone()),
            (!has_written).then(|| now + limits::ACKNOWLEDGEMENT_INTERVAL),
        );
        Ok(())
    }
}
