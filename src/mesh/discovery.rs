//! Discovery: keeps the registry's list of who is online, decides when to offer a connection, and forgets
//! peers that nothing depends on.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::ipc::ErrorCode;
use crate::protocol::signaling::Outgoing as Frame;

use super::connection::{Connection, Phase, Role};
use super::link::Linker;
use super::peer::Peer;
use super::{Mesh, MeshMode, TimerKey};

impl<K: Linker> Mesh<K> {
    pub(super) fn arm_roster(&mut self) {
        let is_full = self.settings.mode == MeshMode::Full;
        self.timers
            .set(TimerKey::Roster, self.roster.next_question(is_full));
    }

    pub(super) fn ask_registry(&mut self, now: Instant) {
        if self.roster.is_connected() {
            self.frames.push_back(Frame::Register);
            self.roster.sent(now);
            self.arm_roster();
        }
    }

    /// Returns whether a connection to the peer is wanted, and none that works is there or under way.
    fn wants_offer(&self, now: Instant, peer_id: &PeerId) -> bool {
        let Some(peer) = self.peers.get(peer_id) else {
            return false;
        };
        let is_full = self.settings.mode == MeshMode::Full;
        let is_wanted = peer.is_waited_for()
            || peer.wanted.is_some()
            || (is_full && self.roster.lists(peer_id));
        is_wanted && self.is_in_doubt(now, peer_id) && !peer.has_attempt() && !self.shutting_down
    }

    fn offer_if_wanted(&mut self, now: Instant, peer_id: &PeerId) {
        if self.wants_offer(now, peer_id) {
            self.offer_in_turn(now, peer_id);
        }
    }

    /// Offers a connection. If many have just been offered it waits its turn, so that everything else has one, too.
    fn offer_in_turn(&mut self, now: Instant, peer_id: &PeerId) {
        if self.own_offers.take(now) {
            return self.offer(now, peer_id);
        }
        let turn = self.own_offers.next();
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.retry.at = Some(turn);
            self.arm_peer(now, peer_id);
        }
    }

    /// Gives up the attempts at connections whose offer or answer may be lost, because we were away from the
    /// registry and it went through that. They are begun anew.
    pub(super) fn drop_unheard_attempts(&mut self, now: Instant) {
        let is_doubtful = |connection: &Connection<K::Link>| {
            let may_be_lost = match connection.role {
                Role::Offerer => connection.phase == Phase::Offered,
                Role::Answerer => connection.phase == Phase::Connecting,
            };
            may_be_lost
                && connection.introducers.is_empty()
                && connection.liveness.was_never_heard()
        };
        let unheard = self
            .connections
            .iter()
            .filter(|(_, found)| is_doubtful(found));
        let unheard: Vec<_> = unheard
            .map(|(id, connection)| (*id, connection.peer.clone()))
            .collect();
        for (id, peer_id) in unheard {
            self.retire(now, id);
            if let Some(peer) = self.peers.get_mut(&peer_id) {
                peer.retry.at = None;
                peer.retry.awaits_list = true;
            }
        }
    }

    /// Offers a connection if one is wanted and the peer is online; asks the registry if that is not
    /// sure.
    pub(super) fn consider_offer(&mut self, now: Instant, peer_id: &PeerId) {
        if !self.wants_offer(now, peer_id) {
            return;
        }
        // The list does not tell who has gone since, so after a failure it is asked for again.
        let is_first_try =
            |peer: &Peer| peer.retry.backoff.is_fresh() && self.roster.lists(peer_id);
        let may_offer = if self.roster.is_connected() {
            self.peers.get(peer_id).is_some_and(is_first_try)
        } else {
            self.may_be_introduced(now, peer_id)
        };
        if may_offer {
            self.offer_in_turn(now, peer_id);
        } else if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.retry.awaits_list = true;
            self.roster.want(now);
            self.arm_roster();
        }
        self.arm_peer(now, peer_id);
    }

    /// Offers at once to those that can't be reached, without the backoff of earlier failures, because
    /// something has changed.
    pub(super) fn hurry_offers(&mut self, now: Instant) {
        let peers: Vec<_> = self.peers.keys().cloned().collect();
        for peer_id in peers {
            self.hurry_offer(now, &peer_id);
        }
    }

    /// The same for one peer.
    pub(super) fn hurry_offer(&mut self, now: Instant, peer_id: &PeerId) {
        if !self.wants_offer(now, peer_id) {
            return;
        }
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.retry.backoff.reset();
            peer.retry.at = None;
        }
        self.consider_offer(now, peer_id);
    }

    /// Takes the registry's list of who is online, and offers connections to those that are wanted.
    /// `left_out` is how many more it names.
    pub(super) fn listed(&mut self, now: Instant, peers: Vec<PeerId>, left_out: usize) {
        let allowed = peers
            .into_iter()
            .filter(|peer| self.settings.trust.allowed.contains(peer));
        self.roster.update(now, allowed.collect());
        if self.roster.leaves_out(left_out) {
            let limit = limits::LISTED_PEERS;
            log::warn!(
                "the registry lists {} peers; {left_out} are left out, since {limit} are the limit: have it \
                 list to each peer those that it needs",
                limit + left_out
            );
        }
        self.arm_roster();
        let own = self.own.clone();
        let mut refused = 0;
        let mut may_have_room = true;
        let listed: Vec<_> = self.roster.listed().cloned().collect();
        for peer_id in listed {
            if Some(&peer_id) == own.as_ref() {
                continue;
            }
            let is_known = self.peers.contains_key(&peer_id) && !self.resting.contains(&peer_id);
            if !is_known && self.settings.mode == MeshMode::Lazy {
                continue;
            }
            if self.ensure_peer(now, &peer_id).is_none() && may_have_room {
                may_have_room = self.make_room(now, Duration::ZERO);
            }
            let Some(peer) = self.ensure_peer(now, &peer_id) else {
                refused += 1;
                continue;
            };
            peer.retry.awaits_list = false;
            // Much may have happened since the question, so it is decided only now whether to offer.
            if peer.retry.at.is_none() {
                self.offer_if_wanted(now, &peer_id);
            }
        }
        if self.roster.refuses(now, refused) {
            let max_peers = self.settings.max_peers;
            log::warn!(
                "{refused} peers that are online are not connected: MAX_PEERS is {max_peers}"
            );
        }
        self.resolve_unlisted(now);
    }

    /// Handles the peers that are not listed as online. Of those that waited for the list, plans another
    /// try for the ones that were met before, and gives up the others unless a connection is under way.
    /// Forgets the rest if nothing depends on them.
    fn resolve_unlisted(&mut self, now: Instant) {
        let unlisted: Vec<_> = self
            .peers
            .values()
            .filter(|peer| !self.roster.lists(&peer.id))
            .map(|peer| peer.id.clone())
            .collect();
        for peer_id in unlisted {
            let jitter = self.random.f64();
            let Some(peer) = self.peers.get_mut(&peer_id) else {
                continue;
            };
            if !std::mem::take(&mut peer.retry.awaits_list) {
                self.forget_if_idle(&peer_id);
            } else if peer.met && peer.retry.at.is_none() && self.may_be_introduced(now, &peer_id) {
                self.offer_if_wanted(now, &peer_id);
            } else if let Some(peer) = self.peers.get_mut(&peer_id).filter(|peer| peer.met) {
                peer.back_off_unlisted(now, jitter);
                self.arm_peer(now, &peer_id);
            } else if let Some(peer) = self.peers.get(&peer_id)
                && peer.connections.is_empty()
            {
                self.abandon(now, &peer_id, ErrorCode::UnknownPeer);
            }
        }
    }

    /// Drops the entry of a peer that nothing depends on.
    pub(super) fn forget_if_idle(&mut self, peer_id: &PeerId) {
        let peer = self.peers.get(peer_id);
        if peer.is_some_and(|peer| !self.is_needed(peer) && peer.early.is_empty()) {
            self.forget(peer_id);
        }
    }

    /// Drops the entry of a peer of which there is nothing but candidates that wait for its offer, so that another gets
    /// its place. Whoever may send under any name must not take all places with them. Returns whether there was one.
    pub(super) fn forget_one_without_offer(&mut self) -> bool {
        let mut peers = self.peers.values();
        let found = peers.find(|peer| {
            let holds_place = !self.resting.contains(&peer.id);
            holds_place && !peer.early.is_empty() && !self.is_needed(peer)
        });
        let found = found.map(|peer| peer.id.clone());
        if let Some(peer_id) = &found {
            self.forget(peer_id);
        }
        found.is_some()
    }

    /// Returns whether something depends on the entry of a peer, beside candidates that wait for its offer.
    fn is_needed(&self, peer: &Peer) -> bool {
        !peer.connections.is_empty()
            || peer.is_waited_for()
            || peer.wanted.is_some()
            || peer.inbox.items() > 0
            || peer.held.is_some()
            || (peer.retry.is_planned() && self.roster.lists(&peer.id))
            || (self.resting.contains(&peer.id) && peer.session.has_begun())
    }

    /// Drops the entry of a peer, whatever it holds.
    pub(super) fn forget(&mut self, peer_id: &PeerId) {
        if let Some(peer) = self.peers.remove(peer_id) {
            // The peer must not remember a session that is forgotten here.
            debug_assert_eq!(peer.session.theirs(), None);
        }
        self.resting.remove(peer_id);
        for key in [
            TimerKey::Peer,
            TimerKey::Deadlines,
            TimerKey::Acknowledgement,
        ] {
            self.timers.set(key(peer_id.clone()), None);
        }
    }
}
