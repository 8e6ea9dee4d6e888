//! The state of one connection to a peer: its [`Link`] and how far it has come.

pub(crate) mod burst;
pub(crate) mod delivery_rate;
pub(crate) mod early_messages;
pub(crate) mod flow_control;
pub(crate) mod intervals;
pub(crate) mod least_round_trip;
pub(crate) mod liveness;
pub(crate) mod outstanding;
pub(crate) mod path_choice;
pub(crate) mod path_search;
pub(crate) mod receipts;
pub(crate) mod remote_candidates;
pub(crate) mod round_trips;
pub(crate) mod send_window;
pub(crate) mod swallowing;
pub(crate) mod tail_probe;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::limits;
use crate::nat::candidate::LocalCandidate;
use crate::protocol::control::Hello;
use crate::protocol::signaling::Outgoing;
use crate::protocol::{PathKind, PeerId};

use super::link::description;
use super::link::{Channel, Datagram, Link, LinkError, Path};
use burst::Burst;
use early_messages::EarlyMessages;
use flow_control::FlowControl;
use liveness::{Health, Liveness};
use outstanding::Outstanding;
use path_choice::PathChoice;
use path_search::PathSearch;
use receipts::Receipts;
use remote_candidates::RemoteCandidates;
use round_trips::RoundTrips;
use send_window::SendWindow;
use swallowing::Swallowing;
use tail_probe::TailProbe;

/// Identifies a connection within this process. Everything is keyed by it, never by the peer's name
/// alone: a peer may come back before its old connection is known to be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// Which side made the offer: `Offerer` if we did, `Answerer` if the peer did.
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
    /// Both descriptions are known; ICE, DTLS, SCTP and the channels are being established.
    Connecting,
    /// It carries messages, or did until it was replaced.
    Open,
}

/// How far opening the channels and exchanging `hello`s on `mesh-control` has come.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    pub(super) mesh_open: bool,
    pub(super) control_open: bool,
    /// We have sent our hello. From here on nothing is taken from older connections.
    pub(super) sent: bool,
    /// The connection carries the session: the peer's hello was acted upon, or the peer is of another
    /// make.
    pub(super) received: bool,
}

/// An offer of ours that is passed on by others until it is answered.
#[derive(Debug)]
pub(super) struct OfferToRepeat {
    pub(super) frame: Outgoing,
    /// When the next of them are asked to pass it on.
    pub(super) at: Instant,
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
    /// The peers that pass on our signals of this attempt, beside the registry or in its place.
    pub(super) introducers: Vec<PeerId>,
    /// Our offer, until it is answered. Only for peers that others may introduce.
    pub(super) offer: Option<OfferToRepeat>,
    /// The fingerprint in the peer's description, which its certificate has to have.
    pub(super) fingerprint: Option<String>,
    /// The id of the peer's session, as its description announced it.
    pub(super) announced_session: Option<String>,
    /// The id of our session, as our hello has told it.
    pub(super) told_session: Option<String>,
    pub(super) link: L,
    pub(super) phase: Phase,
    pub(super) created: Instant,
    /// The deadline of the present phase; open connections have none.
    pub(super) deadline: Option<Instant>,
    pub(super) handshake: Handshake,
    /// The peer's hello.
    pub(super) greeting: Option<Hello>,
    /// Messages that came in before the peer's hello.
    pub(super) early: EarlyMessages,
    /// When it began to carry messages.
    pub(super) opened: Option<Instant>,
    pub(super) candidates: RemoteCandidates,
    /// Our candidates, including those that were found after the description was sent.
    pub(super) local: Vec<LocalCandidate>,
    /// The largest message that the peer takes, in bytes.
    pub(super) max_message_bytes: usize,
    /// The number of the next mesh message to come in.
    pub(super) next_number: u64,
    pub(super) liveness: Liveness,
    /// Looks for a path while none is known to work.
    pub(super) search: PathSearch,
    /// Measures the pairs of addresses.
    pub(super) round_trips: RoundTrips,
    /// Compares the path in use with others.
    pub(super) choice: PathChoice,
    /// Counts what the peer's transport has not acknowledged, of both channels.
    pub(super) outstanding: Outstanding,
    /// Notices if the path swallows full packets.
    pub(super) swallowing: Swallowing,
    /// Whether the peer may have given up this connection while it was silent, although it is heard
    /// again. Only for peers of another make.
    pub(super) may_be_left: bool,
    /// Whether the peer has told that it ends this connection because it is idle.
    pub(super) is_to_rest: bool,
    /// The send window of the mesh channel.
    pub(super) send_window: SendWindow,
    /// Notices that the last of what was sent is lost. Only for peers of ours.
    pub(super) tail: TailProbe,
    /// Holds the peer's DTLS records while too many of its messages wait for our agent.
    pub(super) flow_control: FlowControl,
    /// The datagrams that the link was given and whose outputs were not taken yet.
    pub(super) burst: Burst,
    /// Messages that the transport has not acknowledged yet. Only for peers of another make.
    pub(super) receipts: Receipts,
    /// The pair of addresses in use for sending, nominated by ICE.
    pub(super) path: Option<Path>,
    /// The round-trip time of that path; until there is one, of any that has answered.
    pub(super) round_trip: Option<Duration>,
}

impl<L: Link> Connection<L> {
    /// Returns whether messages may be written to it.
    pub(super) fn is_ready(&self) -> bool {
        let greeted = self.handshake.sent && self.handshake.received;
        self.phase == Phase::Open && (greeted || !self.speaks_sessions)
    }

    /// Returns whether the peer was heard lately, and has lately answered if answers are expected.
    pub(super) fn is_well(&self, now: Instant) -> bool {
        self.liveness.health(now) < Health::Suspect
    }

    /// Returns whether it is an attempt that has a path, on which nothing but the handshake is heard unless it is
    /// asked for.
    pub(super) fn shakes_hands(&self) -> bool {
        self.phase == Phase::Connecting && self.path.is_some()
    }

    /// Returns whether the peer need not be asked for a sign of life.
    pub(super) fn is_alive(&self, now: Instant) -> bool {
        self.liveness.health(now) == Health::Alive
    }

    /// Returns whether there is no doubt at all: the peer was heard lately, and acknowledges what it has to.
    pub(super) fn is_beyond_doubt(&self, now: Instant) -> bool {
        self.liveness.health(now) < Health::Overdue
    }

    /// Writes a message as a whole; returns `false` when it does not fit now.
    pub(super) fn write(&mut self, channel: Channel, message: &[u8]) -> Result<bool, LinkError> {
        let has_written = self.link.write(channel, message)?;
        if has_written {
            self.outstanding.written(message.len());
            if channel == Channel::Mesh {
                self.swallowing.written(message.len());
            }
        }
        Ok(has_written)
    }

    /// Looks at what the peer's transport has acknowledged. Returns how many bytes of the mesh channel it
    /// has not.
    pub(super) fn look_at_acknowledgements(&mut self, now: Instant) -> usize {
        let of_mesh = self.link.buffered(Channel::Mesh);
        let buffered = of_mesh.saturating_add(self.link.buffered(Channel::Control));
        if self.outstanding.acknowledged_to(buffered) {
            self.liveness.acknowledged(now);
        }
        self.liveness.awaits_acknowledgement(now, buffered > 0);
        self.swallowing.acknowledged_to(now, of_mesh);
        of_mesh
    }

    /// Returns when a frame is to be sent because the last of what was sent seems to be lost.
    pub(super) fn tail_due(&self) -> Option<Instant> {
        let progress = self.liveness.unacknowledged_since();
        let round_trip = self.round_trip.unwrap_or_default();
        let under_way = self.send_window.time_on_line();
        self.tail
            .due(progress, self.liveness.last_seen(), round_trip, under_way)
    }

    /// Returns whether it is an attempt that is still under way.
    pub(super) fn is_attempt(&self) -> bool {
        matches!(self.phase, Phase::Offered | Phase::Connecting)
    }

    /// Returns whether it is an attempt on whose path the peer was heard, and whose channels are not open yet.
    pub(super) fn is_in_handshake(&self) -> bool {
        self.phase == Phase::Connecting
            && !self.handshake.mesh_open
            && !self.liveness.was_never_heard()
    }

    /// Returns whether it is an attempt on whose path the peer is heard, so that the handshake only needs
    /// its round trips. There are about seven after ICE, and two fewer between two of ours, where SCTP has no handshake.
    pub(super) fn is_under_way(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.created);
        self.phase == Phase::Connecting
            && self.is_well(now)
            && !self.liveness.was_never_heard()
            && age < limits::SLOW_ATTEMPT_TIMEOUT
    }

    /// Adds a candidate of the peer, or keeps it until the peer's description is there.
    pub(super) fn take_candidate(&mut self, now: Instant, candidate: &str) {
        // An empty candidate says that no more will follow, which changes nothing here.
        if candidate.is_empty()
            || self.candidates.note_repeated(candidate)
            || !self.candidates.admit(now)
        {
            return;
        }
        if self.phase == Phase::Offered {
            self.candidates.wait(candidate.to_owned());
        } else {
            self.add_candidate(candidate);
        }
    }

    /// Takes the message size and the candidates of the peer's description, and adds the candidates that
    /// waited for it.
    pub(super) fn described(&mut self, sdp: &str) {
        self.max_message_bytes = description::max_message_bytes(sdp);
        self.fingerprint = description::fingerprint(sdp);
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
            // A TCP candidate, for instance. Others may work.
            log::debug!("{}: {error}", self.peer);
        }
    }

    /// Adds the candidates that hold `name`, now that its address is known. Returns whether there were
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

    /// Returns whether it sends from this address of ours, and so may receive there.
    pub(super) fn sends_from(&self, source: SocketAddr) -> bool {
        self.local
            .iter()
            .any(|candidate| candidate.source() == source)
    }

    /// Notes the path that our datagrams now take. A new path gets the full time to prove that it works.
    /// Returns whether it is new.
    pub(super) fn goes_by(&mut self, now: Instant, path: Path) -> bool {
        let is_new = self.path.replace(path) != Some(path);
        if is_new {
            self.liveness.answered(now);
            self.send_window.path_changed();
            if let Some(round_trip) = self.round_trips.latest(path) {
                self.measured(now, round_trip);
            }
            self.choice.begin(now);
        }
        is_new
    }

    /// Notes the round-trip time of the path in use.
    pub(super) fn measured(&mut self, now: Instant, round_trip: Duration) {
        self.round_trip = Some(round_trip);
        self.liveness.measured(round_trip);
        self.send_window.measured(now, round_trip);
    }

    /// Checks all pairs anew.
    pub(super) fn check_again(&mut self, now: Instant) {
        let is_first = self.search.checks_anew();
        self.choice.checks_anew(is_first);
        self.link.check_again(now, &self.local);
    }

    /// Returns whether the datagram came by the path on which we send.
    pub(super) fn uses(&self, datagram: &Datagram<'_>) -> bool {
        self.path == Some(datagram.path())
    }

    /// Returns the kind of the local end of a path (RFC 8445): `relay`, or `host` for a socket of ours.
    pub(super) fn kind_of_local(&self, source: SocketAddr) -> &'static str {
        let is_relayed = self.local.iter().any(|candidate| {
            matches!(candidate, LocalCandidate::Relayed { address, .. } if *address == source)
        });
        if is_relayed { "relay" } else { "host" }
    }

    /// Returns the kind of the path in use.
    pub(super) fn path_kind(&self) -> Option<PathKind> {
        let path = self.path?;
        Some(PathKind::of(
            self.kind_of_local(path.local),
            self.kind_of_remote(path.remote),
        ))
    }

    /// Returns the kind of a remote address (RFC 8445): what the peer called it, or else `prflx`.
    pub(super) fn kind_of_remote(&self, remote: SocketAddr) -> &'static str {
        self.candidates.kind(remote).unwrap_or("prflx")
    }
}
