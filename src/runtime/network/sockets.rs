//! The UDP sockets: one for each local address and lane, bound as addresses come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::Socket;

use super::bound::{Bound, without_scope};
use super::runs::{self, Received};
use super::told::Told;
use crate::limits;
use crate::mesh::link::Transmit;
use crate::nat::host::{self, InterfaceAddress, Rules, Unused};
use crate::nat::interface_kind::InterfaceKind;
use crate::runtime::interfaces;
use crate::udp_socket;

/// All UDP sockets of the process.
pub(crate) struct Sockets {
    rules: Rules,
    ports: Option<(u16, u16)>,
    /// Servers whose addresses are known; see [`interfaces::unlisted_addresses`].
    servers: Vec<SocketAddr>,
    /// The addresses to use, the preferred ones first.
    wanted: Vec<InterfaceAddress>,
    bound: BTreeMap<Token, Bound>,
    next_token: usize,
    /// Whether the system has listed the addresses at least once.
    has_listed: bool,
    told: Told,
    /// Whether the system takes runs in one call.
    takes_runs: bool,
    /// The datagrams to be sent together with the next ones.
    run: Vec<Transmit>,
}

impl Sockets {
    /// Creates it without sockets. Their tokens are `first_token` and above.
    pub(crate) fn new(
        rules: Rules,
        ports: Option<(u16, u16)>,
        servers: Vec<SocketAddr>,
        first_token: usize,
    ) -> Self {
        Sockets {
            rules,
            ports,
            servers,
            wanted: Vec::new(),
            bound: BTreeMap::new(),
            next_token: first_token,
            has_listed: false,
            told: Told::default(),
            takes_runs: runs::are_supported(),
            run: Vec::new(),
        }
    }

    /// Checks which addresses the machine has, binds sockets for the new ones and closes those that are
    /// gone. Returns whether anything has changed.
    pub(crate) fn refresh(&mut self, registry: &Registry, now: Instant) -> bool {
        let Some(found) = self.find() else {
            return false;
        };
        let wanted = host::addresses(&found, &self.rules);
        let judged = host::judge(&found, &self.rules);
        let excess = judged.filter(|(_, why)| *why == Some(Unused::TooMany));
        self.told.addresses(&wanted, excess.count());
        let before = self.lanes();
        self.close_gone(registry, &wanted);
        self.wanted = wanted;
        for found in self.wanted.clone() {
            match self.bind_all(registry, &found) {
                Ok(()) => self.told.bound(found.address),
                Err(error) => self.told.refused(now, found.address, &error),
            }
        }
        self.lanes() != before
    }

    /// Returns the addresses of the machine. Where the system does not list them, it is what can be told
    /// otherwise; `None` if it has listed them before.
    fn find(&mut self) -> Option<Vec<InterfaceAddress>> {
        match interfaces::addresses() {
            Ok(found) => {
                self.has_listed = true;
                Some(found)
            }
            Err(error) if self.has_listed => {
                log::warn!("cannot list the network interfaces: {error}");
                None
            }
            Err(error) => {
                self.told.unlisted(&self.rules, &error);
                let found = interfaces::unlisted_addresses(&self.rules, &self.servers);
                Some(found)
            }
        }
    }

    /// Returns the number of lanes. The ports of a narrow range may be fewer than the lanes that we
    /// would like.
    fn lane_count(&self) -> usize {
        self.ports.map_or(limits::LANES, |(first, last)| {
            limits::LANES.min(usize::from(last.saturating_sub(first)) + 1)
        })
    }

    fn close_gone(&mut self, registry: &Registry, wanted: &[InterfaceAddress]) {
        let mut gone = BTreeSet::new();
        self.bound.retain(|_, bound| {
            let ip = bound.address.ip();
            let stays = wanted.iter().any(|wanted| wanted.address == ip);
            if !stays {
                gone.insert(ip);
                if let Err(error) = registry.deregister(&mut bound.socket) {
                    log::debug!("{}: {error}", bound.address);
                }
            }
            stays
        });
        for address in &gone {
            log::info!("{address} is gone");
        }
    }

    /// Binds the sockets of all lanes that an address lacks.
    fn bind_all(&mut self, registry: &Registry, found: &InterfaceAddress) -> io::Result<()> {
        let mut outcome = Ok(());
        for lane in 0..self.lane_count() {
            let is_it = |bound: &Bound| bound.address.ip() == found.address && bound.lane == lane;
            if !self.bound.values().any(is_it) {
                outcome = outcome.and(self.bind(registry, found, lane));
            }
        }
        outcome
    }

    fn bind(
        &mut self,
        registry: &Registry,
        found: &InterfaceAddress,
        lane: usize,
    ) -> io::Result<()> {
        let socket = bind_in_range(found.socket_address(), self.ports)?;
        // The system may give less than it was asked for.
        let receive_buffer = socket.recv_buffer_size().unwrap_or_default();
        runs::take_together(&socket);
        let mut socket = UdpSocket::from_std(socket.into());
        let token = Token(self.next_token);
        registry.register(&mut socket, token, Interest::READABLE)?;
        self.next_token += 1;
        let address = without_scope(socket.local_addr()?);
        log::debug!("UDP socket on {address}");
        let bound = Bound::new(socket, address, lane, receive_buffer, self.takes_runs);
        self.bound.insert(token, bound);
        Ok(())
    }

    /// Returns the interfaces of the addresses to use, by name and kind.
    pub(crate) fn interfaces(&self) -> BTreeMap<IpAddr, (String, InterfaceKind)> {
        let wanted = self.wanted.iter();
        let named = wanted.map(|found| (found.address, (found.interface.clone(), found.kind)));
        named.collect()
    }

    /// Returns how much the smallest of the receive buffers holds, in bytes as the system counts them.
    pub(crate) fn receive_buffer(&self) -> Option<u64> {
        let buffers = self.bound.values().map(|bound| bound.receive_buffer);
        buffers.min().map(|bytes| bytes as u64)
    }

    /// Returns the local addresses in use, once for each socket.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.bound.values().map(|bound| bound.address.ip())
    }

    /// Returns the addresses of the sockets, by lane, the preferred ones first.
    pub(crate) fn lanes(&self) -> Vec<Vec<SocketAddr>> {
        let mut lanes = vec![Vec::new(); self.lane_count()];
        for wanted in &self.wanted {
            let bound = self.bound.values();
            for bound in bound.filter(|bound| bound.address.ip() == wanted.address) {
                if let Some(lane) = lanes.get_mut(bound.lane) {
                    lane.push(bound.address);
                }
            }
        }
        lanes
    }

    /// Receives what is next in a socket, with the local address; `None` when there is nothing at the moment.
    pub(crate) fn receive(
        &self,
        token: Token,
        buffer: &mut [u8],
    ) -> Option<(Received, SocketAddr)> {
        self.bound.get(&token)?.receive(buffer)
    }

    /// Sends a datagram, at once or with the next ones to the same address. To be followed by
    /// [`Sockets::flush`] when there are no more.
    pub(crate) fn send(&mut self, registry: &Registry, transmit: Transmit) {
        if !runs::goes_with(&self.run, &transmit) {
            self.flush(registry);
        }
        self.run.push(transmit);
    }

    /// Sends what [`Sockets::send`] has kept for the next ones. The system may have no room; then it is kept until
    /// there is.
    pub(crate) fn flush(&mut self, registry: &Registry) {
        let Some(source) = self.run.first().map(|transmit| transmit.source) else {
            return;
        };
        let mut bound = self.bound.iter_mut();
        match bound.find(|(_, bound)| bound.address == source) {
            Some((token, bound)) => bound.send(registry, *token, &mut self.run),
            // The address is gone, and the path with it.
            None => self.run.clear(),
        }
    }

    /// Sends kept datagrams, because the socket has room again.
    pub(crate) fn writable(&mut self, registry: &Registry, token: Token) {
        if let Some(bound) = self.bound.get_mut(&token) {
            bound.writable(registry, token);
        }
    }
}

/// Opens a socket on the first free port of an inclusive range; without a range, on any port. The port of
/// `address` does not count.
pub(crate) fn bind_in_range(address: SocketAddr, ports: Option<(u16, u16)>) -> io::Result<Socket> {
    let (first, last) = ports.unwrap_or((0, 0));
    let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
    for port in first..=last {
        let mut address = address;
        address.set_port(port);
        match bind_one(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn bind_one(address: SocketAddr) -> io::Result<Socket> {
    let socket = udp_socket::bind(address, true)?;
    for asked in [
        socket.set_recv_buffer_size(limits::SOCKET_BUFFER_BYTES),
        socket.set_send_buffer_size(limits::SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = asked {
            log::debug!("socket buffer: {error}");
        }
    }
    Ok(socket)
}
