//! The relay's thread: its sockets around [`Turn`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::client::{Client, StreamId};
use super::listeners::Listeners;
use super::reaction::{AllocationId, Now, Reaction};
use super::sockets;
use super::stream::Stream;
use super::tokens::{ListenerId, Watched};
use super::turn::Turn;
use crate::config::networks::Networks;
use crate::protocol::PeerId;
use crate::registry::crowd::Crowd;
use crate::registry::limits;
use crate::registry::rates::Counted;
use crate::registry::socket::Socket;
use crate::registry::unix_time::UnixTime;
use crate::secret::Secret;

/// What the relay is told by the registry's thread.
pub(super) enum Order {
    /// Serve this connection, of which `received` was read.
    Serve {
        socket: Box<Socket>,
        address: SocketAddr,
        received: Vec<u8>,
    },
    /// Serve this peer no more.
    Bar(PeerId, UnixTime),
    /// Judge logins by this secret.
    Secret(Secret),
    /// End.
    Stop,
}

/// Where relayed addresses are made.
#[derive(Debug, Clone)]
pub(super) struct Relayed {
    /// The address that clients are awaited at, if it is one.
    pub(super) listening: Option<IpAddr>,
    /// The addresses under which they are reached from outside, if these are others.
    pub(super) external: Vec<IpAddr>,
    pub(super) ports: (u16, u16),
    /// The addresses of this machine, as it was last looked at.
    pub(super) own: Vec<IpAddr>,
}

/// Everything that the relay's thread owns.
pub(super) struct EventLoop {
    pub(super) poll: Poll,
    pub(super) listeners: Listeners,
    pub(super) orders: Receiver<Order>,
    pub(super) turn: Turn,
    pub(super) relayed: Relayed,
    pub(super) sockets: HashMap<AllocationId, UdpSocket>,
    pub(super) streams: HashMap<StreamId, Stream>,
    /// Streams by the addresses of their clients.
    pub(super) crowd: Crowd<StreamId>,
    pub(super) next_stream: usize,
    /// When the connections without an allocation are looked at.
    pub(super) next_look: Option<Instant>,
    /// Proxies, by whose addresses many clients may come.
    pub(super) trusted_proxies: Networks,
    /// Why this machine's addresses could not be looked at the last time.
    pub(super) look_failure: Option<String>,
}

/// Something with more to do than one turn allowed.
pub(super) type Unfinished = VecDeque<Token>;

impl EventLoop {
    /// Serves until it is told to end.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; limits::RELAY_DATAGRAM_BYTES + 1];
        let mut unfinished = Unfinished::new();
        let mut ready = HashSet::new();
        loop {
            let timeout = self.timeout(!unfinished.is_empty());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Stop => return Ok(()),
                    Order::Bar(peer, at) => self.turn.bar(at, &peer),
                    Order::Secret(secret) => self.turn.set_secret(secret),
                    Order::Serve {
                        socket,
                        address,
                        received,
                    } => self.serve(*socket, address, &received, &mut unfinished),
                }
            }
            ready.extend(events.iter().map(|event| event.token()));
            ready.extend(unfinished.drain(..));
            for token in ready.drain() {
                if self.take_turn(token, &mut buffer) {
                    unfinished.push_back(token);
                }
            }
            self.handle_timeout(Instant::now());
            self.close_ended();
        }
    }

    fn timeout(&self, is_busy: bool) -> Option<Duration> {
        if is_busy {
            return Some(Duration::ZERO);
        }
        let next = self
            .next_look
            .into_iter()
            .chain(self.turn.next_timeout())
            .min();
        next.map(|next| next.saturating_duration_since(Instant::now()) + limits::TIMER_GRAIN)
    }

    /// Lets a socket do what it can do now. Returns whether there may be more.
    fn take_turn(&mut self, token: Token, buffer: &mut [u8]) -> bool {
        match Watched::of(token) {
            Watched::Waker => false,
            Watched::Listener(id) => self.receive_of_clients(id, buffer),
            Watched::Stream(id) => self.take_turn_of_stream(id, buffer),
            Watched::Allocation(id) => self.receive_of_peers(id, buffer),
        }
    }

    /// Reads datagrams of clients.
    pub(super) fn receive_of_clients(&mut self, id: ListenerId, buffer: &mut [u8]) -> bool {
        for _ in 0..limits::DATAGRAMS_PER_TURN {
            let (count, client) = match self.listeners.receive(id, buffer) {
                Ok(received) => received,
                Err(error) if is_over(&error) => return false,
                // Something that was sent has not arrived.
                Err(_) => continue,
            };
            let wants_look = self.listeners.wants_look(id, Instant::now());
            if wants_look && self.look_at_addresses() && client.own.is_none() {
                // It would be another client than the one who comes to the socket of the address that it asks. It will
                // ask again (RFC 8489 section 6.2.1).
                continue;
            }
            match whole(buffer, count) {
                None => log::trace!("a datagram of {} is too long", client.address),
                Some(bytes) => self.client_message(client, bytes),
            }
        }
        true
    }

    /// Reads datagrams of the peers of an allocation.
    fn receive_of_peers(&mut self, id: AllocationId, buffer: &mut [u8]) -> bool {
        for _ in 0..limits::DATAGRAMS_PER_TURN {
            let Some(socket) = self.sockets.get(&id) else {
                return false;
            };
            let (count, from) = match socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if is_over(&error) => return false,
                // Something that was sent has not arrived.
                Err(_) => continue,
            };
            let from = sockets::canonical(from);
            let Some(bytes) = whole(buffer, count) else {
                log::trace!("a datagram of {from} is too long");
                continue;
            };
            let sent = self.turn.peer_datagram(Instant::now(), id, from, bytes);
            if let Some((client, message)) = sent {
                self.send(client, message);
            }
        }
        true
    }

    fn client_message(&mut self, client: Client, bytes: &[u8]) {
        let now = now();
        match self.turn.client_message(now, client, bytes) {
            Reaction::Nothing => {}
            Reaction::Answer(answer) => self.send(client, answer),
            Reaction::Deliver(client, message) => self.send(client, message),
            Reaction::Open(opening) => self.open(now.at, *opening),
            Reaction::Forward(id, peer, data) => {
                let socket = self.sockets.get(&id).zip(bytes.get(data));
                if let Some((socket, data)) = socket
                    && let Err(error) = socket.send_to(data, peer)
                {
                    log::trace!("a datagram is not relayed: {error}");
                }
            }
        }
    }

    pub(super) fn send(&mut self, client: Client, message: Vec<u8>) {
        let Some(id) = client.stream else {
            if let Err(error) = self.listeners.send(client, &message) {
                log::trace!("a datagram is not sent: {error}");
            }
            return;
        };
        let stream = self.streams.get_mut(&id);
        if stream.is_some_and(|stream| stream.send(message).is_err()) {
            self.end_stream(id);
        }
    }

    pub(super) fn serve(
        &mut self,
        mut socket: Socket,
        address: SocketAddr,
        received: &[u8],
        unfinished: &mut Unfinished,
    ) {
        if self.streams.len() >= limits::RELAY_STREAMS {
            return log::debug!("a connection to the relay is refused: there are too many");
        }
        let holder = Counted::address(address.ip());
        let is_over =
            self.crowd.count(&holder) >= limits::RELAY_STREAMS / limits::CONNECTION_SHARES;
        if is_over && !self.trusted_proxies.contain(address.ip()) {
            return log::debug!(
                "a connection of {address} to the relay is refused: it has too many"
            );
        }
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        let token = Watched::Stream(id).token();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, token, interest) {
            return log::debug!("a connection is gone before it began: {error}");
        }
        let own = socket.own_address().ok();
        let own = own.map(|own| sockets::canonical(own).ip());
        let client = Client::stream(address, own, id);
        let stream = Stream::new(socket, client, received, Instant::now());
        self.next_look = self.next_look.into_iter().chain([stream.idle_until]).min();
        self.streams.insert(id, stream);
        self.crowd.enter(id, holder);
        // What was received with the first bytes is not reported again.
        unfinished.push_back(token);
    }

    fn take_turn_of_stream(&mut self, id: StreamId, buffer: &mut [u8]) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else {
            return false;
        };
        if stream.write().is_err() {
            self.end_stream(id);
            return false;
        }
        for _ in 0..limits::DATAGRAMS_PER_TURN {
            if !self.take_messages(id) {
                self.end_stream(id);
                return false;
            }
            let Some(stream) = self.streams.get_mut(&id) else {
                return false;
            };
            match stream.read(buffer) {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Ok(_) | Err(_) => {
                    self.end_stream(id);
                    return false;
                }
            }
        }
        true
    }

    /// Takes the messages that have come whole. Returns whether the stream is of further use.
    fn take_messages(&mut self, id: StreamId) -> bool {
        loop {
            let Some(stream) = self.streams.get_mut(&id) else {
                return true;
            };
            let client = stream.client;
            let message = match stream.framing.next() {
                Ok(None) => return true,
                Ok(Some(message)) => message.to_vec(),
                Err(error) => {
                    log::debug!("{} is cut off: {error}", client.address);
                    return false;
                }
            };
            self.client_message(client, &message);
        }
    }

    fn end_stream(&mut self, id: StreamId) {
        self.crowd.leave(&id);
        if let Some(stream) = self.streams.remove(&id) {
            self.turn.client_gone(stream.client);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.turn.handle_timeout(now);
        if self.next_look.is_none_or(|next| now < next) {
            return;
        }
        for stream in self.streams.values_mut() {
            if self.turn.has_allocation(stream.client) {
                stream.idle_until = now + limits::IDLE_RELAY_STREAM;
            }
        }
        let idle = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.idle_until <= now);
        let idle: Vec<StreamId> = idle.map(|(id, _)| *id).collect();
        for id in idle {
            self.end_stream(id);
        }
        self.next_look = self.streams.values().map(|stream| stream.idle_until).min();
    }

    fn close_ended(&mut self) {
        for id in self.turn.take_ended() {
            self.sockets.remove(&id);
        }
    }
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        unix: UnixTime::now(),
    }
}

/// Returns whether an error of receiving says that nothing more is there.
fn is_over(error: &io::Error) -> bool {
    let over = [io::ErrorKind::WouldBlock, io::ErrorKind::NotConnected];
    over.contains(&error.kind())
}

/// Returns a datagram of so many bytes, unless it is too long.
fn whole(buffer: &[u8], count: usize) -> Option<&[u8]> {
    let bytes = buffer.get(..count)?;
    (bytes.len() <= limits::RELAY_DATAGRAM_BYTES).then_some(bytes)
}
