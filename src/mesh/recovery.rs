//! Timers: deadlines of attempts, liveness checks, replacing a suspect connection, and ending a
//! connection.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::control::Control;
use crate::protocol::ipc::{ErrorCode, Event};

use super::commands::report;
use super::connection::liveness::Health;
use super::connection::{Connection, ConnectionId, Phase, Role};
use super::handshake::process_on;
use super::link::{Channel, Link, Linker, Path};
use super::{Mesh, TimerKey};

impl<K: Linker> Mesh<K> {
    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Timers that become due meanwhile wait for the next call, so that this one ends.
        let due: Vec<_> = std::iter::from_fn(|| self.timers.pop_due(now)).collect();
        for key in due {
            match key {
                TimerKey::Link(id) => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        let handled = connection.link.handle_timeout(now);
                        self.after_input(now, id, handled);
                    }
                }
                TimerKey::Connection(id) => self.look_at_connection(now, id),
                TimerKey::Tail(id) => self.look_at_tail(now, id),
                TimerKey::Peer(peer_id) => self.look_at_peer(now, &peer_id),
                TimerKey::Deadlines(peer_id) => self.look_at_deadlines(now, &peer_id),
                TimerKey::Acknowledgement(peer_id) => self.acknowledgement_is_due(now, &peer_id),
                TimerKey::Roster => self.ask_registry(now),
                TimerKey::Report => self.report(now),
            }
        }
        self.flush(now);
    }

    /// Sets the timer of a connection to what it now waits for.
    pub(super) fn arm(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let is_listening = connection.phase == Phase::Open || connection.shakes_hands();
        let change = is_listening.then(|| connection.liveness.next_change(now));
        let change = change.flatten();
        let repetition = connection.offer.as_ref().map(|offer| offer.at);
        let search = connection.search.next();
        let proof = self.proof_is_due(connection).filter(|due| now < *due);
        let times = [connection.deadline, change, search, repetition, proof];
        let next = times.into_iter().flatten().min();
        // A look that comes too early costs little; moving it with every datagram would cost more.
        if !self.timers.is_set_before(&TimerKey::Connection(id), next) {
            self.timers.set(TimerKey::Connection(id), next);
        }
    }

    pub(super) fn arm_peer(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get(peer_id) else {
            return;
        };
        let next = [
            peer.retry.at,
            peer.held.as_ref().map(|held| held.until),
            peer.watermarks.stalls_at(self.settings.send_stall),
            peer.early.next_stale(),
            // While an offer of the peer waits it may be the one that they belong to.
            peer.early.next_late().filter(|_| peer.held.is_none()),
        ];
        let next = next.into_iter().flatten().min().map(|at| at.max(now));
        self.timers.set(TimerKey::Peer(peer_id.clone()), next);
    }

    pub(super) fn look_at_connection(&mut self, now: Instant, id: ConnectionId) {
        if self.ends_without_proof(now, id) {
            return;
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.deadline.is_some_and(|deadline| now >= deadline) {
            if connection.is_under_way(now) {
                connection.deadline = Some(now + limits::ATTEMPT_TIMEOUT / 2);
                return self.arm(now, id);
            }
            let (created, phase) = (connection.created, connection.phase);
            let peer_id = connection.peer.clone();
            let patience = self.patience(&peer_id);
            let longest = match phase {
                Phase::Offered => patience.answer,
                Phase::Connecting | Phase::Open => patience.attempt,
            };
            // Its round trips may have turned out to be long.
            if now < created + longest
                && let Some(connection) = self.connections.get_mut(&id)
            {
                connection.deadline = Some(created + longest);
                return self.arm(now, id);
            }
            let reason = match phase {
                Phase::Offered => "the offer was not answered",
                Phase::Connecting | Phase::Open => "no connection within the deadline",
            };
            return self.connection_failed(now, id, reason);
        }
        let peer_id = connection.peer.clone();
        let is_current = self
            .peers
            .get(&peer_id)
            .is_some_and(|peer| peer.current == Some(id));
        if is_current {
            match self.health_of(now, id) {
                Health::Alive => {}
                Health::Quiet => self.ask(now, id),
                Health::Overdue => self.search_path(now, id),
                Health::Suspect => {
                    self.ping(now, id);
                    self.search_path(now, id);
                    self.plan_replacement(now, &peer_id);
                }
                Health::Silent => {
                    self.search_path(now, id);
                    self.plan_replacement(now, &peer_id);
                    self.unreachable(now, &peer_id);
                }
            }
        }
        let connection = self.connections.get(&id);
        if connection.is_some_and(|found| found.shakes_hands() && !found.is_alive(now)) {
            self.ask(now, id);
        }
        self.check_paths(now, id);
        self.repeat_offer(now, id);
        self.arm(now, id);
    }

    fn health_of(&self, now: Instant, id: ConnectionId) -> Health {
        self.connections
            .get(&id)
            .map_or(Health::Silent, |connection| connection.liveness.health(now))
    }

    /// Asks the peer for a sign of life on the path in use.
    fn ask(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.liveness.asked(now);
        if let Some(Path { local, remote }) = connection.path {
            connection.link.ask(now, local, remote);
        }
        self.drive(now, id);
    }

    pub(super) fn ping(&mut self, now: Instant, id: ConnectionId) {
        let started = self.started;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.speaks_sessions {
            return;
        }
        let t = now
            .saturating_duration_since(started)
            .as_millis()
            .to_string();
        let ping = Control::Ping { t }.to_text();
        if let Err(error) = connection.write(Channel::Control, ping.as_bytes()) {
            log::debug!("{}: no ping: {error}", connection.peer);
        }
        self.drive(now, id);
    }

    /// Notes that something came in that only the peer can have sent. If it came on the connection in use
    /// and the peer counted as unreachable, the peer is reachable again.
    pub(super) fn heard(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let is_stuck = connection.role == Role::Offerer
            && connection.is_in_handshake()
            && !connection.is_beyond_doubt(now);
        connection.liveness.heard(now);
        if is_stuck {
            // DTLS would wait as long as the silence has lasted until it repeats its messages.
            return self.begin_anew(now, id);
        }
        let may_be_left = connection.may_be_left;
        let Some(peer) = self.peers.get_mut(&connection.peer) else {
            return;
        };
        // The process may be heard on a connection that is about to replace the one in use.
        let process = process_on(connection, &peer.session);
        let known = peer.session.theirs().zip(process.as_ref());
        let is_known = known.is_some_and(|(known, process)| known.is(process));
        let is_certain = connection.greeting.is_some() || !self.settings.trust.is_demanding();
        let is_current = peer.current == Some(id);
        if is_current || (is_known && is_certain) {
            peer.heard = now;
        }
        if !is_current {
            return;
        }
        peer.distrusted = None;
        if peer.reachable {
            return;
        }
        peer.reachable = true;
        peer.note_state(now);
        let peer_id = peer.id.clone();
        peer.wanted = None;
        if !may_be_left {
            peer.retry.cancel();
        }
        log::info!("{peer_id} is heard of again");
        self.agent.push_state(Event::PeerConnected {
            peer_id: peer_id.clone(),
            resumed: true,
        });
        self.plan_report(now);
        self.answer_waiting(&peer_id);
        self.watch_queue(now, &peer_id);
        self.plan_replacement(now, &peer_id);
        self.arm(now, id);
        self.arm_peer(now, &peer_id);
        self.found_introducer(now);
    }

    /// Gives up an attempt and offers another in its place.
    fn begin_anew(&mut self, now: Instant, id: ConnectionId) {
        let Some(peer_id) = self.connections.get(&id).map(|found| found.peer.clone()) else {
            return;
        };
        log::debug!("{peer_id} is heard again; the handshake begins anew");
        self.retire(now, id);
        self.hurry_offer(now, &peer_id);
    }

    /// Notes that the peer has ended the connection, which is the last sign of life on it.
    pub(super) fn said_goodbye(&mut self, now: Instant, id: ConnectionId) {
        let peer = self.connections.get(&id).map(|ended| &ended.peer);
        if let Some(peer) = peer.and_then(|peer| self.peers.get_mut(peer))
            && peer.current == Some(id)
        {
            peer.heard = now;
            peer.said_goodbye = true;
        }
    }

    /// Plans to build another connection beside the one in use, if that is in doubt. The side that
    /// offered this one goes first.
    pub(super) fn plan_replacement(&mut self, now: Instant, peer_id: &PeerId) {
        if !self.is_in_doubt(now, peer_id) {
            return;
        }
        let jitter = self.random.f64();
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        if peer.retry.is_planned() || peer.has_attempt() {
            return;
        }
        let patience = match peer.last_role {
            Role::Offerer => Duration::ZERO,
            Role::Answerer if peer.reachable => limits::ANSWERER_PATIENCE,
            // The other side may not know that its attempt is one-sided by now.
            Role::Answerer => limits::ANSWERER_RECOVERY_PATIENCE,
        };
        peer.back_off(now, jitter, patience);
        self.arm_peer(now, peer_id);
    }

    /// Notes that the peer can't be reached: the agent is told, and what was accepted is kept for a
    /// while.
    fn unreachable(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        if !peer.reachable || self.shutting_down {
            return;
        }
        peer.reachable = false;
        peer.note_state(now);
        let current = peer.current.and_then(|id| self.connections.get_mut(&id));
        if let Some(current) = current {
            // The sidecar in the field gives up such a connection after 5 s, and never takes it up again.
            current.may_be_left = !current.speaks_sessions;
        }
        peer.wanted = Some(now);
        log::info!("{peer_id} cannot be reached");
        self.agent.push_state(Event::PeerDisconnected {
            peer_id: peer_id.clone(),
        });
        self.plan_report(now);
        self.watch_deadlines(now, peer_id);
        self.watch_queue(now, peer_id);
        self.arm_peer(now, peer_id);
    }

    /// Cleans up after a connection that has ended by itself, or an attempt that has failed.
    pub(super) fn connection_failed(&mut self, now: Instant, id: ConnectionId, reason: &str) {
        let Some(mut connection) = self.detach(now, id) else {
            return;
        };
        // The last words are the answer to a goodbye, or an alert.
        self.send_last_words(&mut connection.link);
        let peer_id = connection.peer;
        log::info!(
            "{} {peer_id}: {reason}",
            match connection.phase {
                Phase::Offered | Phase::Connecting => "no connection to",
                Phase::Open => "lost the connection to",
            }
        );
        // Once our hello was sent, nothing was taken from the connection in use. Where a secret is demanded it only
        // waits: whoever has not proven himself must not cost us the one who has.
        let was_proposed = connection.handshake.sent && !connection.handshake.received;
        let is_unproven = self.settings.trust.secret.is_some() && connection.greeting.is_none();
        let current = self.peers.get(&peer_id).and_then(|peer| peer.current);
        if was_proposed && is_unproven {
            self.release_gate(now, &peer_id);
            self.acknowledge(now, &peer_id);
            self.advance_waiting(now, &peer_id);
        } else if let Some(current) = current.filter(|_| was_proposed) {
            self.retire(now, current);
        }
        self.check_reachability(now, &peer_id);
        if self.rests_as_told(now, &peer_id, connection.is_to_rest) {
            return;
        }
        self.plan_replacement(now, &peer_id);
        self.forget_if_idle(&peer_id);
    }

    /// Counts the peer as unreachable if there is no connection in use, unless we have proposed another
    /// one: the peer ends the old one as it takes the new one, and its hello is on its way.
    pub(super) fn check_reachability(&mut self, now: Instant, peer_id: &PeerId) {
        let has_current = self.current_of(peer_id).is_some();
        let has_proposed = self
            .connections_of(peer_id)
            .any(|(_, connection)| connection.handshake.sent);
        if !has_current && !has_proposed {
            self.unreachable(now, peer_id);
        }
    }

    /// Takes a connection out of all tables. Tells the agent what was lost with it and can't be sent
    /// again.
    pub(super) fn detach(&mut self, now: Instant, id: ConnectionId) -> Option<Connection<K::Link>> {
        let mut connection = self.connections.remove(&id)?;
        self.routes.retain(|_, routed| *routed != id);
        self.timers.set(TimerKey::Link(id), None);
        self.timers.set(TimerKey::Connection(id), None);
        self.timers.set(TimerKey::Tail(id), None);
        self.unflushed.remove(&id);
        self.undriven.remove(&id);
        let peer_id = connection.peer.clone();
        let peer = self.peers.get_mut(&peer_id)?;
        peer.connections.retain(|other| *other != id);
        peer.note_state(now);
        if peer.current == Some(id) {
            peer.current = None;
            peer.session.suspend();
        }
        for written in connection.receipts.take_all() {
            self.totals.drops.failed_messages += 1;
            let text =
                format!("the connection to {peer_id} ended before it acknowledged the message");
            let code = ErrorCode::ConnectionLost;
            let error = report(code, text, &peer_id, written.request_id);
            self.settle(&peer_id, &written.origin, Err(error));
        }
        Some(connection)
    }

    fn look_at_peer(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        peer.early.forget_stale(now);
        let is_held_offer_due = peer.held.as_ref().is_some_and(|held| now >= held.until);
        if peer.watermarks.check_stall(now, self.settings.send_stall) {
            log::warn!("{peer_id} takes nothing; what is sent to it is refused until it does");
            self.watch_queue(now, peer_id);
        }
        if is_held_offer_due {
            self.answer_held_offer(now, peer_id);
        }
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        if peer.held.is_none() {
            for (id, candidate) in peer.early.late(now) {
                self.take_candidate(now, id, &candidate);
            }
        }
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        if peer.retry.at.is_some_and(|at| now >= at) {
            peer.retry.at = None;
            self.consider_offer(now, peer_id);
        }
        self.arm_peer(now, peer_id);
        self.forget_if_idle(peer_id);
    }

    /// Returns whether there is no connection to the peer that is known to work, both ways.
    pub(super) fn is_in_doubt(&self, now: Instant, peer_id: &PeerId) -> bool {
        self.current_of(peer_id).is_none_or(|current| {
            // A new connection helps against swallowed packets only where the session goes on over it.
            let swallows = current.speaks_sessions && current.swallowing.wants_smaller();
            current.may_be_left || swallows || !current.is_well(now)
        })
    }
}
