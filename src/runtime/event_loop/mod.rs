//! The event loop: the only thread that owns connection state, and the only poll of the data path.
//!
//! It drains each source up to a budget in turn, so that none starves, and sends the outputs of the
//! core after each source.

mod agent;
mod clock;
mod ending;
mod hearing;
mod linger;
mod network;
mod waiting;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};

use crate::config::trust::Trust;
use crate::limits;
use crate::mesh::Mesh;
use crate::mesh::link::Datagram;
use crate::mesh::link::webrtc::WebRtc;
use crate::protocol::multicast_dns;
use crate::protocol::signaling::Outgoing;

use super::names::multicast::Multicast;
use super::network::changes::Changes;
use super::network::reach::Reaching;
use super::network::sockets::Sockets;
use super::peer_files::known_peers;
use super::process::parent::Parent;
use super::process::service_manager::ServiceManager;
use super::process::signals::{Signal, Signals};
use super::signaling::CurrentTls;
use super::wake::LoopWaker;
use super::{ipc, metrics, signaling};
use agent::{Agent, Requests};
use clock::LivedTime;
use linger::Linger;
use waiting::Waiting;

/// The token of the waker that other threads use.
pub(super) const WAKER: Token = Token(0);
/// The token of the pipe that signals write to.
const SIGNALS: Token = Token(1);
/// The token of the multicast socket for names under `.local`.
const MULTICAST: Token = Token(2);
/// The token of the system's notices of changes of the network.
const CHANGES: Token = Token(3);
/// The first token of the UDP sockets; further ones have the tokens above.
pub(super) const FIRST_SOCKET: usize = 4;
/// The first token of streams to TURN servers; further ones have the tokens above. No process has so
/// many sockets that the ranges meet.
pub(super) const FIRST_STREAM: usize = 1 << 30;

/// The reason why the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// A signal asked for it.
    Signal,
    /// The agent left and none came back.
    AgentGone,
    /// Another sidecar was started in our place.
    Replaced,
    /// The registry refused the API key at the first exchange.
    KeyRefused(String),
    /// One of our own threads has ended.
    ThreadLost(&'static str),
}

/// The parts that the loop is made of.
pub(super) struct Parts {
    pub(super) poll: Poll,
    pub(super) waker: LoopWaker,
    pub(super) mesh: Mesh<WebRtc>,
    pub(super) sockets: Sockets,
    pub(super) reaching: Reaching,
    pub(super) signals: Signals,
    pub(super) parent: Parent,
    pub(super) tls: CurrentTls,
    pub(super) trust: Trust,
    /// `KNOWN_PEERS`, and the thread that adds to it.
    pub(super) known_peers: Option<(PathBuf, known_peers::Writer)>,
    pub(super) signaling: signaling::Handle,
    pub(super) signaling_notices: Receiver<signaling::Notice>,
    pub(super) ipc: ipc::Handle,
    pub(super) ipc_notices: Receiver<ipc::Notice>,
    pub(super) requests: Receiver<ipc::RequestBatch>,
    pub(super) metrics: metrics::Handle,
    pub(super) linger: Option<Duration>,
    pub(super) service_manager: ServiceManager,
}

pub(super) struct EventLoop {
    parts: Parts,
    clock: LivedTime,
    agent: Agent,
    requests: Requests,
    multicast: Multicast,
    changes: Changes,
    /// The tokens of sockets that may have more to read.
    readable: BTreeSet<Token>,
    /// Whether other threads may have sent messages that were not taken yet.
    unheard: bool,
    next_address_check: Instant,
    buffer: Vec<u8>,
    end: Option<End>,
    /// When the loop ends its present phase of the end, whether all has been delivered or not.
    farewell_until: Option<Instant>,
    /// Whether the last phase has begun: nothing new is sent, and what is under way may still be
    /// acknowledged.
    is_settling: bool,
}

impl EventLoop {
    pub(super) fn new(mut parts: Parts) -> io::Result<Self> {
        use std::os::fd::AsRawFd as _;
        parts.signals.set_nonblocking()?;
        let signals = parts.signals.as_raw_fd();
        let registry = parts.poll.registry();
        registry.register(&mut SourceFd(&signals), SIGNALS, Interest::READABLE)?;
        let mut clock = LivedTime::new();
        let now = clock.now();
        // No change is missed if they are watched first.
        let changes = Changes::new(registry, CHANGES, now);
        parts.sockets.refresh(registry, now);
        parts.mesh.set_interfaces(parts.sockets.interfaces());
        parts.mesh.set_udp_buffer(parts.sockets.receive_buffer());
        parts.reaching.set_sockets(now, parts.sockets.lanes());
        parts.mesh.set_lanes(now, parts.reaching.lanes());
        let linger = Linger::new(now, parts.linger);
        Ok(EventLoop {
            parts,
            clock,
            agent: Agent::new(linger),
            requests: Requests::default(),
            multicast: Multicast::new(MULTICAST, multicast_dns::GROUP),
            changes,
            readable: BTreeSet::new(),
            unheard: false,
            next_address_check: now + limits::ADDRESS_INTERVAL,
            buffer: vec![0; limits::DATAGRAM_BYTES],
            end: None,
            farewell_until: None,
            is_settling: false,
        })
    }

    /// Runs until something ends it, and then says goodbye to everybody.
    pub(super) fn run(mut self) -> io::Result<End> {
        let mut events = Events::with_capacity(64);
        let mut waiting = Waiting::default();
        self.parts.service_manager.ready();
        loop {
            let now = self.clock.now();
            let timeout = self.timeout(now);
            let Parts { poll, waker, .. } = &mut self.parts;
            waiting.wait(waker, poll, &mut events, timeout)?;
            // The waker is cleared before its channels are drained, so that messages that come in
            // meanwhile wake the loop again.
            self.unheard |= waker.clear();
            if let Some(slept) = self.clock.waited(timeout) {
                self.woke(slept);
            }
            for event in &events {
                match event.token() {
                    // It has done its work by ending the wait.
                    WAKER => {}
                    SIGNALS => self.read_signals(),
                    MULTICAST => self.multicast.ready(),
                    CHANGES => self.changes.ready(self.clock.now()),
                    Token(FIRST_STREAM..) => self.parts.reaching.stream_ready(event.token()),
                    socket => {
                        if event.is_writable() {
                            self.parts
                                .sockets
                                .writable(self.parts.poll.registry(), socket);
                        }
                        if event.is_readable() {
                            self.readable.insert(socket);
                        }
                    }
                }
            }
            let strays = self.parts.mesh.stray_datagrams();
            self.turn();
            if self.parts.mesh.stray_datagrams() != strays {
                waiting.disturbed();
            }
            if self.end.is_some() {
                self.parts.service_manager.stopping();
            }
            if self.all_is_said()
                && let Some(end) = self.end.take()
            {
                self.shut_down();
                return Ok(end);
            }
        }
    }

    /// Returns how long the loop may sleep if nothing comes in; `None` for ever.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        // The core may take requests again since they were last read, because only time has passed.
        let has_requests = self.requests.is_waiting() || !self.parts.requests.is_empty();
        let may_read = has_requests && self.parts.mesh.wants_requests();
        let has_input = !self.readable.is_empty()
            || self.multicast.is_ready()
            || self.parts.reaching.is_ready();
        if self.unheard || may_read || has_input {
            return Some(Duration::ZERO);
        }
        [
            self.parts.mesh.next_timeout(),
            self.multicast.next_timeout(),
            self.changes.next_timeout(),
            self.parts.reaching.next_timeout(),
            self.parts.service_manager.next_timeout(),
            match self.end {
                None => self.agent.next_timeout(),
                Some(_) => self.farewell_until,
            },
            Some(self.next_address_check),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at| at.saturating_duration_since(now))
    }

    /// Goes once around all sources, handles what is due, and hands on the outputs.
    fn turn(&mut self) {
        let readable: Vec<_> = self.readable.iter().copied().collect();
        for socket in readable {
            self.read_socket(socket);
        }
        if self.multicast.is_ready() {
            self.read_multicast();
        }
        if std::mem::take(&mut self.unheard) {
            self.hear_agent_threads();
            self.hear_signaling_thread();
            self.hear_known_peers_thread();
            self.tell_numbers();
        }
        self.read_requests();
        let now = self.clock.now();
        self.parts.reaching.turn(now);
        if self.parts.mesh.next_timeout().is_some_and(|at| at <= now) {
            self.parts.mesh.handle_timeout(now);
        }
        self.hand_on(now);
        if self.multicast.next_timeout().is_some_and(|at| at <= now) {
            self.multicast.handle_timeout(now);
        }
        if now >= self.next_address_check {
            self.check_addresses(now);
        }
        if let Some(look) = self.changes.take(now) {
            self.look_at_network(now, look.has_new_routes);
        }
        self.pass_doubt_on(now);
        self.parts.service_manager.handle_timeout(now);
        let parent_has_ended = || self.parts.parent.has_ended();
        if self.agent.linger().is_over(now, parent_has_ended) && self.end.is_none() {
            log::info!("ending, as no agent came within AGENT_LINGER");
            self.end = Some(End::AgentGone);
        }
    }

    fn read_socket(&mut self, socket: Token) {
        let now = self.clock.now();
        let mut budget = limits::SOURCE_BUDGET;
        while budget > 0 {
            let received = self.parts.sockets.receive(socket, &mut self.buffer);
            let Some((received, destination)) = received else {
                self.readable.remove(&socket);
                break;
            };
            // The buffer is put back when the datagrams in it are handled.
            let buffer = std::mem::take(&mut self.buffer);
            for bytes in received.datagrams(&buffer) {
                let datagram = Datagram {
                    destination,
                    source: received.source,
                    bytes,
                };
                if !self.parts.reaching.handle_datagram(now, &datagram) {
                    self.parts.mesh.handle_datagram(now, datagram);
                }
                self.transmit(now);
                budget = budget.saturating_sub(1);
            }
            self.buffer = buffer;
        }
        self.parts.mesh.flush(now);
        self.transmit(now);
    }

    fn read_multicast(&mut self) {
        let now = self.clock.now();
        for (name, address) in self.multicast.receive() {
            self.parts.mesh.local_name_resolved(now, &name, address);
        }
    }

    /// Hands on the outputs of the core: datagrams, frames for the registry, names to look up, events
    /// for the agent. What the agent's socket takes at once leads to further outputs.
    fn hand_on(&mut self, now: Instant) {
        loop {
            self.transmit(now);
            while let Some(frame) = self.parts.mesh.poll_frame() {
                let is_register = frame == Outgoing::Register;
                if !self.parts.signaling.send(frame) && !is_register {
                    log::debug!("the registry is away; a frame for it was dropped");
                }
            }
            while let Some(name) = self.parts.mesh.poll_local_name() {
                let interfaces = self.parts.sockets.addresses();
                let registry = self.parts.poll.registry();
                self.multicast.ask(now, registry, &name, interfaces);
            }
            while let Some(known) = self.parts.mesh.poll_known_peer() {
                if let Some((_, writer)) = &self.parts.known_peers {
                    writer.add(known);
                }
            }
            // At the end the agent stays connected, to be told which messages will not arrive.
            let ended = self.requests.ended().filter(|_| self.end.is_none());
            if !self.agent.hand_on(now, &mut self.parts.mesh, ended) {
                return;
            }
        }
    }

    /// Sends the datagrams of the core, directly or over a relay, and feeds the core what comes back
    /// from the relays.
    fn transmit(&mut self, now: Instant) {
        let Parts {
            poll,
            mesh,
            sockets,
            reaching,
            ..
        } = &mut self.parts;
        let registry = poll.registry();
        loop {
            while let Some(transmit) = mesh.poll_transmit() {
                if !reaching.send(now, &transmit) {
                    sockets.send(registry, transmit);
                }
            }
            let is_fed = reaching.hand_on(now, registry, sockets, mesh);
            sockets.flush(registry);
            if !is_fed {
                return;
            }
            // What came over a relay is given to the core after everything else was flushed.
            mesh.flush(now);
        }
    }

    fn read_signals(&mut self) {
        for signal in self.parts.signals.take() {
            match signal {
                Signal::Hangup => self.read_files_again(),
                Signal::Interrupt | Signal::Terminate => {
                    log::info!("ending, as {} asks", signal.name());
                    self.end.get_or_insert(End::Signal);
                }
            }
        }
    }
}
