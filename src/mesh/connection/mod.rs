//! One connection to a peer: a [`Link`] and where it stands.

pub(crate) mod early_messages;
pub(crate) mod flow_control;
pub(crate) mod liveness;
pub(crate) mod receipts;
pub(crate) mod remote_candidates;
pub(crate) mod send_window;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::nat::candidate::LocalCandidate;
use crate::protocol::PeerId;

use super::link::description;
use super::link::{Datagram, Link};
use early_messages::EarlyMessages;
use flow_control::FlowControl;
use liveness::{Health, Liveness};
use receipts::Receipts;
use remote_candidates::RemoteCandidates;
use send_window::SendWindow;

/// Identifies a connection within this process. Everything is keyed by it, never by the peer's name
/// alone: a peer may come back while its old connection is not known to be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// Who made the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Offerer,
    Answerer,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Our offer is not answered yet.
    Offered,
    /// Both descriptions are known; ICE, DTLS, SCTP and the channels are on their way.
    Connecting,
    /// Carries messages, or did until it was replaced.
    Open,
}

/// The first frames on `mesh-control`.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    pub(super) mesh_open: bool,
    pub(super) control_open: bool,
    /// We have said hello: from here on older connections are not listened to.
    pub(super) sent: bool,
    /// The peer has said hello, and it was acted upon.
    pub(super) received: bool,
}

/// The nominated pair of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection<L> {
    pub(super) peer: PeerId,
    /// Which set of local addresses it uses. Two connections to one peer are on different lanes if there
    /// are several, but relayed addresses are in all of them.
    pub(super) lane: usize,
    pub(super) role: Role,
    /// The id of the attempt on the wire; `None` when another make offered.
    pub(super) attempt: Option<String>,
    /// Whether both descriptions carried our additions.
    pub(super) speaks_sessions: bool,
    /// The session that the peer's description announced.
    pub(super) announced_session: Option<String>,
    /// Our side's session, as our hello has told it.
    pub(super) told_session: Option<String>,
    pub(super) link: L,
    pub(super) phase: Phase,
    pub(super) created: Instant,
    /// When the present phase has to be over; open connections have none.
    pub(super) deadline: Option<Instant>,
    pub(super) handshake: Handshake,
    /// The peer's hello: its session, and what it has of ours.
    pub(super) greeting: Option<(String, u64)>,
    /// Messages that came in before it.
    pub(super) early: EarlyMessages,
    /// When it began to carry messages.
    pub(super) opened: Option<Instant>,
    pub(super) candidates: RemoteCandidates,
    /// Our candidates, those that were found after the description included.
    pub(super) local: Vec<LocalCandidate>,
    /// What the peer takes in one message, in bytes.
    pub(super) max_message_bytes: usize,
    /// The number of the next mesh message to come in.
    pub(super) next_number: u64,
    pub(super) liveness: Liveness,
    /// Whether the peer, of another make, may have given it up in a silence, though it is heard of again.
    pub(super) may_be_left: bool,
    /// Of the mesh channel.
    pub(super) send_window: SendWindow,
    /// Holds the peer's records while our agent has more than enough of it.
    pub(super) flow_control: FlowControl,
    /// Of a peer of another make.
    pub(super) receipts: Receipts,
    pub(super) path: Option<Path>,
    pub(super) round_trip: Option<Duration>,
}

impl<L: Link> Connection<L> {
    /// Whether messages may be written to it.
    pub(super) fn is_ready(&self) -> bool {
        let greeted = self.handshake.sent && self.handshake.received;
        self.phase == Phase::Open && (greeted || !self.speaks_sessions)
    }

    /// Whether it was heard of lately.
    pub(super) fn is_well(&self, now: Instant) -> bool {
        self.liveness.health(now) <= Health::Quiet
    }

    /// Whether its attempt is still under way.
    pub(super) fn is_attempt(&self) -> bool {
        matches!(self.phase, Phase::Offered | Phase::Connecting)
    }

    /// Adds a candidate of the peer, or keeps it until the peer's description is there.
    pub(super) fn take_candidate(&mut self, now: Instant, candidate: &str) {
        // Empty says that no more follow, which changes nothing here.
        if candidate.is_empty() || !self.candidates.admit(now) {
            return;
        }
        if self.phase == Phase::Offered {
            self.candidates.wait(candidate.to_owned());
        } else {
            self.add_candidate(candidate);
        }
    }

    /// The peer's description is there: what waited for it is used.
    pub(super) fn described(&mut self, sdp: &str) {
        self.max_message_bytes = description::max_message_bytes(sdp);
        for line in description::candidates(sdp) {
            self.note_kind(line);
            if let Some(name) = description::candidate_name(line) {
                self.candidates.wait_for_name(name, line);
            }
        }
        for candidate in self.candidates.take_waiting() {
            self.add_candidate(&candidate);
        }
    }

    fn add_candidate(&mut self, candidate: &str) {
        if let Some(name) = description::candidate_name(candidate) {
            return self.candidates.wait_for_name(name, candidate);
        }
        self.note_kind(candidate);
        if let Err(error) = self.link.add_remote_candidate(candidate) {
            // TCP candidates and the like: others may do.
            log::debug!("{}: {error}", self.peer);
        }
    }

    /// The address behind a name is known: uses the candidates that hold it. Says whether there were
    /// any.
    pub(super) fn resolved(&mut self, now: Instant, name: &str, address: IpAddr) -> bool {
        let lines = self.candidates.with_address(name, address);
        for line in &lines {
            if self.candidates.admit(now) {
                self.add_candidate(line);
            }
        }
        !lines.is_empty()
    }

    fn note_kind(&mut self, candidate: &str) {
        let in_use = self.path.map(|path| path.remote);
        self.candidates.note_kind(candidate, in_use);
    }

    /// Whether it sends from this address of ours, and so may receive there.
    pub(super) fn sends_from(&self, source: SocketAddr) -> bool {
        self.local
            .iter()
            .any(|candidate| candidate.source() == source)
    }

    /// What is sent goes by this path from now on. A new one has its time to prove itself.
    pub(super) fn goes_by(&mut self, now: Instant, path: Path) {
        if self.path.replace(path) != Some(path) {
            self.liveness.answered(now);
        }
    }

    /// Whether the datagram came by the path on which we send.
    pub(super) fn uses(&self, datagram: &Datagram<'_>) -> bool {
        self.path.is_some_and(|path| {
            // The local end may be told as what a router made of it.
            let is_told_otherwise = !self.sends_from(path.local);
            path.remote == datagram.source
                && (path.local == datagram.destination || is_told_otherwise)
        })
    }

    /// Of which kind the local end of a path is (RFC 8445): a socket of ours, or a relay.
    pub(super) fn kind_of_local(&self, source: SocketAddr) -> &'static str {
        let is_relayed = self.local.iter().any(|candidate| {
            matches!(candidate, LocalCandidate::Relayed { address, .. } if *address == source)
        });
        if is_relayed { "relay" } else { "host" }
    }

    /// Of which kind a remote address is (RFC 8445): what the peer called it, or else `prflx`.
    pub(super) fn kind_of_remote(&self, remote: SocketAddr) -> &'static str {
        self.candidates.kind(remote).unwrap_or("prflx")
    }
}
