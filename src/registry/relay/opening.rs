//! How the relay's thread makes relayed addresses: on which of this machine's addresses, as they are then.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mio::Interest;
use mio::net::UdpSocket;

use super::event_loop::EventLoop;
use super::lending::{self, Known};
use super::reaction::Opening;
use super::sockets;
use super::tokens::Watched;

impl EventLoop {
    /// Looks at this machine's addresses. Returns whether clients are awaited at new ones.
    pub(super) fn look_at_addresses(&mut self) -> bool {
        let own = match sockets::of_interfaces() {
            Ok(own) => own,
            Err(error) => {
                let failure = Some(error.to_string());
                if self.look_failure != failure {
                    log::warn!("this machine's new addresses are not known: {error}");
                }
                self.look_failure = failure;
                return false;
            }
        };
        self.look_failure = None;
        let has_new = self.listeners.follow(&own, self.poll.registry());
        self.relayed.own.clone_from(&own);
        let external = self.relayed.external.iter().copied();
        self.turn
            .set_own_addresses(own.into_iter().chain(external).collect());
        has_new
    }

    /// Makes a relayed address.
    pub(super) fn open(&mut self, now: Instant, opening: Opening) {
        let client = opening.client;
        if self.look_at_addresses() && client.own.is_none() {
            // It will ask again (RFC 8489 section 6.2.1), and come to the socket of the address that it asks.
            return;
        }
        let opened = self.bind(&opening);
        if let Err(error) = &opened {
            log::warn!("the relay has no socket for {}: {error}", client.address);
        }
        let relayed = opened.as_ref().ok().map(|(_, relayed)| *relayed);
        let Some((id, answer)) = self.turn.opened(now, opening, relayed) else {
            return;
        };
        if let (Some(id), Ok((mut socket, _))) = (id, opened) {
            let token = Watched::Allocation(id).token();
            let watched = self.poll.registry();
            if let Err(error) = watched.register(&mut socket, token, Interest::READABLE) {
                log::warn!("a socket cannot be watched: {error}");
            }
            self.sockets.insert(id, socket);
        }
        self.send(client, answer);
    }

    /// Binds a socket, and returns it with the address under which it is reached from outside.
    fn bind(&self, opening: &Opening) -> io::Result<(UdpSocket, SocketAddr)> {
        let client = opening.client;
        let is_of_family = |address: &IpAddr| address.is_ipv4() == opening.is_ipv4;
        let leads_to = |other| sockets::towards(other).filter(is_of_family);
        let external = self.relayed.external.iter().copied().find(is_of_family);
        let own_external = external.filter(|external| self.relayed.own.contains(external));
        let reached = client.own.filter(is_of_family);
        let lent = lending::choose(Known {
            listening: self.relayed.listening.or(own_external),
            external,
            reached: reached.or_else(|| leads_to(client.address)),
            default: leads_to(sockets::somewhere(opening.is_ipv4)),
        });
        let lent = lent.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let bound = lent.bound.unwrap_or(sockets::all(opening.is_ipv4));
        let socket = sockets::relayed(bound, self.relayed.ports)?;
        let port = socket.local_addr()?.port();
        Ok((socket, SocketAddr::new(lent.address, port)))
    }
}
