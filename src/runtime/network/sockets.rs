//! The UDP sockets: one for each local address and lane, bound as addresses come and go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::limits;
use crate::mesh::link::Transmit;
use crate::nat::host;
use crate::nat::host::Rules;
use crate::runtime::interfaces::{self, is_transient};

struct Bound {
    socket: UdpSocket,
    address: SocketAddr,
    lane: usize,
    /// The datagrams that the system had no room for, in order.
    unsent: VecDeque<Transmit>,
    unsent_bytes: usize,
}

/// All UDP sockets of the process.
pub(crate) struct Sockets {
    rules: Rules,
    ports: Option<(u16, u16)>,
    bound: BTreeMap<Token, Bound>,
    next_token: usize,
    /// Whether it was logged that there is no address to use.
    told_none: bool,
    /// The address and lane of sockets that could not be bound, which was logged.
    refused: BTreeSet<(IpAddr, usize)>,
}

impl Sockets {
    /// Creates it without sockets. Their tokens are `first_token` and above.
    pub(crate) fn new(rules: Rules, ports: Option<(u16, u16)>, first_token: usize) -> Self {
        Sockets {
            rules,
            ports,
            bound: BTreeMap::new(),
            next_token: first_token,
            told_none: false,
            refused: BTreeSet::new(),
        }
    }

    /// Checks which addresses the machine has, binds sockets for the new ones and closes those that are
    /// gone. Returns whether anything has changed.
    pub(crate) fn refresh(&mut self, registry: &Registry) -> io::Result<bool> {
        let wanted = host::addresses(&interfaces::addresses()?, &self.rules);
        self.tell_if_none(&wanted);
        let mut changed = self.close_gone(registry, &wanted);
        let lanes = self.lane_count();
        self.refused.retain(|(address, _)| wanted.contains(address));
        for (address, lane) in pairs(&wanted, lanes) {
            let is_bound = |bound: &Bound| bound.address.ip() == address && bound.lane == lane;
            if self.bound.values().any(is_bound) {
                continue;
            }
            match self.bind(registry, address, lane) {
                Ok(()) => {
                    changed = true;
                    self.refused.remove(&(address, lane));
                }
                // Binding is tried again at every refresh, and logged once.
                Err(error) if self.refused.insert((address, lane)) => {
                    log::warn!("no UDP socket on {address}: {error}");
                }
                Err(_) => {}
            }
        }
        Ok(changed)
    }

    /// Warns if no address can be used. No peer can be reached then, which nothing else would show.
    fn tell_if_none(&mut self, wanted: &[IpAddr]) {
        let is_news = wanted.is_empty() && !self.told_none;
        self.told_none = wanted.is_empty();
        if is_news {
            log::warn!(
                "this machine has no address that may be used, so no peer can be reached; look at \
                 INTERFACES, BIND_ADDRESS and IPV6 if it should have one"
            );
        }
    }

    /// Returns the number of lanes. The ports of a narrow range may be fewer than the lanes that we
    /// would like.
    fn lane_count(&self) -> usize {
        self.ports.map_or(limits::LANES, |(first, last)| {
            limits::LANES.min(usize::from(last.saturating_sub(first)) + 1)
        })
    }

    fn close_gone(&mut self, registry: &Registry, wanted: &[IpAddr]) -> bool {
        let before = self.bound.len();
        self.bound.retain(|_, bound| {
            let stays = wanted.contains(&bound.address.ip());
            if !stays {
                log::info!("{} is gone", bound.address.ip());
                if let Err(error) = registry.deregister(&mut bound.socket) {
                    log::debug!("{}: {error}", bound.address);
                }
            }
            stays
        });
        self.bound.len() != before
    }

    fn bind(&mut self, registry: &Registry, address: IpAddr, lane: usize) -> io::Result<()> {
        let mut socket = UdpSocket::from_std(bind_in_range(address, self.ports)?.into());
        let token = Token(self.next_token);
        registry.register(&mut socket, token, Interest::READABLE)?;
        self.next_token += 1;
        let address = socket.local_addr()?;
        log::debug!("UDP socket on {address}");
        self.bound.insert(
            token,
            Bound {
                socket,
                address,
                lane,
                unsent: VecDeque::new(),
                unsent_bytes: 0,
            },
        );
        Ok(())
    }

    /// Returns the local addresses in use, once for each socket.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.bound.values().map(|bound| bound.address.ip())
    }

    /// Returns the addresses of the sockets, by lane.
    pub(crate) fn lanes(&self) -> Vec<Vec<SocketAddr>> {
        let mut lanes = vec![Vec::new(); self.lane_count()];
        for bound in self.bound.values() {
            if let Some(lane) = lanes.get_mut(bound.lane) {
                lane.push(bound.address);
            }
        }
        lanes
    }

    /// Receives the next datagram of a socket. Returns its length, its source and the local address;
    /// `None` when there is none at the moment.
    pub(crate) fn receive(
        &self,
        token: Token,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr, SocketAddr)> {
        let bound = self.bound.get(&token)?;
        match receive_from(&bound.socket, buffer) {
            Ok((length, source)) => Some((length, source, bound.address)),
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    log::debug!("{}: {error}", bound.address);
                }
                None
            }
        }
    }

    /// Sends a datagram, or keeps it until the system has room.
    pub(crate) fn send(&mut self, registry: &Registry, transmit: Transmit) {
        let Some((token, bound)) = self
            .bound
            .iter_mut()
            .find(|(_, bound)| bound.address == transmit.source)
        else {
            // The address is gone, and the path with it.
            return;
        };
        if bound.unsent.is_empty() {
            if bound.try_send(&transmit) {
                return;
            }
            // Writability was not watched before: each datagram that leaves would wake the loop.
            bound.watch(registry, *token, Interest::READABLE | Interest::WRITABLE);
        }
        let size = transmit.bytes.len();
        // Beyond the limit the datagram is lost, as in any full queue on its way.
        if bound.unsent_bytes + size <= limits::UNSENT_DATAGRAM_BYTES {
            bound.unsent_bytes += size;
            bound.unsent.push_back(transmit);
        }
    }

    /// Sends kept datagrams, because the socket has room again.
    pub(crate) fn writable(&mut self, registry: &Registry, token: Token) {
        let Some(bound) = self.bound.get_mut(&token) else {
            return;
        };
        if bound.unsent.is_empty() {
            return;
        }
        while let Some(transmit) = bound.unsent.pop_front() {
            if !bound.try_send(&transmit) {
                bound.unsent.push_front(transmit);
                return;
            }
            bound.unsent_bytes -= transmit.bytes.len();
        }
        bound.watch(registry, token, Interest::READABLE);
    }
}

impl Bound {
    fn watch(&mut self, registry: &Registry, token: Token, interest: Interest) {
        if let Err(error) = registry.reregister(&mut self.socket, token, interest) {
            log::warn!("{}: {error}", self.address);
        }
    }

    /// Sends a datagram. Returns `false` when the system has no room now. A datagram that can't be sent
    /// at all is lost.
    fn try_send(&self, transmit: &Transmit) -> bool {
        loop {
            match self.socket.send_to(&transmit.bytes, transmit.destination) {
                Ok(_) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log::debug!("{} to {}: {error}", self.address, transmit.destination);
                    return true;
                }
            }
        }
    }
}

/// Opens a socket on the first free port of an inclusive range; without a range, on any port.
pub(crate) fn bind_in_range(address: IpAddr, ports: Option<(u16, u16)>) -> io::Result<Socket> {
    let (first, last) = ports.unwrap_or((0, 0));
    let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
    for port in first..=last {
        match bind_one(SocketAddr::new(address, port)) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn pairs(addresses: &[IpAddr], lanes: usize) -> impl Iterator<Item = (IpAddr, usize)> {
    let lanes_of = move |address: &IpAddr| {
        let address = *address;
        (0..lanes).map(move |lane| (address, lane))
    };
    addresses.iter().flat_map(lanes_of)
}

/// Receives the next datagram of a socket, and its sender. Skips transient errors: ICMP errors of
/// earlier datagrams, and EINTR.
pub(crate) fn receive_from(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Err(error) if is_transient(&error) => {}
            received => return received,
        }
    }
}

fn bind_one(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    for asked in [
        socket.set_recv_buffer_size(limits::SOCKET_BUFFER_BYTES),
        socket.set_send_buffer_size(limits::SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = asked {
            log::debug!("socket buffer: {error}");
        }
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
