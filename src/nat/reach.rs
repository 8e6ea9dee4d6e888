//! Lets peers behind other routers reach us: [`Reach`] finds the addresses to tell them, keeps them
//! alive, and carries packets over relays.
//!
//! It takes `(now, input)`, is polled for [`Output`]s after every input, and is called again at
//! [`Reach::next_timeout`]. It resolves no names and opens no sockets. Without servers it gives no
//! requests to send and asks for no timeout.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::candidate::LocalCandidate;
use super::external::ExternalAddress;
use super::output::{Output, StreamId};
use super::server::Servers;
use super::stun::message;
use super::stun::reflexive::{Reflexive, Request, Target};
use super::turn::Relays;
use super::url::Transport;
use crate::limits;

/// `ICE_TRANSPORT_POLICY`: which ways to a peer are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TransportPolicy {
    /// All ways that work.
    #[default]
    All,
    /// Only over a TURN server.
    Relay,
}

/// The places at which our ports are reached from outside, as the user says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// `EXTERNAL_ADDRESS`: one of each family at most.
    pub addresses: Vec<ExternalAddress>,
    /// `UDP_PORT`: the range of our own ports.
    pub own_ports: Option<(u16, u16)>,
}

/// Finds the candidates beyond the addresses of our own sockets, by STUN and TURN.
#[derive(Debug)]
pub struct Reach {
    policy: TransportPolicy,
    /// Our sockets, by lane; `None` until they are known.
    lanes: Option<Vec<Vec<SocketAddr>>>,
    reflexive: Reflexive,
    relays: Relays,
    external: External,
    /// The servers that are asked for our address.
    asked: BTreeSet<SocketAddr>,
    moves: Moves,
    random: fastrand::Rng,
    outputs: VecDeque<Output>,
}

/// Our addresses outside that were lately told as new: each socket and server tells them again.
#[derive(Debug, Default)]
struct Moves(VecDeque<(IpAddr, Instant)>);

impl Moves {
    fn is_news(&mut self, now: Instant, address: IpAddr) -> bool {
        let is_old = |(_, at): &mut (IpAddr, Instant)| *at + limits::MOVE_TOLD_FOR <= now;
        while self.0.pop_front_if(is_old).is_some() {}
        let is_news = !self.0.iter().any(|(known, _)| *known == address);
        if is_news {
            self.0.push_back((address, now));
        }
        is_news
    }
}

impl Reach {
    /// Creates a `Reach` without sockets and servers. `unix` is the Unix time in seconds. `seed`
    /// decides every random choice that is made here; the TURN crate draws transaction ids of its own.
    pub fn new(policy: TransportPolicy, now: Instant, unix: u64, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Reach {
            policy,
            lanes: None,
            reflexive: Reflexive::new(),
            relays: Relays::new(now, unix, random.u64(..)),
            external: External::default(),
            asked: BTreeSet::new(),
            moves: Moves::default(),
            random,
            outputs: VecDeque::new(),
        }
    }

    /// Sets where our ports are reached from outside. To be called before the sockets are known.
    pub fn set_external(&mut self, external: External) {
        self.external = external;
    }

    /// Sets the current Unix time in seconds. To be called now and then, because clocks are set.
    pub fn set_clock(&mut self, now: Instant, unix: u64) {
        self.relays.set_clock(now, unix);
    }

    /// Sets the UDP sockets that exist, by lane. No relay is tried until they are known, even if it is
    /// that there are none: over UDP is the better way.
    pub fn set_sockets(&mut self, now: Instant, lanes: Vec<Vec<SocketAddr>>) {
        if self.lanes.as_ref() == Some(&lanes) {
            return;
        }
        self.lanes = Some(lanes.clone());
        let all = lanes.iter().flatten().copied().collect();
        self.reflexive.set_sockets(now, all);
        self.relays.set_sockets(now, lanes);
        self.outputs.push_back(Output::CandidatesChanged);
    }

    /// Sets the servers to use, with their names resolved; to be called again whenever one of them has
    /// changed.
    ///
    /// TURN servers on UDP are asked for our address as well, for they are STUN servers too.
    pub fn set_servers(&mut self, now: Instant, servers: Servers) {
        let stun = servers.stun.iter();
        let stun = stun.map(|server| (server.url.to_string(), &server.addresses));
        let turn = servers.turn.iter();
        let turn = turn.filter(|server| server.url.transports().contains(&Transport::Udp));
        let turn = turn.map(|server| (server.url.to_string(), &server.addresses));
        let targets = stun
            .chain(turn)
            .filter(|_| self.policy == TransportPolicy::All)
            .flat_map(|(name, addresses)| {
                addresses.iter().map(move |address| Target {
                    name: name.clone(),
                    address: *address,
                })
            });
        if self.reflexive.set_targets(now, targets.collect()) {
            self.outputs.push_back(Output::CandidatesChanged);
        }
        self.asked = self.reflexive.servers().collect();
        self.relays.set_servers(now, servers.turn);
    }

    /// Tries silent servers at once, because something has changed for the better, such as the registry
    /// being reachable again.
    pub fn try_now(&mut self, now: Instant) {
        self.reflexive.ask_now(now);
        self.relays.try_now(now);
    }

    /// Asks the servers that have answered for a sign of life, because peers have fallen silent: a router may
    /// have forgotten us, or have another address. Where no server relays for us, or only one on a stream, TURN
    /// servers are tried that were silent before.
    pub fn in_doubt(&mut self, now: Instant) {
        self.reflexive.in_doubt(now);
        self.relays.in_doubt(now);
    }

    /// Asks all servers at once, those that relay whether they still do, because the machine's addresses or
    /// routes have changed, or it has slept.
    pub fn network_changed(&mut self, now: Instant) {
        self.reflexive.network_changed(now);
        self.relays.network_changed(now);
    }

    /// Returns all candidates of each lane, each kind in order of preference. There is one relayed address,
    /// and beside it those that it has replaced and that still carry data. Beyond
    /// [`limits::REFLEXIVE_ADDRESSES`] the outer addresses of the sockets preferred least are left out.
    pub fn lanes(&self) -> Vec<Vec<LocalCandidate>> {
        let relayed = relayed(self.relays.candidates());
        let of_lane = |lane: &Vec<SocketAddr>| {
            let own = lane.iter().filter(|_| self.policy == TransportPolicy::All);
            let hosts = own
                .clone()
                .map(|address| LocalCandidate::Host { address: *address });
            let outside = own.flat_map(|socket| self.outside(*socket));
            hosts
                .chain(outside.take(limits::REFLEXIVE_ADDRESSES))
                .chain(relayed.iter().copied())
                .collect()
        };
        self.lanes.iter().flatten().map(of_lane).collect()
    }

    /// Returns candidates beside [`Reach::lanes`] that no new connection should use, because there are
    /// better ones. Connections that use them may go on for a while.
    pub fn outdone(&self) -> Vec<LocalCandidate> {
        relayed(self.relays.outdone())
    }

    /// Returns the addresses outside of a socket: what the user says first, then what servers see.
    fn outside(&self, base: SocketAddr) -> impl Iterator<Item = LocalCandidate> {
        let own_ports = self.external.own_ports;
        let said = self.external.addresses.iter();
        let said = said.filter_map(move |outside| outside.of(base, own_ports));
        let said: Vec<_> = said.filter(|outside| *outside != base).collect();
        let mut mapped = self.reflexive.mapped(base);
        mapped.retain(|mapped| !said.contains(mapped));
        let all = said.into_iter().chain(mapped);
        all.map(move |address| LocalCandidate::ServerReflexive { address, base })
    }

    /// Takes a datagram that came to `destination`, one of our sockets. Returns `false` when it is a
    /// peer's.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        destination: SocketAddr,
        source: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let pair = (destination, source);
        if self.asked.contains(&source)
            && message::is_stun(bytes)
            && let Some(sight) = self.reflexive.handle(now, pair, bytes, &mut self.random)
        {
            if sight.has_changed() {
                self.outputs.push_back(Output::CandidatesChanged);
            }
            if let Some(address) = sight.moved_to()
                && self.moves.is_news(now, address)
            {
                self.relays.outer_address_changed(now);
                self.outputs.push_back(Output::OuterAddressChanged);
            }
            return true;
        }
        self.relays.handle_datagram(now, pair, bytes)
    }

    /// Sends a packet to a peer from a relayed address. Returns `false` when the address is none of
    /// ours. Like any datagram the packet may be lost.
    pub fn send(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        to: SocketAddr,
        packet: &[u8],
    ) -> bool {
        self.relays.send(now, relayed, to, packet)
    }

    /// Notes that a stream is open, as asked for; `local` is our end of it.
    pub fn stream_opened(&mut self, now: Instant, stream: StreamId, local: SocketAddr) {
        self.relays.stream_opened(now, stream, local);
    }

    /// Takes bytes that came on a stream.
    pub fn stream_received(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        self.relays.stream_received(now, stream, bytes);
    }

    /// Notes that a stream could not be opened, or has ended; `why` is for a person.
    pub fn stream_closed(&mut self, now: Instant, stream: StreamId, why: String) {
        self.relays.stream_closed(now, stream, why);
    }

    /// Does what is due: asks servers again, ends attempts that got no answer, replaces allocations.
    pub fn handle_timeout(&mut self, now: Instant) {
        let outputs = &mut self.outputs;
        let send = |request: Request| {
            outputs.push_back(Output::Transmit {
                source: request.socket,
                destination: request.server,
                bytes: request.bytes,
            });
        };
        if self.reflexive.handle_timeout(now, &mut self.random, send) {
            self.outputs.push_back(Output::CandidatesChanged);
        }
        self.relays.handle_timeout(now);
    }

    /// Returns when [`Reach::handle_timeout`] wants to be called, if nothing else comes first.
    pub fn next_timeout(&self) -> Option<Instant> {
        let reflexive = self.reflexive.next_timeout();
        reflexive
            .into_iter()
            .chain(self.relays.next_timeout())
            .min()
    }

    /// Returns the next thing to do. To be drained after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs
            .pop_front()
            .or_else(|| self.relays.poll_output())
    }

    /// Gives every allocation back. The packets for that are polled as usual.
    pub fn shut_down(&mut self, now: Instant) {
        self.relays.shut_down(now);
    }
}

fn relayed(addresses: Vec<(SocketAddr, SocketAddr)>) -> Vec<LocalCandidate> {
    let addresses = addresses.into_iter();
    let all = addresses.map(|(address, base)| LocalCandidate::Relayed { address, base });
    all.collect()
}
