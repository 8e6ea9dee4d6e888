//! The sans-IO core: decides everything about peers, sessions and connections, without doing any input or
//! output itself.
//!
//! [`Mesh`] takes `(now, input)` and gives datagrams to send, frames for the registry, events for the
//! agent, and the time at which it wants to be called next. It knows no socket, thread, clock or
//! environment.
//!
//! A *session* ([`peer::session`]) is what two processes have to say to each other: numbered messages,
//! kept until they are known to have arrived. A *connection* ([`connection`]) is one attempt at a path
//! between them. To heal, the core builds a connection beside the one in doubt, resumes the session on
//! it, and drops the loser.
//!
//! The files beside this one are what the core does, each an `impl Mesh`:
//!
//! * [`commands`]: carries out the commands of the agent. [`answer_deadlines`]: gives them up in time.
//! * [`attempts`]: begins a connection. [`offers`], [`signaling`], [`candidates`]: offers, answers and
//!   candidates of other sidecars.
//! * [`passing`]: the same through other sidecars, while the registry is away.
//! * [`room`]: who gives way when `MAX_PEERS` is reached.
//! * [`discovery`]: who is online, and when to offer a connection to whom.
//! * [`handshake`]: decides which connection carries the session.
//! * [`datagrams`]: the network. [`recovery`]: timers, liveness, replacing a connection.
//! * [`probing`]: noticing that the last of what was sent is lost.
//! * [`path_recovery`]: finding a path for a connection that is in doubt. [`moving`]: taking a faster one.
//! * [`queueing`], [`sending`], [`receiving`]: messages. [`acknowledging`], [`delivery`]: what is known of their
//!   arrival.
//! * [`reporting`]: what the registry is told of our connections.
//! * [`statistics`], [`shutdown`]: the answer to `stats`, and the end.
//!
//! The state of the core is in the folders [`agent`], [`peer`], [`connection`], [`introduction`],
//! [`link`] and [`base`], which know nothing of [`Mesh`].

mod acknowledging;
mod agent;
mod answer_deadlines;
mod attempts;
mod base;
mod candidates;
mod commands;
mod connection;
mod datagrams;
mod delivery;
mod discovery;
mod handshake;
pub(crate) mod introduction;
pub mod link;
mod moving;
mod offers;
mod passing;
mod path_recovery;
mod peer;
mod probing;
mod queueing;
mod receiving;
mod recovery;
mod reporting;
mod room;
mod sending;
mod shrinking;
mod shutdown;
mod signaling;
mod statistics;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::limits;
use crate::nat::candidate::LocalCandidate;
use crate::nat::interface_kind::InterfaceKind;
use crate::protocol::PeerId;
use crate::protocol::ipc::{self, Event, RegistryState};
use crate::protocol::signaling::{Outgoing, Reported};

use agent::AgentQueue;
use agent::broadcasts::Broadcasts;
pub use agent::origin::Generation;
use base::timers::Timers;
use base::totals::Totals;
use connection::{Connection, ConnectionId};
use introduction::roster::Roster;
use introduction::token_bucket::TokenBucket;
use link::{Linker, Transmit};
use peer::Peer;
use peer::overflow::Overflow;
use peer::session_names::SessionNames;

/// The setting `MESH`: when connections are opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MeshMode {
    /// To every peer that the registry lists.
    #[default]
    Full,
    /// When something is sent.
    Lazy,
}

/// The part of the configuration that the core needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When connections are opened.
    pub mode: MeshMode,
    /// The largest number of peers.
    pub max_peers: usize,
    /// The size limits for the agent's lines.
    pub limits: ipc::Limits,
    /// How many bytes may be queued for each peer before its messages wait in the overflow.
    pub queue_bytes: usize,
    /// How many bytes of messages beyond that may wait, of all peers together, before the agent is held back.
    pub overflow_bytes: usize,
    /// The time from the wish to reach a peer to giving up.
    pub connect_timeout: Duration,
    /// How long the session with a lost peer is kept.
    pub recovery_timeout: Duration,
    /// How long a full queue may stand still before it is taken out of the way.
    pub send_stall: Duration,
    /// Whether our line is paid for by the byte.
    pub metered: bool,
    /// Whether the registry is told with whom we are connected.
    pub report_topology: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum TimerKey {
    /// The link wants to be called.
    Link(ConnectionId),
    /// A connection is to be looked at: the deadline of a phase, or a change of its health.
    Connection(ConnectionId),
    /// What was written to a connection may not have arrived.
    Tail(ConnectionId),
    /// A peer is to be looked at: to offer, to answer a held offer, to notice a stall.
    Peer(PeerId),
    /// A deadline of the agent's commands for this peer may have come.
    Deadlines(PeerId),
    /// An acknowledgement is due.
    Acknowledgement(PeerId),
    /// The registry is to be asked who is online.
    Roster,
    /// The registry is to be told with whom we are connected.
    Report,
}

/// The core: all state of all connections, owned by one thread.
pub struct Mesh<K: Linker> {
    settings: Settings,
    linker: K,
    random: fastrand::Rng,
    started: Instant,
    own: Option<PeerId>,
    /// Names our sessions.
    session_names: SessionNames,
    roster: Roster,
    /// Limits offers from names that nothing is known of.
    strangers: TokenBucket,
    /// Sets of local candidates. Connections to one peer use different sets, so that datagrams of an
    /// old and a new one are told apart by their addresses.
    lanes: Vec<Vec<LocalCandidate>>,
    /// Candidates that no new connection uses, and those that have them may go on using.
    outdone: Vec<LocalCandidate>,
    /// How much the receive buffers of our UDP sockets hold, in bytes as the system counts them.
    udp_buffer: Option<u64>,
    /// The names and kinds of the interfaces of our addresses, for the statistics.
    interfaces: BTreeMap<IpAddr, (String, InterfaceKind)>,
    peers: BTreeMap<PeerId, Peer>,
    /// Peers that hold none of the `MAX_PEERS` places: see [`room`].
    resting: BTreeSet<PeerId>,
    connections: BTreeMap<ConnectionId, Connection<K::Link>>,
    next_connection: u64,
    /// Finds the connection of a local and a remote address. Iterated only to drop the entries of one
    /// connection, so its order does not matter.
    routes: HashMap<(SocketAddr, SocketAddr), ConnectionId>,
    agent: AgentQueue,
    broadcasts: Broadcasts,
    /// Counts what waits for peers beyond their own queues.
    overflow: Overflow,
    /// Connections that messages were queued for since the last flush.
    unflushed: BTreeSet<ConnectionId>,
    /// Connections that signals were written to since the last flush.
    undriven: BTreeSet<ConnectionId>,
    timers: Timers<TimerKey>,
    transmits: VecDeque<Transmit>,
    frames: VecDeque<Outgoing>,
    /// Names under `.local` whose addresses are to be asked for.
    local_names: VecDeque<String>,
    totals: Totals,
    /// What the registry was told of our connections last; `None` if it does not know.
    reported: Option<Vec<Reported>>,
    /// Whether nobody has answered the checks of a connection; see [`Mesh::take_doubt`].
    has_new_doubt: bool,
    /// Whether messages of peers of ours are no longer taken, so that they report them as lost.
    refuses_messages: bool,
    shutting_down: bool,
}

impl<K: Linker> Mesh<K> {
    /// Creates a core without peers. `seed` decides every random choice: ids and jitter.
    pub fn new(settings: Settings, linker: K, seed: u64, now: Instant) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Mesh {
            overflow: Overflow::new(settings.overflow_bytes),
            settings,
            linker,
            session_names: SessionNames::new(random_id(&mut random)),
            random,
            started: now,
            own: None,
            roster: Roster::new(),
            strangers: TokenBucket::new((limits::STRANGER_BURST, limits::STRANGER_INTERVAL), now),
            lanes: Vec::new(),
            outdone: Vec::new(),
            udp_buffer: None,
            interfaces: BTreeMap::new(),
            peers: BTreeMap::new(),
            resting: BTreeSet::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            routes: HashMap::new(),
            agent: AgentQueue::default(),
            broadcasts: Broadcasts::default(),
            unflushed: BTreeSet::new(),
            undriven: BTreeSet::new(),
            timers: Timers::new(),
            transmits: VecDeque::new(),
            frames: VecDeque::new(),
            local_names: VecDeque::new(),
            totals: Totals::default(),
            reported: None,
            has_new_doubt: false,
            refuses_messages: false,
            shutting_down: false,
        }
    }

    /// Returns the next datagram to send. To be drained after every input.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Returns the next frame for the registry. To be drained after every input.
    pub fn poll_frame(&mut self) -> Option<Outgoing> {
        self.frames.pop_front()
    }

    /// Returns when [`Mesh::handle_timeout`] wants to be called, if nothing else comes first.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Notes that an agent is connected, and queues its greeting.
    pub fn agent_connected(&mut self, generation: Generation) {
        let ready = Event::Ready {
            peer_id: self.own.clone(),
            max_message_bytes: self.settings.limits.message_bytes,
            max_line_bytes: self.settings.limits.line_bytes,
            registry_connected: self.roster.is_connected(),
        };
        let trouble = self.roster.reason().map(|reason| Event::Registry {
            state: self.roster.state(),
            peer_id: self.own.clone(),
            reason: Some(reason.clone()),
        });
        let greeting = std::iter::once(ready).chain(trouble);
        let reachable = self.peers.values().filter(|peer| peer.reachable);
        self.agent
            .connected(generation, greeting, reachable.map(|peer| &peer.id));
    }

    /// Notes that the agent has gone; `unsent` is what its writer still had, in order.
    pub fn agent_gone(&mut self, generation: Generation, unsent: Vec<Event>) {
        self.agent.gone(generation, unsent);
    }

    /// Takes out events for the agent's writer, about `bytes` of them.
    pub fn take_events(&mut self, bytes: usize) -> Vec<Event> {
        let events = self.agent.take_events(bytes);
        if self.agent.wants_summary() {
            let reachable: BTreeSet<_> = self
                .peers
                .values()
                .filter(|peer| peer.reachable)
                .map(|peer| peer.id.clone())
                .collect();
            self.agent.summarize(&reachable);
        }
        events
    }

    /// Takes back the events that [`Mesh::take_events`] gave last, because the agent's writer did not
    /// take them.
    pub fn take_back_events(&mut self, events: Vec<Event>) {
        self.agent.take_back(events);
    }

    /// Returns whether the agent has all the answers that it is owed.
    pub fn agent_is_answered(&self) -> bool {
        self.agent.owes_nothing()
    }

    /// Notes that the registry has given us a name; `register` was sent to it.
    pub fn registry_connected(&mut self, now: Instant, own: PeerId) {
        log::info!("registered as {own}");
        self.agent.push_state(Event::Registry {
            state: RegistryState::Connected,
            peer_id: Some(own.clone()),
            reason: None,
        });
        self.own = Some(own);
        self.roster.connected(now);
        self.arm_roster();
        self.reported = None;
        self.plan_report(now);
        for peer in self.peers.values_mut() {
            peer.retry.backoff.reset();
            peer.retry.awaits_list |= peer.retry.at.take().is_some();
        }
        self.drop_unheard_attempts(now);
    }

    /// Notes how much the receive buffers of our UDP sockets hold, in bytes as the system counts them.
    pub fn set_udp_buffer(&mut self, bytes: Option<u64>) {
        self.udp_buffer = bytes;
    }

    /// Notes how long a round trip to the registry takes.
    pub fn registry_measured(&mut self, round_trip: Duration) {
        self.roster.measured(round_trip);
    }

    /// Notes that the registry can't be reached. Nothing changes for connections that exist.
    pub fn registry_disconnected(&mut self, state: RegistryState, reason: String) {
        self.roster.disconnected(state, reason.clone());
        self.arm_roster();
        self.agent.push_state(Event::Registry {
            state,
            peer_id: self.own.clone(),
            reason: Some(reason),
        });
    }

    /// Returns the window that each peer of ours is granted: its share of what may wait for the agent.
    fn window(&self) -> usize {
        let share = limits::INBOX_BYTES / self.peers.len().max(1);
        share
            .min(self.settings.queue_bytes)
            .max(limits::LEAST_WINDOW_BYTES)
    }

    /// Returns how many bytes a peer that keeps to its window can have waiting for the agent. That is
    /// twice the largest window, since a process before it may have left a full one; what may be sent
    /// before the window is told; and one message, which may be larger than any window.
    fn inbox_limit(&self) -> usize {
        let largest = self.settings.queue_bytes.max(limits::LEAST_WINDOW_BYTES);
        2 * largest + limits::LEAST_WINDOW_BYTES + self.settings.limits.message_bytes
    }
}

/// Returns a random id for the wire, 128 bits in hexadecimal.
fn random_id(random: &mut fastrand::Rng) -> String {
    format!("{:032x}", random.u128(..))
}

#[cfg(test)]
mod tests;
