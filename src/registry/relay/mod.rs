//! The relay (`registry --relay`): a STUN and TURN server on a thread of its own. Clients come over UDP, and
//! over TCP and TLS by the registry's own port, whose thread hands their connections over.
//!
//! [`turn`] and [`requests`] decide, without I/O, on what [`allocation`], [`accounts`], [`logins`], [`nonces`],
//! [`peers`] and [`strangers`] know; [`messages`] reads and writes STUN; [`lending`] chooses addresses. [`mod@event_loop`]
//! has the sockets, of which those of [`listeners`] await clients; [`opening`] makes more.
//!
//! The crate `turn-server-proto` is not used: it remembers each stranger and each login for ever, knows no
//! peers that are not relayed to, answers a repeated Allocate with an error, and needs ten further crates.

mod accounts;
mod allocation;
mod client;
mod event_loop;
mod lending;
mod listeners;
mod logins;
mod messages;
mod nonces;
mod opening;
mod peers;
mod reaction;
mod requests;
mod sockets;
mod strangers;
mod stream;
mod tokens;
mod turn;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::{Poll, Waker};

use crate::config::networks::Networks;
use crate::config::relay::RelayConfig;
use crate::protocol::PeerId;
use crate::registry::crowd::Crowd;
use crate::registry::limits::RELAY_NEWCOMERS;
use crate::registry::secrets::random;
use crate::registry::socket::Socket;
use crate::registry::unix_time::UnixTime;
use crate::secret::Secret;
use event_loop::{EventLoop, Order, Relayed};
use listeners::Listeners;
pub(super) use logins::login;
use tokens::WAKER;
use turn::{Families, Rules, Turn};

/// A relay that runs. It ends when this is dropped.
pub(super) struct Relay {
    address: SocketAddr,
    orders: Sender<Order>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Begins to serve clients whose logins are made of this secret, and who come directly or by these proxies.
    pub(super) fn start(
        options: &RelayConfig,
        secret: Secret,
        trusted_proxies: Networks,
    ) -> io::Result<Relay> {
        // Without them nothing would keep clients from this machine.
        sockets::of_interfaces().map_err(|error| {
            io::Error::other(format!(
                "the addresses of this machine are not known: {error}"
            ))
        })?;
        let (orders, new_orders) = bounded(RELAY_NEWCOMERS);
        let mut event_loop = event_loop(options, secret, trusted_proxies, new_orders)?;
        let address = event_loop.listeners.address();
        let waker = Waker::new(event_loop.poll.registry(), WAKER)?;
        event_loop.look_at_addresses();
        let run = move || {
            if let Err(error) = event_loop.run() {
                log::error!("the relay has ended: {error}");
            }
        };
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(run)?;
        log::info!("the relay listens on {address} for STUN and TURN over UDP");
        Ok(Relay {
            address,
            orders,
            waker,
            thread: Some(thread),
        })
    }

    /// Returns the address of its UDP socket.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves a client's connection, of which `received` was read.
    pub(super) fn serve(&self, socket: Socket, address: SocketAddr, received: Vec<u8>) {
        let socket = Box::new(socket);
        let order = Order::Serve {
            socket,
            address,
            received,
        };
        if self.orders.try_send(order).is_err() {
            log::debug!("a connection to the relay is refused: too many come at once");
        }
        self.wake();
    }

    /// Serves a peer no more with the logins that it had got by then.
    pub(super) fn bar(&self, peer: &PeerId, at: UnixTime) {
        self.send(Order::Bar(peer.clone(), at));
    }

    /// Takes logins that are made of this secret from now on, and no others.
    pub(super) fn set_secret(&self, secret: Secret) {
        self.send(Order::Secret(secret));
    }

    /// Sends an order, and waits if the relay is behind with others.
    fn send(&self, order: Order) {
        // This fails only when the thread has ended, which is logged.
        let _ = self.orders.send(order);
        self.wake();
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the relay cannot be woken: {error}");
        }
    }
}

/// Makes what the relay's thread owns, without a look at this machine's addresses.
fn event_loop(
    options: &RelayConfig,
    secret: Secret,
    trusted_proxies: Networks,
    orders: Receiver<Order>,
) -> io::Result<EventLoop> {
    let poll = Poll::new()?;
    let listeners = Listeners::open(options.listen, poll.registry())?;
    let address = listeners.address();
    let is_for_all = address.ip().is_unspecified();
    let nonce_key = random().ok_or_else(|| io::Error::other("no random numbers"))?;
    let rules = Rules {
        secret,
        nonce_key,
        families: Families {
            ipv4: address.is_ipv4() || is_for_all,
            ipv6: address.is_ipv6(),
        },
        opened: options.opened.clone(),
        bytes_per_second: options.bytes_per_second,
    };
    let relayed = Relayed {
        listening: (!is_for_all).then_some(address.ip()),
        external: options.external.clone(),
        ports: options.ports,
        own: Vec::new(),
    };
    Ok(EventLoop {
        poll,
        listeners,
        orders,
        turn: Turn::new(rules, Instant::now()),
        relayed,
        sockets: HashMap::new(),
        streams: HashMap::new(),
        crowd: Crowd::default(),
        next_stream: 0,
        next_look: None,
        trusted_proxies,
        look_failure: None,
    })
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            let _ = thread.join();
        }
    }
}
