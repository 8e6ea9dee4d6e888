//! Runs the TURN crate's client, in our time and with its panics caught.
//!
//! The crate holds assertions that a server might reach. It is used as over UDP on every transport, because its
//! reader of streams does not know of padding; [`Framing`](super::framing::Framing) splits streams into messages
//! instead.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use turn_client_proto::api::{TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::prelude::TurnClientApi as _;
use turn_client_proto::stun;
use turn_client_proto::stun::agent::Transmit;
use turn_client_proto::types::{AddressFamily, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use crate::limits;
use crate::nat::credentials::Login;

/// The parameters of an allocation: our address, the server, and how to ask.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Our address towards the server.
    pub(crate) local: SocketAddr,
    /// The server's address.
    pub(crate) server: SocketAddr,
    /// Whether an IPv6 address is wanted.
    pub(crate) ipv6: bool,
    /// Whether packets to the server may get lost, so that requests have to be repeated.
    pub(crate) is_lossy: bool,
}

/// One step of the crate.
pub(super) enum Step {
    /// This packet is to be sent to the server.
    Send(Vec<u8>),
    /// Something has happened.
    Event(TurnEvent),
    /// Nothing is to be done until then.
    Wait(Instant),
    /// The allocation has ended.
    Closed,
}

/// The meaning of a message from the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It is not for this client.
    Nothing,
    /// The client has taken it.
    Taken,
    /// It is a packet of a peer.
    Packet(SocketAddr, Vec<u8>),
}

/// The crate has panicked, and the client is of no use any more.
#[derive(Debug)]
pub(super) struct Panicked;

pub(super) struct Client {
    client: TurnClientUdp,
    /// The instant at which the crate's time begins.
    epoch: Instant,
    local: SocketAddr,
    server: SocketAddr,
}

impl Client {
    /// Asks for an allocation.
    pub(super) fn allocate(now: Instant, terms: &Terms, login: &Login) -> Self {
        let credentials = TurnCredentials::new(&login.username, login.password.reveal());
        let mut config = TurnConfig::new(credentials);
        if terms.ipv6 {
            config.set_address_family(AddressFamily::IPV6);
        }
        let repeats = if terms.is_lossy {
            limits::STUN_TRANSMISSIONS
        } else {
            1
        };
        let first = limits::STUN_FIRST_WAIT;
        config.set_request_retransmits(first, Duration::MAX, repeats, first * 8);
        Client {
            client: TurnClientUdp::allocate(terms.local, terms.server, config),
            epoch: now,
            local: terms.local,
            server: terms.server,
        }
    }

    /// Returns the next thing to do.
    pub(super) fn step(&mut self, now: Instant) -> Result<Step, Panicked> {
        let epoch = self.epoch;
        self.guarded(now, |client, at| {
            if let Some(transmit) = client.poll_transmit(at) {
                return Step::Send(transmit.data.to_vec());
            }
            if let Some(event) = client.poll_event() {
                return Step::Event(event);
            }
            match client.poll(at) {
                TurnPollRet::WaitUntil(until) => Step::Wait(instant(epoch, until)),
                TurnPollRet::Closed => Step::Closed,
                // These come only from TCP allocations, which we do not make.
                TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => {
                    Step::Closed
                }
            }
        })
    }

    /// Takes a message from the server.
    pub(super) fn receive(&mut self, now: Instant, message: &[u8]) -> Result<Received, Panicked> {
        let (local, server) = (self.local, self.server);
        self.guarded(now, |client, at| {
            let transmit = Transmit::new(message, TransportType::Udp, server, local);
            match client.recv(transmit, at) {
                TurnRecvRet::Handled | TurnRecvRet::PeerIcmp { .. } => Received::Taken,
                TurnRecvRet::Ignored(_) => Received::Nothing,
                TurnRecvRet::PeerData(data) => Received::Packet(data.peer, data.data().to_vec()),
            }
        })
    }

    /// Wraps a packet to a peer into one to the server; `None` if it can't be sent.
    pub(super) fn wrap(
        &mut self,
        now: Instant,
        to: SocketAddr,
        packet: &[u8],
    ) -> Result<Option<Vec<u8>>, Panicked> {
        self.guarded(now, |client, at| {
            let transmit = client.send_to(TransportType::Udp, to, packet, at);
            let transmit = transmit.ok().flatten();
            transmit.map(|transmit| transmit.build().data)
        })
    }

    /// Asks for a channel to a peer. Returns whether that can be asked.
    pub(super) fn bind_channel(&mut self, now: Instant, to: SocketAddr) -> Result<bool, Panicked> {
        self.guarded(now, |client, at| {
            client.bind_channel(TransportType::Udp, to, at).is_ok()
        })
    }

    /// Asks for a permission for a peer. Returns whether that can be asked.
    pub(super) fn create_permission(
        &mut self,
        now: Instant,
        peer: IpAddr,
    ) -> Result<bool, Panicked> {
        self.guarded(now, |client, at| {
            let asked = client.create_permission(TransportType::Udp, peer, at);
            asked.is_ok()
        })
    }

    /// Gives the allocation back. Returns whether that can be asked.
    pub(super) fn delete(&mut self, now: Instant) -> Result<bool, Panicked> {
        self.guarded(now, |client, at| client.delete(at).is_ok())
    }

    fn guarded<T>(
        &mut self,
        now: Instant,
        work: impl FnOnce(&mut TurnClientUdp, stun::Instant) -> T,
    ) -> Result<T, Panicked> {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        let at = stun::Instant::from_nanos(i64::try_from(since).unwrap_or(i64::MAX));
        let client = &mut self.client;
        catch_unwind(AssertUnwindSafe(move || work(client, at))).map_err(|_| Panicked)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("local", &self.local)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn instant(epoch: Instant, time: stun::Instant) -> Instant {
    epoch + Duration::from_nanos(u64::try_from(time.as_nanos()).unwrap_or(0))
}
