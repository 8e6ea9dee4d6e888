//! Offers of other sidecars: which of them are answered, and when.

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::signaling::Signal;

use super::Mesh;
use super::connection::remote_candidates::RemoteCandidates;
use super::connection::{Phase, Role};
use super::introduction::negotiation;
use super::introduction::negotiation::{Situation, Verdict};
use super::link::Linker;
use super::link::sctp_init::without_forward_tsn;
use super::peer::{HeldOffer, Offer};

impl<K: Linker> Mesh<K> {
    /// Takes an offer of the peer: answers it now or later, or refuses it.
    pub(super) fn offered(&mut self, now: Instant, peer_id: &PeerId, offer: Offer) {
        let Some(own) = self.own.clone() else {
            return;
        };
        if self.is_repeated(peer_id, &offer) {
            return;
        }
        let is_of_registry = offer.introducer.is_none();
        if is_of_registry && self.is_stranger(peer_id) && !self.strangers.take(now) {
            self.totals.drops.ignored_offers += 1;
            return log::warn!("ignored an offer of {peer_id}: too many from new names");
        }
        let is_ours = offer.extension.ours;
        if let Some(distrust) = self.distrusts_description(peer_id, &offer.sdp, is_ours) {
            return self.refuse_untrusted(now, peer_id, &distrust);
        }
        if is_of_registry {
            self.roster.heard_of(peer_id);
            if !self.roster.has_listed(peer_id) {
                // Signals are passed on only for those that the registry lists.
                self.roster.want(now);
                self.arm_roster();
            }
        }
        let max_peers = self.settings.max_peers;
        // Whoever may offer under any name must not cost a peer its place before he has proven himself.
        let is_met = self.peers.get(peer_id).is_some_and(|peer| peer.met);
        let peer = match is_met || self.settings.trust.secret.is_none() {
            true => self.ensure_room(now, peer_id, limits::ROOM_IDLE),
            false => self.ensure_peer(now, peer_id),
        };
        let Some(peer) = peer else {
            log::warn!("refused an offer of {peer_id}: MAX_PEERS is {max_peers}");
            return self.refuse_offer(peer_id, &offer);
        };
        if !is_of_registry && !peer.introduced_offers.take(now) {
            self.totals.drops.ignored_offers += 1;
            return log::debug!("ignored an offer of {peer_id} that another has brought: too many");
        }
        if is_of_registry && !peer.offers.take(now) {
            log::debug!("{peer_id} offers too often; its latest offer waits");
            let replaced = peer.held.replace(HeldOffer {
                offer,
                until: peer.offers.next(),
                is_early: true,
            });
            self.totals.drops.ignored_offers += u64::from(replaced.is_some());
            return self.arm_peer(now, peer_id);
        }
        let own_offer_outstanding = self
            .connections_of(peer_id)
            .any(|(_, connection)| connection.phase == Phase::Offered);
        let verdict = negotiation::judge(Situation {
            own: &own,
            theirs: peer_id,
            speaks_sessions: offer.extension.ours,
            own_offer_outstanding,
        });
        match verdict {
            Verdict::Accept => self.accept_offer(now, peer_id, offer),
            Verdict::Yield => {
                self.drop_attempts(now, peer_id, |connection| {
                    connection.phase == Phase::Offered
                });
                self.accept_offer(now, peer_id, offer);
            }
            Verdict::Hold => {
                let answer = limits::ROUND_TRIPS_TO_ANSWER * self.longest_round_trip(peer_id);
                if let Some(peer) = self.peers.get_mut(peer_id) {
                    peer.held = Some(HeldOffer {
                        offer,
                        until: now + limits::HELD_OFFER_TIMEOUT + answer,
                        is_early: false,
                    });
                }
                self.arm_peer(now, peer_id);
            }
        }
    }

    /// Returns whether the offer is of an attempt that we know. It may have come by another way before.
    fn is_repeated(&self, peer_id: &PeerId, offer: &Offer) -> bool {
        let Some(attempt) = &offer.extension.conn else {
            return false;
        };
        let peer = self.peers.get(peer_id);
        peer.is_some_and(|peer| peer.knows_offer(attempt))
            || self
                .connections_of(peer_id)
                .any(|(_, connection)| connection.attempt.as_ref() == Some(attempt))
    }

    /// Returns whether we have neither met the peer nor seen it listed by the registry.
    fn is_stranger(&self, peer_id: &PeerId) -> bool {
        let is_met = self.peers.get(peer_id).is_some_and(|peer| peer.met);
        !is_met && !self.roster.lists(peer_id)
    }

    /// Looks again at the offer that was held: our own offer, which stood against it, was not answered in
    /// time, or the peer may offer again.
    pub(super) fn answer_held_offer(&mut self, now: Instant, peer_id: &PeerId) {
        let peer = self.peers.get_mut(peer_id);
        let Some(held) = peer.and_then(|peer| peer.held.take()) else {
            return;
        };
        if held.is_early {
            self.offered(now, peer_id, held.offer);
        } else if !self.is_repeated(peer_id, &held.offer) {
            self.accept_offer(now, peer_id, held.offer);
        }
    }

    /// Answers an offer with a new connection, beside those that exist.
    fn accept_offer(&mut self, now: Instant, peer_id: &PeerId, offer: Offer) {
        let Offer {
            sdp,
            extension,
            introducer,
        } = offer;
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
        let limited = remote.limit(now, &sdp);
        let sdp: &str = match extension.ours {
            true => &without_forward_tsn(&limited),
            false => &limited,
        };
        let packets = self.packets_to(peer_id);
        let (link, answer) = match self.linker.answer(now, &candidates, packets, sdp) {
            Ok(made) => made,
            Err(error) => {
                log::warn!("cannot answer the offer of {peer_id}: {error}");
                return self.forget_if_idle(peer_id);
            }
        };
        self.meet_process(now, peer_id, sdp, &extension);
        let id = self.add_connection(now, peer_id, lane, Role::Answerer, link);
        let attempt = extension.conn.clone();
        let search_after = self.search_after(peer_id);
        let early = self
            .peers
            .get_mut(peer_id)
            .map(|peer| peer.early.of(now, attempt.as_deref()))
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
}
