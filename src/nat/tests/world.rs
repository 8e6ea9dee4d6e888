//! The simulation for the tests: time, a network with a router in front of us, servers behind it, and a
//! peer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::turn_server::{Client, Sent, TurnServer};
use crate::nat::candidate::LocalCandidate;
use crate::nat::credentials::Credentials;
use crate::nat::output::{Output, StreamId};
use crate::nat::reach::{Reach, TransportPolicy};
use crate::nat::server::{self, Servers, StunServer};
use crate::nat::turn::framing;
use crate::nat::turn::framing::Framing;
use crate::nat::url::{Host, StunUrl, TurnUrl};
use crate::secret::Secret;

/// Unix time at the beginning.
pub(super) const UNIX: u64 = 1_700_000_000;

#[derive(Debug)]
enum Delivery {
    ToServer(SocketAddr, Client, Vec<u8>),
    ToUs(SocketAddr, SocketAddr, Vec<u8>),
    StreamOpened(StreamId),
    StreamRefused(StreamId),
    OnStream(StreamId, Vec<u8>),
}

pub(super) struct World {
    pub(super) now: Instant,
    /// The time from one end of the network to the other.
    pub(super) latency: Duration,
    pub(super) reach: Reach,
    pub(super) servers: BTreeMap<SocketAddr, TurnServer>,
    /// Servers that take connections over TCP.
    pub(super) listening: BTreeSet<SocketAddr>,
    /// The outer addresses of our sockets. A socket that is not here is seen as it is.
    pub(super) mappings: BTreeMap<SocketAddr, SocketAddr>,
    streams: BTreeMap<StreamId, (SocketAddr, Framing)>,
    pub(super) opened: Vec<(StreamId, SocketAddr, Option<String>)>,
    pub(super) closed: Vec<StreamId>,
    in_flight: BTreeMap<(Instant, u64), Delivery>,
    sequence: u64,
    /// The packets that peers have received: from where, to whom, what.
    pub(super) at_peers: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// The packets that were relayed to us.
    pub(super) relayed: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(super) changes: usize,
    /// How often it was told that a server has fallen silent.
    pub(super) silences: usize,
    pub(super) moves: usize,
    /// Servers that have refused a login that was given to us.
    pub(super) refused: Vec<TurnUrl>,
    /// Datagrams that we have sent, by server.
    pub(super) sent: BTreeMap<SocketAddr, usize>,
}

impl World {
    pub(super) fn new(policy: TransportPolicy) -> Self {
        let start = Instant::now();
        World {
            now: start,
            latency: Duration::from_millis(10),
            reach: Reach::new(policy, start, UNIX, 1),
            servers: BTreeMap::new(),
            listening: BTreeSet::new(),
            mappings: BTreeMap::new(),
            streams: BTreeMap::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            in_flight: BTreeMap::new(),
            sequence: 0,
            at_peers: Vec::new(),
            relayed: Vec::new(),
            changes: 0,
            silences: 0,
            moves: 0,
            refused: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// Adds three sockets of one address, as the runtime has them.
    pub(super) fn with_sockets(self) -> Self {
        self.with_lanes(3)
    }

    /// Adds one socket on each of so many lanes.
    pub(super) fn with_lanes(mut self, count: u16) -> Self {
        let lanes = (1..=count).map(|lane| vec![socket(lane)]).collect();
        self.reach.set_sockets(self.now, lanes);
        self.drain();
        self
    }

    pub(super) fn add_server(&mut self, address: &str, password: &str) -> SocketAddr {
        let address: SocketAddr = address.parse().unwrap();
        let server = TurnServer::new(address.ip(), password);
        self.servers.insert(address, server);
        self.listening.insert(address);
        address
    }

    pub(super) fn server(&mut self, address: SocketAddr) -> &mut TurnServer {
        self.servers.get_mut(&address).unwrap()
    }

    /// Sets the servers, with the addresses in their URLs.
    pub(super) fn use_servers(&mut self, stun: &[&str], turn: &[(&str, &str)]) {
        let stun = stun.iter().map(|text| {
            let url = StunUrl::parse(text).unwrap();
            let addresses = vec![address(&url.host, url.port)];
            StunServer { url, addresses }
        });
        let turn = turn.iter().map(|(text, username)| {
            let url = TurnUrl::parse(text).unwrap();
            let password = Secret::new("right".to_owned());
            let credentials = match username.strip_prefix("secret ") {
                Some(secret) => Credentials::Shared(Secret::new(secret.to_owned())),
                None => Credentials::Given {
                    username: (*username).to_owned(),
                    password,
                },
            };
            server::TurnServer {
                addresses: vec![address(&url.host, url.port)],
                proxy: None,
                url,
                credentials,
            }
        });
        let servers = Servers {
            stun: stun.collect(),
            turn: turn.collect(),
        };
        self.reach.set_servers(self.now, servers);
        self.drain();
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.sequence += 1;
        let at = (self.now + self.latency, self.sequence);
        self.in_flight.insert(at, delivery);
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 1_000_000, "time stands still");
            let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
            let next = arrival.into_iter().chain(self.reach.next_timeout()).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.in_flight.first_entry()
                && entry.key().0 <= self.now
            {
                let delivery = entry.remove();
                self.arrive(delivery);
            }
            if self.reach.next_timeout().is_some_and(|at| at <= self.now) {
                self.reach.handle_timeout(self.now);
            }
            self.drain();
        }
    }

    /// Lets time pass until `is_so`.
    pub(super) fn until(&mut self, limit: Duration, is_so: impl Fn(&World) -> bool) -> Duration {
        let began = self.now;
        while !is_so(self) {
            assert!(self.now < began + limit, "not within {limit:?}");
            self.run(Duration::from_millis(5));
        }
        self.now - began
    }

    fn arrive(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::ToServer(address, client, bytes) => {
                let seen = match client {
                    Client::Socket(socket) => self.outer(socket),
                    Client::Stream(_) => "192.0.2.200:9".parse().unwrap(),
                };
                let now = self.now;
                let server = self.servers.get_mut(&address);
                let sent = server.and_then(|s| s.client_message(now, client, seen, &bytes));
                self.send(address, sent);
            }
            Delivery::ToUs(socket, source, bytes) => {
                let taken = self.reach.handle_datagram(self.now, socket, source, &bytes);
                assert!(taken, "an answer of {source} was not taken");
            }
            Delivery::StreamOpened(stream) => {
                let local = "10.0.0.1:40000".parse().unwrap();
                self.reach.stream_opened(self.now, stream, local);
            }
            Delivery::StreamRefused(stream) => {
                let why = "connection refused".to_owned();
                self.reach.stream_closed(self.now, stream, why);
            }
            Delivery::OnStream(stream, bytes) => {
                if self.streams.contains_key(&stream) {
                    // In two pieces, so that messages have to be put together.
                    let (first, second) = bytes.split_at(bytes.len() / 2);
                    self.reach.stream_received(self.now, stream, first);
                    self.reach.stream_received(self.now, stream, second);
                }
            }
        }
        self.drain();
    }

    fn outer(&self, socket: SocketAddr) -> SocketAddr {
        self.mappings.get(&socket).copied().unwrap_or(socket)
    }

    fn send(&mut self, server: SocketAddr, sent: Option<Sent>) {
        match sent {
            None => {}
            Some(Sent::ToClient(Client::Socket(socket), bytes)) => {
                self.deliver(Delivery::ToUs(socket, server, bytes));
            }
            Some(Sent::ToClient(Client::Stream(stream), mut bytes)) => {
                framing::pad(&mut bytes);
                self.deliver(Delivery::OnStream(stream, bytes));
            }
            Some(Sent::ToPeer(relayed, peer, bytes)) => {
                self.at_peers.push((relayed, peer, bytes));
            }
        }
    }

    /// Sends a packet from a peer to a relayed address.
    pub(super) fn peer_sends(&mut self, peer: SocketAddr, relayed: SocketAddr, packet: &[u8]) {
        let all = self.servers.iter_mut();
        let sent: Vec<_> = all
            .filter_map(|(address, server)| {
                let sent = server.peer_packet(relayed, peer, packet)?;
                Some((*address, sent))
            })
            .collect();
        for (address, sent) in sent {
            self.send(address, Some(sent));
        }
    }

    /// Sends a packet from us to a peer through a relayed address.
    pub(super) fn we_send(&mut self, relayed: SocketAddr, peer: SocketAddr, packet: &[u8]) {
        self.reach.send(self.now, relayed, peer, packet);
        self.drain();
    }

    /// Tells that the network has changed.
    pub(super) fn network_changed(&mut self) {
        self.reach.network_changed(self.now);
        self.drain();
    }

    /// Tells that peers have fallen silent.
    pub(super) fn in_doubt(&mut self) {
        self.reach.in_doubt(self.now);
        self.drain();
    }

    /// Breaks the server's end of every stream.
    pub(super) fn break_streams(&mut self) {
        let streams: Vec<_> = std::mem::take(&mut self.streams).into_keys().collect();
        for stream in streams {
            let why = "the connection was closed".to_owned();
            self.reach.stream_closed(self.now, stream, why);
        }
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.reach.poll() {
            match output {
                Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => {
                    *self.sent.entry(destination).or_default() += 1;
                    let client = Client::Socket(source);
                    self.deliver(Delivery::ToServer(destination, client, bytes));
                }
                Output::Relayed {
                    destination,
                    source,
                    bytes,
                } => self.relayed.push((destination, source, bytes)),
                Output::OpenStream {
                    stream,
                    server,
                    tls,
                    ..
                } => {
                    self.opened.push((stream, server, tls));
                    if self.listening.contains(&server) {
                        self.streams.insert(stream, (server, Framing::default()));
                        self.deliver(Delivery::StreamOpened(stream));
                    } else {
                        self.deliver(Delivery::StreamRefused(stream));
                    }
                }
                Output::Write { stream, bytes, .. } => self.write(stream, &bytes),
                Output::CloseStream(stream) => {
                    self.streams.remove(&stream);
                    self.closed.push(stream);
                }
                Output::CandidatesChanged => self.changes += 1,
                Output::ServerSilent => self.silences += 1,
                Output::OuterAddressChanged => self.moves += 1,
                Output::LoginRefused(url) => self.refused.push(url),
            }
        }
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) {
        let Some((server, framing)) = self.streams.get_mut(&stream) else {
            return;
        };
        let server = *server;
        framing.push(bytes);
        let mut messages = Vec::new();
        while let Some(message) = framing.next().unwrap() {
            messages.push(message.to_vec());
        }
        for message in messages {
            let client = Client::Stream(stream);
            self.deliver(Delivery::ToServer(server, client, message));
        }
    }

    /// Returns the best relayed address that peers are told.
    pub(super) fn candidate(&self) -> Option<SocketAddr> {
        self.candidates().first().copied()
    }

    /// Returns whether a stream was opened and an address came of it.
    pub(super) fn opened_and_lent(&self) -> bool {
        let mut servers = self.servers.values();
        !self.opened.is_empty() && servers.any(|server| !server.granted.is_empty())
    }

    /// Returns the relayed addresses that only connections of before may use.
    pub(super) fn outdone(&self) -> Vec<SocketAddr> {
        let outdone = self.reach.outdone().into_iter();
        outdone.map(|candidate| candidate.source()).collect()
    }

    /// Returns all relayed addresses that peers are told.
    pub(super) fn candidates(&self) -> Vec<SocketAddr> {
        let lanes = self.reach.lanes();
        let first = lanes.into_iter().next().unwrap_or_default().into_iter();
        let relayed = first.filter_map(|found| match found {
            LocalCandidate::Relayed { address, .. } => Some(address),
            LocalCandidate::Host { .. } | LocalCandidate::ServerReflexive { .. } => None,
        });
        relayed.collect()
    }
}

/// Returns our socket on a lane, counted from 1.
pub(super) fn socket(lane: u16) -> SocketAddr {
    ([10, 0, 0, 1], 5000 + lane).into()
}

fn address(host: &Host, port: u16) -> SocketAddr {
    match host {
        Host::Address(ip) => SocketAddr::new(*ip, port),
        Host::Name(name) => panic!("{name} is no address"),
    }
}
