//! Room for peers: who gives a place up when `MAX_PEERS` is reached and another peer is to have one, and what
//! a peer is told for which there is none.
//!
//! A peer that gives its place up *rests*: it has no connection, and of its session only the numbers are
//! remembered, for `RECOVERY_TIMEOUT`. So when it comes again, nothing is lost or doubled. Resting peers are
//! not counted; there are at most `MAX_PEERS` of them beside those that hold a place.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::control::Control;
use crate::protocol::ipc::ErrorCode;
use crate::protocol::signaling::{Extension, Outgoing, Signal};

use super::connection::{ConnectionId, Phase, Role};
use super::link::{Channel, Linker};
use super::peer::{Offer, Peer};
use super::{Mesh, MeshMode};

/// The value of `refused` for a lack of room, which is the error code that agents know.
const NO_ROOM: &str = ErrorCode::TooManyPeers.as_str();

impl<K: Linker> Mesh<K> {
    /// Finds the peer, or makes an entry for it; `None` if that would be more than `MAX_PEERS`.
    pub(super) fn ensure_peer(&mut self, now: Instant, id: &PeerId) -> Option<&mut Peer> {
        let has_place = self.ensure_place(now, id);
        self.peers.get_mut(id).filter(|_| has_place)
    }

    /// Gives the peer a place if it has none. Returns whether it has one.
    fn ensure_place(&mut self, now: Instant, id: &PeerId) -> bool {
        let is_resting = self.resting.contains(id);
        if !is_resting && self.peers.contains_key(id) {
            return true;
        }
        let is_full = self.peers.len() - self.resting.len() >= self.settings.max_peers;
        if is_full && !self.forget_one_without_offer() {
            return false;
        }
        self.resting.remove(id);
        if !is_resting {
            let peer = Peer::new(id.clone(), self.session_names.current(), now);
            self.peers.insert(id.clone(), peer);
        }
        true
    }

    /// The same, but another peer gives its place up for it if need be and one can: see
    /// [`Mesh::make_room`].
    pub(super) fn ensure_room(
        &mut self,
        now: Instant,
        id: &PeerId,
        idle: Duration,
    ) -> Option<&mut Peer> {
        // Whoever may offer under any name must not keep out those whom we know.
        let is_known = idle.is_zero() || self.peers.get(id).is_some_and(|peer| peer.met);
        let has_place = self.ensure_place(now, id)
            || ((self.make_room(now, idle) || is_known && self.forget_one_unheard(now))
                && self.ensure_place(now, id));
        self.peers.get_mut(id).filter(|_| has_place)
    }

    /// Drops a peer that has offered under a name that we have never met, and of which nothing is heard. Returns whether
    /// there was one.
    fn forget_one_unheard(&mut self, now: Instant) -> bool {
        let is_unheard = |id: &ConnectionId| {
            self.connections.get(id).is_some_and(|connection| {
                connection.role == Role::Answerer
                    && connection.liveness.was_never_heard()
                    && now >= connection.created + limits::UNHEARD_KEEPS_PLACE
            })
        };
        let mut peers = self.peers.values();
        let found = peers.find(|peer| {
            let is_stranger = !peer.met && !peer.connections.is_empty();
            let is_wanted = peer.is_waited_for() || peer.wanted.is_some();
            is_stranger && !is_wanted && peer.connections.iter().all(is_unheard)
        });
        let Some(peer_id) = found.map(|peer| peer.id.clone()) else {
            return false;
        };
        log::debug!("{peer_id}, of which nothing is heard, gives its place up");
        self.drop_attempts(now, &peer_id, |_| true);
        self.forget(&peer_id);
        true
    }

    /// Has a peer of which nothing is waited for give its place up: one that said goodbye, or else, in lazy
    /// mode, the one whose last message is the longest ago, and `idle` at least. Returns whether there was
    /// one.
    pub(super) fn make_room(&mut self, now: Instant, idle: Duration) -> bool {
        let is_free = |peer: &&Peer| !self.resting.contains(&peer.id) && self.is_idle(peer);
        let gone = |peer: &&Peer| peer.said_goodbye && peer.connections.is_empty();
        let is_lazy = self.settings.mode == MeshMode::Lazy;
        let idle_since = now.checked_sub(idle);
        let long_idle = |peer: &&Peer| is_lazy && Some(peer.last_message) <= idle_since;
        let free = || self.peers.values().filter(is_free);
        let found = free()
            .filter(gone)
            .min_by_key(|peer| peer.heard)
            .or_else(|| {
                free()
                    .filter(long_idle)
                    .min_by_key(|peer| peer.last_message)
            });
        let Some(peer_id) = found.map(|peer| peer.id.clone()) else {
            return false;
        };
        log::debug!("{peer_id} gives its place up");
        self.lay_to_rest(now, &peer_id);
        true
    }

    /// Returns whether nothing is under way from or to the peer, and nobody waits for it.
    fn is_idle(&self, peer: &Peer) -> bool {
        let connections = peer.connections.iter().map(|id| self.connections.get(id));
        let are_done = connections
            .flatten()
            .all(|connection| connection.is_ready() && connection.receipts.is_empty());
        are_done
            && !peer.is_waited_for()
            && peer.inbox.items() == 0
            && peer.held.is_none()
            && peer.early.is_empty()
    }

    /// Ends the connection to a peer that is idle, and remembers its session alone.
    fn lay_to_rest(&mut self, now: Instant, peer_id: &PeerId) {
        self.acknowledge_last(now, peer_id);
        let connections: Vec<_> = self.connections_of(peer_id).map(|(id, _)| id).collect();
        for id in connections {
            self.tell_rest(now, id);
            self.retire(now, id);
        }
        self.rest(now, peer_id);
    }

    /// Notes that the peer holds no place any more, and that no connection to it is wanted.
    fn rest(&mut self, now: Instant, peer_id: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.wanted = None;
            peer.retry.cancel();
            self.resting.insert(peer_id.clone());
        }
        self.watch_deadlines(now, peer_id);
        self.arm_peer(now, peer_id);
        self.forget_if_idle(peer_id);
        if self.resting.len() > self.settings.max_peers {
            let resting = self.resting.iter().filter_map(|id| self.peers.get(id));
            let oldest = resting.min_by_key(|peer| peer.heard);
            if let Some(oldest) = oldest.map(|peer| peer.id.clone()) {
                self.end_session(now, &oldest, ErrorCode::ConnectionLost);
                self.forget_if_idle(&oldest);
            }
        }
    }

    /// Tells the peer that its connection ends because it is idle, so that it does not come again without
    /// need.
    fn tell_rest(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.speaks_sessions {
            return;
        }
        let rest = Control::Rest.to_text();
        if let Err(error) = connection.write(Channel::Control, rest.as_bytes()) {
            log::debug!("{}: no word of rest: {error}", connection.peer);
        }
        self.drive(now, id);
    }

    /// Lets the peer rest if it has told that it ends the connection because of idleness, and nothing waits for
    /// it. Returns whether it rests.
    pub(super) fn rests_as_told(&mut self, now: Instant, peer_id: &PeerId, was_told: bool) -> bool {
        let is_lazy = self.settings.mode == MeshMode::Lazy;
        let is_free = |peer: &Peer| peer.connections.is_empty() && self.is_idle(peer);
        let rests = was_told && is_lazy && self.peers.get(peer_id).is_some_and(is_free);
        if rests {
            self.rest(now, peer_id);
        }
        rests
    }

    /// Tells a peer of ours that its offer is refused for lack of room. Others would not understand it.
    ///
    /// It is an empty candidate, the end of candidates for all who do not know more.
    pub(super) fn refuse_offer(&mut self, peer_id: &PeerId, offer: &Offer) {
        if !offer.extension.ours || offer.extension.conn.is_none() {
            return;
        }
        let frame = Outgoing::Relay {
            target: peer_id.clone(),
            signal: Signal::Candidate {
                candidate: String::new(),
            },
            extension: Extension {
                ours: true,
                conn: offer.extension.conn.clone(),
                session: None,
                refused: Some(NO_ROOM.to_owned()),
            },
        };
        self.send_signal(offer.introducer.as_slice(), frame);
    }

    /// Handles the refusal of an offer of ours. What waits for a peer that was never met is refused for the
    /// same reason; a session that is to go on is tried again.
    pub(super) fn offer_refused(&mut self, now: Instant, peer_id: &PeerId, attempt: Option<&str>) {
        let offered = self.connections_of(peer_id).find(|(_, connection)| {
            connection.phase == Phase::Offered && connection.attempt.as_deref() == attempt
        });
        let Some((id, _)) = offered.filter(|_| attempt.is_some()) else {
            return log::debug!("{peer_id} refuses an offer that is not open");
        };
        self.connection_failed(now, id, "it has no room for another peer (MAX_PEERS there)");
        let Some(peer) = self.peers.get(peer_id) else {
            return;
        };
        if !peer.met {
            self.abandon(now, peer_id, ErrorCode::TooManyPeers);
        } else {
            self.rests_as_told(now, peer_id, true);
        }
    }
}
