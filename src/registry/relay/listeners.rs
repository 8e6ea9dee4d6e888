//! The UDP sockets on which clients are awaited. One that listens at all addresses of the machine would answer from
//! whichever of them is nearest to the client, who takes an answer only from the one that it has asked. So there is one
//! for each address beside it. What comes to the one for all is for an address that is new, or not listed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry};

use super::client::Client;
use super::sockets;
use super::tokens::{ListenerId, Watched};
use crate::registry::limits::{RELAY_ADDRESSES, RELAY_LOOK_INTERVAL};

/// The place of the socket that is bound as it was set.
const MAIN: ListenerId = ListenerId(0);

/// A socket at one address.
struct Beside {
    address: IpAddr,
    socket: UdpSocket,
}

/// See the module's description.
pub(super) struct Listeners {
    address: SocketAddr,
    main: UdpSocket,
    /// By place, from 1 on.
    beside: Vec<Option<Beside>>,
    next_look: Instant,
}

impl Listeners {
    /// Begins to listen at an address, or at all if it is unspecified.
    pub(super) fn open(address: SocketAddr, registry: &Registry) -> io::Result<Self> {
        let mut main = sockets::listen(address)?;
        let token = Watched::Listener(MAIN).token();
        registry.register(&mut main, token, Interest::READABLE)?;
        Ok(Listeners {
            address: main.local_addr()?,
            main,
            beside: Vec::new(),
            next_look: Instant::now(),
        })
    }

    /// Returns the address that was set, with the port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns whether this machine's addresses should be looked at, since something has come to this socket. It is so
    /// once in [`RELAY_LOOK_INTERVAL`], whatever comes of the look.
    pub(super) fn wants_look(&mut self, id: ListenerId, now: Instant) -> bool {
        let is_due = id == MAIN && self.address.ip().is_unspecified() && now >= self.next_look;
        if is_due {
            self.next_look = now + RELAY_LOOK_INTERVAL;
        }
        is_due
    }

    /// Has a socket at each of the addresses that this machine has now. Returns whether there are new ones.
    pub(super) fn follow(&mut self, addresses: &[IpAddr], registry: &Registry) -> bool {
        self.next_look = Instant::now() + RELAY_LOOK_INTERVAL;
        if !self.address.ip().is_unspecified() {
            return false;
        }
        for place in &mut self.beside {
            if place
                .as_ref()
                .is_some_and(|known| !addresses.contains(&known.address))
            {
                *place = None;
            }
        }
        let mut has_new = false;
        for address in addresses {
            let is_known = self
                .beside
                .iter()
                .flatten()
                .any(|known| known.address == *address);
            if is_known || !self.is_meant(*address) {
                continue;
            }
            match self.add(*address, registry) {
                Ok(true) => has_new = true,
                Ok(false) => break,
                Err(error) => log::debug!("the relay has no socket at {address} alone: {error}"),
            }
        }
        has_new
    }

    /// Returns whether clients may come to an address. One of a link can't be bound without its interface.
    fn is_meant(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => self.address.is_ipv6() && !v6.is_unicast_link_local(),
        }
    }

    /// Adds a socket. Returns whether there was room.
    fn add(&mut self, address: IpAddr, registry: &Registry) -> io::Result<bool> {
        let free = self.beside.iter().position(Option::is_none);
        let place = free.unwrap_or(self.beside.len());
        if place >= RELAY_ADDRESSES {
            return Ok(false);
        }
        let bound = SocketAddr::new(address, self.address.port());
        let mut socket = sockets::listen_beside(&self.main, bound)?;
        let token = Watched::Listener(ListenerId(place + 1)).token();
        registry.register(&mut socket, token, Interest::READABLE)?;
        let added = Some(Beside { address, socket });
        match self.beside.get_mut(place) {
            Some(free) => *free = added,
            None => self.beside.push(added),
        }
        Ok(true)
    }

    /// Reads a datagram. Returns its length, and the client that has sent it. There is no such socket: `NotConnected`.
    pub(super) fn receive(&self, id: ListenerId, buffer: &mut [u8]) -> io::Result<(usize, Client)> {
        let (socket, own) = if id == MAIN {
            let own = self.address.ip();
            (&self.main, Some(own).filter(|own| !own.is_unspecified()))
        } else {
            let place = id.0.checked_sub(1).and_then(|place| self.beside.get(place));
            let beside = place.and_then(Option::as_ref);
            let beside = beside.ok_or(io::ErrorKind::NotConnected)?;
            (&beside.socket, Some(beside.address))
        };
        let (count, from) = socket.recv_from(buffer)?;
        Ok((count, Client::datagram(sockets::canonical(from), own)))
    }

    /// Sends a datagram to a client, from the address that it has asked.
    pub(super) fn send(&self, client: Client, message: &[u8]) -> io::Result<()> {
        let own = client.own.filter(|own| *own != self.address.ip());
        let sent = match own {
            None => {
                let to = sockets::as_sent_from(self.address, client.address);
                self.main.send_to(message, to)
            }
            Some(own) => {
                let mut beside = self.beside.iter().flatten();
                let beside = beside.find(|beside| beside.address == own);
                let beside = beside.ok_or(io::ErrorKind::AddrNotAvailable)?;
                beside.socket.send_to(message, client.address)
            }
        };
        sent.map(drop)
    }
}
