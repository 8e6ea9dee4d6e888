//! The handshake on `mesh-control`: decides which connection carries the session, once channels are open.
//!
//! Between two of ours the offerer proposes a connection with its `hello`, and the answerer takes it with
//! its own. When both sides have offered and their hellos cross, the connection offered by the smaller
//! name is taken, on both sides. From its own hello on a side takes nothing from older connections,
//! because that hello told what it has, and the peer repeats the rest.

use std::time::Instant;

use crate::protocol::PeerId;
use crate::protocol::control::{Control, Hello};
use crate::protocol::ipc::{ErrorCode, Event, Success};

use super::Mesh;
use super::connection::intervals::Intervals;
use super::connection::{Connection, ConnectionId, Phase, Role};
use super::introduction::negotiation;
use super::link::{Channel, Link, Linker};
use super::peer::session::{Contradiction, Greeting, Process, Session};

/// Returns the process of the peer that speaks on a connection, as far as it is known. `session`: the one with the
/// peer.
pub(super) fn process_on<L: Link>(
    connection: &Connection<L>,
    session: &Session,
) -> Option<Process> {
    session.process_of(
        connection.their_session(),
        connection.fingerprint.as_deref(),
    )
}

/// Which of two connections is taken: one that the peer proposes, or one of ours.
enum Precedence {
    Ours,
    Theirs,
    /// Theirs waits: its peer has proven itself, and whoever has answered our proposal, which is this one, has not.
    Open(ConnectionId),
}

impl<K: Linker> Mesh<K> {
    /// Goes as far as is possible after a channel has opened, or the peer has said hello.
    pub(super) fn advance(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let handshake = &connection.handshake;
        if connection.phase != Phase::Connecting || !handshake.mesh_open {
            return;
        }
        if let Some(distrust) = self.distrusts_connection(id) {
            return self.distrusted(now, id, &distrust);
        }
        if !connection.speaks_sessions {
            return self.adopt_without_session(now, id);
        }
        if !handshake.control_open {
            return;
        }
        let greeted = connection.greeting.is_some();
        match connection.role {
            Role::Offerer if !handshake.sent => {
                if self.is_superfluous(now, id) {
                    return self.retire(now, id);
                }
                if !greeted {
                    self.empty_current(now, id);
                }
                self.say_hello(now, id);
                if greeted {
                    self.adopt(now, id);
                } else {
                    self.hold_current(id);
                }
            }
            Role::Offerer if greeted => self.adopt(now, id),
            Role::Answerer if greeted => match self.precedence(now, id) {
                Precedence::Ours => self.retire(now, id),
                Precedence::Open(proposed) => {
                    if !self.ends_without_proof(now, proposed) {
                        self.arm(now, proposed);
                    }
                }
                Precedence::Theirs => self.adopt(now, id),
            },
            Role::Offerer | Role::Answerer => {}
        }
    }

    /// Returns whether another connection to the peer was taken since we offered this one, and works.
    fn is_superfluous(&self, now: Instant, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else {
            return true;
        };
        self.current_of(&connection.peer).is_some_and(|current| {
            current.opened >= Some(connection.created) && current.is_well(now)
        })
    }

    /// Returns whether a connection that the peer proposes gives way to one that we have proposed. If
    /// not, ours gives way and is retired.
    fn precedence(&mut self, now: Instant, id: ConnectionId) -> Precedence {
        let Some(connection) = self.connections.get(&id) else {
            return Precedence::Ours;
        };
        let Some(own) = self.own.as_ref() else {
            return Precedence::Theirs;
        };
        let peer_id = connection.peer.clone();
        let yields = negotiation::hello_yields(own, &peer_id);
        let proposed = self.connections_of(&peer_id).find(|(_, other)| {
            other.role == Role::Offerer && other.handshake.sent && !other.is_ready()
        });
        if let Some((proposed, _)) = proposed {
            if yields {
                self.retire(now, proposed);
                return Precedence::Theirs;
            }
            let is_proven = self.settings.trust.secret.is_some();
            return match is_proven {
                true => Precedence::Open(proposed),
                false => Precedence::Ours,
            };
        }
        // Ours was taken while the peer's hello was on its way.
        let was_taken = !yields
            && self.current_of(&peer_id).is_some_and(|current| {
                current.role == Role::Offerer
                    && current.opened >= Some(connection.created)
                    && current.is_well(now)
            });
        match was_taken {
            true => Precedence::Ours,
            false => Precedence::Theirs,
        }
    }

    pub(super) fn current_of(&self, peer_id: &PeerId) -> Option<&Connection<K::Link>> {
        self.connections.get(&self.peers.get(peer_id)?.current?)
    }

    pub(super) fn connections_of(
        &self,
        peer_id: &PeerId,
    ) -> impl Iterator<Item = (ConnectionId, &Connection<K::Link>)> {
        self.peers
            .get(peer_id)
            .into_iter()
            .flat_map(|peer| &peer.connections)
            .filter_map(|id| Some((*id, self.connections.get(id)?)))
    }

    /// Returns whether we have said hello on another connection to this peer and are not answered yet.
    pub(super) fn greets_elsewhere(&self, peer_id: &PeerId, id: ConnectionId) -> bool {
        self.connections_of(peer_id).any(|(other, connection)| {
            other != id && connection.handshake.sent && !connection.is_ready()
        })
    }

    /// Sends our hello, which says what we have received of the peer's session. From here on messages are
    /// taken from this connection only.
    fn say_hello(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&connection.peer) else {
            return;
        };
        let theirs = process_on(connection, &peer.session);
        let session = peer.session.tell(theirs.as_ref(), &mut self.session_names);
        let received = peer.session.received_of(theirs.as_ref());
        connection.told_session = Some(session.clone());
        connection.next_number = received + 1;
        connection.handshake.sent = true;
        connection.handshake.sent_at = Some(now);
        let proof = self.proof(id, &session);
        let hello = Control::Hello(Hello {
            session,
            received,
            metered: self.settings.metered,
            udp_buffer: self.udp_buffer,
            peer_id: self.own.clone(),
            proof,
        });
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let written = connection.write(Channel::Control, hello.to_text().as_bytes());
        if !matches!(written, Ok(true)) {
            self.connection_failed(now, id, "the hello cannot be written");
        }
    }

    /// Lets the session go on over this connection. The peer's hello is there, and ours was sent or is
    /// sent now.
    fn adopt(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let Some(received) = connection.greeting.as_ref().map(|hello| hello.received) else {
            return;
        };
        let peer_id = connection.peer.clone();
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return;
        };
        let Some(theirs) = process_on(connection, &peer.session) else {
            return;
        };
        let told = connection.told_session.as_deref();
        let (session, names) = (&mut peer.session, &mut self.session_names);
        let greeting = session.greet(&theirs, received, told, names);
        let (resumed, settled, lost) = match greeting {
            Greeting::Resumed { settled } => (peer.met, settled, Vec::new()),
            Greeting::New { lost } => (false, Vec::new(), lost),
            Greeting::Impossible(contradiction) => {
                return self.contradicted(now, id, &peer_id, contradiction);
            }
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            if connection.handshake.sent {
                if !resumed {
                    // Our hello spoke of a session that the peer no longer has.
                    connection.next_number = 1;
                }
            } else {
                self.say_hello(now, id);
            }
        }
        if !settled.is_empty()
            && let Some(peer) = self.peers.get_mut(&peer_id)
        {
            peer.watermarks.moved(now);
        }
        for outgoing in settled {
            self.arrived(now, &peer_id, outgoing);
        }
        for outgoing in lost {
            let text = format!("{peer_id} was started anew before its agent took the message");
            self.settle_failed(&peer_id, outgoing, ErrorCode::ConnectionLost, text);
        }
        self.take_over(now, id, resumed);
        self.acknowledge(now, &peer_id);
    }

    /// Ends the session with a peer that has said on connection `id` what cannot be true of it. Its process
    /// counts as ended: the messages that it has not acknowledged are reported, and a new session begins on a
    /// new connection. But another process that wants to take its place ends that connection alone. So does
    /// one to which nobody has listened yet, which may be anybody's, as long as the one in use is well.
    pub(super) fn contradicted(
        &mut self,
        now: Instant,
        id: ConnectionId,
        peer_id: &PeerId,
        contradiction: Contradiction,
    ) {
        const REASON: &str = "it contradicts the session";
        let is_listened_to = |connection: &Connection<K::Link>| connection.handshake.sent;
        let is_bystander = !self.connections.get(&id).is_some_and(is_listened_to);
        let other = self.peers.get(peer_id).and_then(|peer| peer.current);
        let other = other.filter(|current| *current != id);
        let is_well = |other: ConnectionId| {
            let connection = self.connections.get(&other);
            connection.is_some_and(|connection| connection.is_well(now))
        };
        let is_another = self.connections.get(&id).is_some_and(|connection| {
            let session = self.peers.get(peer_id).map(|peer| &peer.session);
            session.is_some_and(|session| {
                session.is_replaced_by(process_on(connection, session).as_ref())
            })
        });
        if is_another || (is_bystander && other.is_some_and(is_well)) {
            log::warn!("a new connection to {peer_id} is not used: {contradiction}");
            return self.connection_failed(now, id, REASON);
        }
        log::warn!("the session with {peer_id} ends and a new one begins: {contradiction}");
        if let Some(other) = other {
            self.retire(now, other);
        }
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        if std::mem::replace(&mut peer.has_contradicted, true) {
            // What was never written would wait for its next session for ever.
            self.end_session(now, peer_id, ErrorCode::ConnectFailed);
        } else {
            self.restart_session(now, peer_id);
        }
        self.connection_failed(now, id, REASON);
    }

    /// Lets messages go over this connection to a peer of another make, as soon as its channel is open.
    /// If the peer was one of ours before, that session ends, and what was written in it is reported as
    /// lost.
    fn adopt_without_session(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let peer_id = connection.peer.clone();
        if self
            .peers
            .get(&peer_id)
            .is_some_and(|peer| peer.speaks_sessions)
        {
            self.restart_session(now, &peer_id);
        }
        self.take_over(now, id, false);
    }

    /// Starts numbers over, under a new id if the peer may know the old one. What was written is reported
    /// as lost; what was not written stays.
    pub(super) fn restart_session(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        let own = peer.session.is_told().then(|| self.session_names.next());
        let lost = peer.session.restart(own);
        for outgoing in lost {
            let text =
                format!("the session with {peer_id} ended before its agent took the message");
            self.settle_failed(peer_id, outgoing, ErrorCode::ConnectionLost, text);
        }
        self.watch_queue(now, peer_id);
    }

    /// Makes this connection the one that carries the messages, and retires the others to this peer.
    fn take_over(&mut self, now: Instant, id: ConnectionId, resumed: bool) {
        self.remember_certificate(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.phase = Phase::Open;
        connection.search.end();
        connection.choice.begin(now);
        let hello = connection.greeting.as_ref();
        let is_metered = self.settings.metered || hello.is_some_and(|hello| hello.metered);
        let intervals = Intervals::of(is_metered);
        let yields = connection.role == Role::Answerer;
        connection.liveness.keep(intervals, yields);
        if let Some(bytes) = hello.and_then(|hello| hello.udp_buffer) {
            connection.send_window.peer_buffers(bytes);
        }
        if connection.speaks_sessions {
            connection.liveness.expect_answers(now);
            if connection.round_trip.is_none() {
                // Until it is measured: the round trips of ICE, DTLS and SCTP are over.
                let round_trip = now.saturating_duration_since(connection.created) / 4;
                connection.liveness.measured(round_trip);
            }
        }
        connection.opened = Some(now);
        connection.deadline = None;
        connection.handshake.received = true;
        let early = connection.early.take();
        let (peer_id, role) = (connection.peer.clone(), connection.role);
        let speaks_sessions = connection.speaks_sessions;
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return;
        };
        let was_reachable = peer.reachable;
        peer.restarts += u64::from(peer.met);
        self.totals.restarts += u64::from(peer.met);
        peer.current = Some(id);
        peer.reachable = true;
        peer.note_state(now);
        peer.met = true;
        peer.speaks_sessions = speaks_sessions;
        peer.last_role = role;
        peer.retry.adopted = Some(now);
        peer.retry.cancel();
        peer.heard = now;
        peer.said_goodbye = false;
        peer.wanted = None;
        peer.distrusted = None;
        peer.held = None;
        peer.watermarks.wait_anew(now);
        let others: Vec<_> = peer
            .connections
            .iter()
            .copied()
            .filter(|other| *other != id)
            .collect();
        if was_reachable && !resumed {
            self.agent.push_state(Event::PeerDisconnected {
                peer_id: peer_id.clone(),
            });
        }
        if !was_reachable || !resumed {
            log::info!(
                "connected to {peer_id}{}",
                if resumed { " again" } else { "" }
            );
            self.agent.push_state(Event::PeerConnected {
                peer_id: peer_id.clone(),
                resumed,
            });
        }
        if !was_reachable {
            self.plan_report(now);
        }
        self.answer_waiting(&peer_id);
        for other in others {
            self.retire(now, other);
        }
        for data in early {
            self.mesh_message(now, id, data);
        }
        self.watch_queue(now, &peer_id);
        self.arm_peer(now, &peer_id);
        self.found_introducer(now);
    }

    /// Answers the `connect` commands that wait for the peer, since it is connected.
    pub(super) fn answer_waiting(&mut self, peer_id: &PeerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        for waiting in std::mem::take(&mut peer.waiting) {
            let target_peer_id = peer_id.clone();
            self.agent
                .succeed(&waiting.origin, Success::Connected { target_peer_id });
        }
    }
}
