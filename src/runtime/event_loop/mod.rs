//! The event loop: the only thread that owns connection state, and the only poll of the data path.
//!
//! It drains each source up to a budget in turn, so that none starves, and sends the outputs of the
//! core after each source.

mod agent;
mod clock;
mod ending;
mod linger;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};

use crate::config::trust::Trust;
use crate::limits;
use crate::mesh::Mesh;
use crate::mesh::link::Datagram;
use crate::mesh::link::webrtc::WebRtc;
use crate::nat::interface_kind::InterfaceKind;
use crate::protocol::ipc::RegistryState;
use crate::protocol::multicast_dns;
use crate::protocol::signaling::Outgoing;

use super::names::multicast::Multicast;
use super::network::changes::Changes;
use super::network::reach::Reaching;
use super::network::sockets::Sockets;
use super::process::parent::Parent;
use super::process::service_manager::ServiceManager;
use super::process::signals::{Signal, Signals};
use super::signaling::CurrentTls;
use super::wake::LoopWaker;
use super::{ipc, signaling};
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
    pub(super) signaling: signaling::Handle,
    pub(super) signaling_notices: Receiver<signaling::Notice>,
    pub(super) ipc: ipc::Handle,
    pub(super) ipc_notices: Receiver<ipc::Notice>,
    pub(super) requests: Receiver<ipc::RequestBatch>,
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
        parts.mesh.set_interfaces(interfaces(&parts.sockets));
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
            waiting.wait(&mut self.parts.poll, &mut events, timeout)?;
            if let Some(slept) = self.clock.waited(timeout) {
                self.woke(slept);
            }
            for event in &events {
                match event.token() {
                    // The waker is cleared before its channels are drained, so that messages that come
                    // in meanwhile wake the loop again.
                    WAKER => {
                        self.parts.waker.clear();
                        self.unheard = true;
                    }
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

    /// Has everything looked at that may have changed while the machine slept, or this process was
    /// stopped, for so long.
    fn woke(&mut self, slept: Duration) {
        log::info!("awake again after {:.1} s", slept.as_secs_f64());
        let now = self.clock.now();
        // Logins end by the wall clock, and the addresses may be others.
        self.parts.reaching.look_at_clock(now);
        self.look_at_network(now, true);
        self.parts.signaling.slept(slept);
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
        for _ in 0..limits::SOURCE_BUDGET {
            let received = self.parts.sockets.receive(socket, &mut self.buffer);
            let Some((length, source, destination)) = received else {
                self.readable.remove(&socket);
                break;
            };
            let datagram = Datagram {
                destination,
                source,
                bytes: self.buffer.get(..length).unwrap_or_default(),
            };
            if !self.parts.reaching.handle_datagram(now, &datagram) {
                self.parts.mesh.handle_datagram(now, datagram);
            }
            self.transmit(now);
        }
    }

    fn read_multicast(&mut self) {
        let now = self.clock.now();
        for (name, address) in self.multicast.receive() {
            self.parts.mesh.local_name_resolved(now, &name, address);
        }
    }

    fn hear_agent_threads(&mut self) {
        let now = self.clock.now();
        for _ in 0..limits::SOURCE_BUDGET {
            match self.parts.ipc_notices.try_recv() {
                Ok(ipc::Notice::SocketLost) => {
                    log::info!("the IPC socket is gone or another's, and no agent is here");
                    self.end.get_or_insert(End::Replaced);
                }
                Ok(notice) => self.agent.hear(now, &mut self.parts.mesh, notice),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.lost_thread("IPC"),
            }
        }
        self.unheard = true;
    }

    fn hear_signaling_thread(&mut self) {
        let now = self.clock.now();
        let mesh = &mut self.parts.mesh;
        for _ in 0..limits::SOURCE_BUDGET {
            match self.parts.signaling_notices.try_recv() {
                Ok(signaling::Notice::Connected { peer_id }) => {
                    mesh.registry_connected(now, peer_id);
                    self.parts.reaching.registry_connected(now);
                }
                Ok(signaling::Notice::Frame(frame)) => mesh.handle_frame(now, frame),
                Ok(signaling::Notice::Disconnected { reason }) => {
                    mesh.registry_disconnected(RegistryState::Disconnected, reason);
                }
                Ok(signaling::Notice::NameTaken { reason }) => {
                    mesh.registry_disconnected(RegistryState::Disconnected, reason);
                    // Its agent has probably been started anew, with a sidecar of its own.
                    let has_lost_agent = !self.agent.is_connected() && self.agent.last().is_some();
                    if has_lost_agent && self.end.is_none() {
                        log::info!("another sidecar has our name, and our agent has gone");
                        self.end = Some(End::Replaced);
                    }
                }
                Ok(signaling::Notice::Refused { reason, fatal }) => {
                    mesh.registry_disconnected(RegistryState::Refused, reason.clone());
                    if fatal {
                        self.end.get_or_insert(End::KeyRefused(reason));
                    }
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.lost_thread("signaling"),
            }
        }
        self.unheard = true;
    }

    /// Ends the loop because a thread has ended that never ends by itself. Without it we would hear
    /// nothing of the agent or the registry any more.
    fn lost_thread(&mut self, name: &'static str) {
        self.end.get_or_insert(End::ThreadLost(name));
    }

    fn read_requests(&mut self) {
        let now = self.clock.now();
        let mut budget = limits::SOURCE_BUDGET * limits::SOURCE_BUDGET;
        while self.parts.mesh.wants_requests()
            && let Some(request) = self.requests.next(&self.parts.requests)
        {
            self.hear_arrival(request.generation);
            let mesh = &mut self.parts.mesh;
            mesh.handle_request(now, request.generation, request.line);
            budget -= 1;
            if budget == 0 {
                self.unheard = true;
                break;
            }
        }
        self.parts.mesh.flush(now);
    }

    /// Takes notices until this agent has connected. The notice was sent before the agent's first
    /// request, but on another channel, which may have been looked at for the last time before both
    /// came.
    fn hear_arrival(&mut self, generation: ipc::Generation) {
        while self.agent.last() < Some(generation) && !self.parts.ipc_notices.is_empty() {
            self.hear_agent_threads();
        }
    }

    /// Hands on the outputs of the core: datagrams, frames for the registry, names to look up, events
    /// for the agent.
    fn hand_on(&mut self, now: Instant) {
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
        // At the end the agent stays connected, to be told which messages will not arrive.
        let ended = self.requests.ended().filter(|_| self.end.is_none());
        self.agent.hand_on(&mut self.parts.mesh, ended);
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
            if !reaching.hand_on(now, registry, sockets, mesh) {
                return;
            }
        }
    }

    fn check_addresses(&mut self, now: Instant) {
        self.next_address_check = now + limits::ADDRESS_INTERVAL;
        self.parts.reaching.look_at_clock(now);
        // A thread that has died cannot wake us, so the loop looks for it here.
        self.unheard = true;
        self.look_at_network(now, false);
    }

    /// Looks whether the machine's addresses have changed. If they have, or its routes, all who depend on the
    /// network are told.
    fn look_at_network(&mut self, now: Instant, has_new_routes: bool) {
        if self.parts.sockets.refresh(self.parts.poll.registry(), now) {
            let sockets = &self.parts.sockets;
            self.parts.mesh.set_interfaces(interfaces(sockets));
            self.parts.reaching.set_sockets(now, sockets.lanes());
            // The core gets the candidates before it is told, so that it offers these.
            self.transmit(now);
        } else if !has_new_routes {
            return;
        }
        log::debug!("the network has changed");
        self.parts.mesh.network_changed(now);
        self.parts.reaching.network_changed(now);
        self.parts.signaling.network_changed();
        self.hand_on(now);
    }

    /// Has all ways asked when the one to a peer or to a relay is in doubt, and the one to the registry
    /// replaced when our address outside has changed.
    fn pass_doubt_on(&mut self, now: Instant) {
        let has_mesh_doubt = self.parts.mesh.take_doubt();
        if has_mesh_doubt {
            self.parts.reaching.in_doubt(now);
            self.transmit(now);
        }
        if self.parts.reaching.take_doubt() || has_mesh_doubt {
            self.parts.signaling.in_doubt();
        }
        if self.parts.reaching.take_move() {
            log::info!("our address outside has changed");
            self.parts.signaling.moved();
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

    /// Reads the files again whose content may be replaced while we run. What is open stays as it is.
    fn read_files_again(&mut self) {
        match self.parts.tls.read_again(&self.parts.trust) {
            Ok(()) => {
                let read = match &self.parts.trust.ca_file {
                    Some(path) => format!("CA_FILE {} was", path.display()),
                    None => "the system's certificates were".to_owned(),
                };
                log::info!("SIGHUP: {read} read again, for new connections");
                // What was refused for its certificate may be tried again now.
                self.parts.signaling.network_changed();
                self.parts.reaching.network_changed(self.clock.now());
            }
            Err(error) => log::warn!("SIGHUP: {error}; what was read before still counts"),
        }
    }
}

/// Returns the interfaces of the addresses in use, for the statistics.
fn interfaces(sockets: &Sockets) -> BTreeMap<IpAddr, (String, InterfaceKind)> {
    let found = sockets.interfaces().iter();
    let named = found.map(|found| (found.address, (found.interface.clone(), found.kind)));
    named.collect()
}
