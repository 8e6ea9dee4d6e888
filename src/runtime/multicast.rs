//! The socket on which names under `.local` are asked for. There is none until a peer's candidate
//! holds such a name.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::limits;
use crate::nat::local_names::LocalNames;
use crate::protocol::multicast_dns::GROUP;

/// Asks by multicast over IPv4, on each interface whose addresses are candidates.
pub(super) struct Multicast {
    token: Token,
    names: LocalNames,
    socket: Option<UdpSocket>,
    /// Addresses of the interfaces whose group the socket is in.
    joined: BTreeSet<Ipv4Addr>,
    /// That it can't be had was logged.
    has_failed: bool,
}

impl Multicast {
    pub(super) fn new(token: Token) -> Self {
        Multicast {
            token,
            names: LocalNames::default(),
            socket: None,
            joined: BTreeSet::new(),
            has_failed: false,
        }
    }

    /// Asks for a name, on the interfaces that have these addresses.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        registry: &Registry,
        name: &str,
        interfaces: impl Iterator<Item = IpAddr>,
    ) {
        if let Err(error) = self.open(registry) {
            if !std::mem::replace(&mut self.has_failed, true) {
                log::info!("names under .local are not resolved: {error}");
            }
            return;
        }
        self.join(interfaces);
        self.names.ask(now, name);
    }

    /// The usual port is shared with whatever else on this machine answers or asks (RFC 6762 section
    /// 15.1).
    fn open(&mut self, registry: &Registry) -> io::Result<()> {
        if self.socket.is_some() {
            return Ok(());
        }
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // RFC 6762 section 11.
        socket.set_multicast_ttl_v4(255)?;
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, GROUP.port()));
        socket.bind(&any.into())?;
        let mut socket = UdpSocket::from_std(socket.into());
        registry.register(&mut socket, self.token, Interest::READABLE)?;
        self.socket = Some(socket);
        Ok(())
    }

    fn join(&mut self, interfaces: impl Iterator<Item = IpAddr>) {
        let Some(socket) = &self.socket else { return };
        for interface in interfaces {
            let IpAddr::V4(interface) = interface else {
                continue;
            };
            if self.joined.contains(&interface) {
                continue;
            }
            match SockRef::from(socket).join_multicast_v4(GROUP.ip(), &interface) {
                Ok(()) => {
                    self.joined.insert(interface);
                }
                Err(error) => log::debug!("no multicast on {interface}: {error}"),
            }
        }
    }

    /// Takes what has come in, and gives the addresses of names that were asked for.
    pub(super) fn receive(&mut self) -> Vec<(String, IpAddr)> {
        let mut found = Vec::new();
        let Some(socket) = &self.socket else {
            return found;
        };
        let mut buffer = [0; limits::MULTICAST_DNS_BYTES];
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((length, _)) => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    found.extend(self.names.handle_datagram(packet));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return found,
            }
        }
    }

    /// Sends the questions that are due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let questions = self.names.handle_timeout(now);
        let Some(socket) = &self.socket else { return };
        for interface in &self.joined {
            if let Err(error) = SockRef::from(socket).set_multicast_if_v4(interface) {
                log::debug!("no multicast on {interface}: {error}");
                continue;
            }
            for question in &questions {
                if let Err(error) = socket.send_to(question, GROUP.into()) {
                    log::debug!("asking on {interface}: {error}");
                }
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.names.next_timeout()
    }
}
