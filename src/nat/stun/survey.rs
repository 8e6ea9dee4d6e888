//! Surveys, for `doctor`, what the network does with UDP of one local address: what STUN servers see of
//! it, how its router maps and what it lets in (RFC 4787), as far as the servers can tell (RFC 5780).
//!
//! One socket asks every server. A second one, which has spoken to nobody else, asks one server to
//! answer from elsewhere.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::message::{Elsewhere, Reply};
use super::reflexive::can_reach;
use super::transaction::Transaction;
use crate::limits;
use crate::nat::output::Output;
use crate::nat::stun::message;

/// A router's mapping, judged by what servers see of one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// There is no mapping: servers see the address as it is.
    None,
    /// Every server sees the same address and port.
    EndpointIndependent,
    /// Servers see different addresses or ports.
    EndpointDependent,
    /// No two servers of different addresses have answered.
    Unknown,
}

/// The router's or firewall's filtering: which packets reach a socket that has spoken to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// Packets from anybody.
    EndpointIndependent,
    /// Packets from that server's address, whatever the port.
    AddressDependent,
    /// Packets from that server's address and port.
    AddressAndPortDependent,
    /// No server was able to test it.
    Unknown,
}

/// A server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The server.
    pub server: SocketAddr,
    /// The address that it sees of us.
    pub mapped: SocketAddr,
    /// The time from the last request to the answer.
    pub round_trip: Duration,
}

/// One question to one server.
#[derive(Debug)]
struct Inquiry {
    socket: SocketAddr,
    server: SocketAddr,
    elsewhere: Option<Elsewhere>,
    transaction: Transaction,
    asked: Instant,
    /// When something is to be done; `None` when the inquiry is settled.
    due: Option<Instant>,
    sighting: Option<Sighting>,
    /// The address that the answer came from.
    source: Option<SocketAddr>,
}

/// The survey of one local address.
#[derive(Debug)]
pub struct Survey {
    speaking: SocketAddr,
    listening: Option<SocketAddr>,
    inquiries: Vec<Inquiry>,
    outputs: VecDeque<Output>,
    random: fastrand::Rng,
}

impl Survey {
    /// Begins a survey. `speaking` asks those of `servers` that it can reach; `listening` is a further
    /// socket of the same address, if there is one.
    pub fn begin(
        now: Instant,
        speaking: SocketAddr,
        listening: Option<SocketAddr>,
        servers: impl IntoIterator<Item = SocketAddr>,
        seed: u64,
    ) -> Self {
        let mut survey = Survey {
            speaking,
            listening,
            inquiries: Vec::new(),
            outputs: VecDeque::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        for server in servers {
            survey.see(now, server);
        }
        survey.handle_timeout(now);
        survey
    }

    /// Asks a server for our address, unless it was asked before.
    fn see(&mut self, now: Instant, server: SocketAddr) {
        let asked = |inquiry: &Inquiry| inquiry.server == server && inquiry.elsewhere.is_none();
        if can_reach(self.speaking.ip(), server.ip()) && !self.inquiries.iter().any(asked) {
            self.inquire(now, self.speaking, server, None);
        }
    }

    fn inquire(
        &mut self,
        now: Instant,
        socket: SocketAddr,
        server: SocketAddr,
        elsewhere: Option<Elsewhere>,
    ) {
        self.inquiries.push(Inquiry {
            socket,
            server,
            elsewhere,
            transaction: Transaction::new(elsewhere, &mut self.random),
            asked: now,
            due: Some(now),
            sighting: None,
            source: None,
        });
    }

    /// Takes a datagram that came to one of the two sockets. Returns `false` when it answers none of
    /// our requests.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        destination: SocketAddr,
        source: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let Some(reply) = message::reply(bytes) else {
            return false;
        };
        let mut open = self.inquiries.iter_mut();
        let asked = open.find(|inquiry| {
            inquiry.socket == destination
                && inquiry.due.is_some()
                && inquiry.transaction.is_answered_by(&reply)
        });
        let Some(inquiry) = asked.filter(|i| i.elsewhere.is_some() || i.server == source) else {
            return false;
        };
        inquiry.due = None;
        inquiry.source = Some(source);
        inquiry.sighting = reply.mapped.map(|mapped| Sighting {
            server: inquiry.server,
            mapped,
            round_trip: now.saturating_duration_since(inquiry.asked),
        });
        let (server, is_plain) = (inquiry.server, inquiry.elsewhere.is_none());
        if is_plain {
            self.follow(now, server, &reply);
        }
        true
    }

    /// Uses a server's other address, if its answer names one: asks it to answer the second socket from
    /// elsewhere, and asks the other address as a further server. Does so for one server only.
    fn follow(&mut self, now: Instant, server: SocketAddr, reply: &Reply) {
        let Some(other) = reply.other else {
            return;
        };
        let is_other = other.ip() != server.ip() && other.port() != server.port();
        if !is_other || self.inquiries.iter().any(|i| i.elsewhere.is_some()) {
            return;
        }
        if let Some(listening) = self.listening {
            for elsewhere in [Elsewhere::OtherAddress, Elsewhere::OtherPort] {
                self.inquire(now, listening, server, Some(elsewhere));
            }
        }
        self.see(now, other);
        self.handle_timeout(now);
    }

    /// Sends the requests that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for inquiry in &mut self.inquiries {
            if inquiry.due.is_none_or(|due| due > now) {
                continue;
            }
            let most = match inquiry.elsewhere {
                None => limits::STUN_TRANSMISSIONS,
                Some(_) => limits::DOCTOR_ELSEWHERE_TRANSMISSIONS,
            };
            let sent = inquiry.transaction.send(most);
            inquiry.due = sent.as_ref().map(|(_, wait)| now + *wait);
            if let Some((bytes, _)) = sent {
                inquiry.asked = now;
                self.outputs.push_back(Output::Transmit {
                    source: inquiry.socket,
                    destination: inquiry.server,
                    bytes,
                });
            }
        }
    }

    /// Returns when [`Survey::handle_timeout`] wants to be called; `None` when everything is settled.
    pub fn next_timeout(&self) -> Option<Instant> {
        let open = self.inquiries.iter();
        open.filter_map(|inquiry| inquiry.due).min()
    }

    /// Returns the next datagram to send.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the local address.
    pub fn address(&self) -> IpAddr {
        self.speaking.ip()
    }

    /// Returns what servers see of the speaking socket.
    pub fn sightings(&self) -> impl Iterator<Item = Sighting> + '_ {
        let plain = self.inquiries.iter().filter(|i| i.elsewhere.is_none());
        plain.filter_map(|inquiry| inquiry.sighting)
    }

    /// Returns how many servers were asked.
    pub fn asked(&self) -> usize {
        self.inquiries
            .iter()
            .filter(|i| i.elsewhere.is_none())
            .count()
    }

    /// Returns the router's mapping.
    pub fn mapping(&self) -> Mapping {
        let mut sightings = self.sightings();
        let Some(first) = sightings.next() else {
            return Mapping::Unknown;
        };
        let (mut has_two, mut is_same) = (false, true);
        for other in sightings {
            has_two |= other.server.ip() != first.server.ip();
            is_same &= other.mapped == first.mapped;
        }
        match (is_same, has_two) {
            (false, _) => Mapping::EndpointDependent,
            (true, _) if first.mapped == self.speaking => Mapping::None,
            (true, true) => Mapping::EndpointIndependent,
            (true, false) => Mapping::Unknown,
        }
    }

    /// Returns what the router, or a firewall, lets in.
    pub fn filtering(&self) -> Filtering {
        let came_from = |elsewhere| {
            let asked = self.inquiries.iter();
            let mut asked = asked.filter(|i| i.elsewhere == Some(elsewhere) && i.due.is_none());
            asked.next().map(|inquiry| {
                // An error, or an answer from the address that was asked instead of elsewhere, tells
                // nothing.
                let tells = inquiry.sighting.is_some() && inquiry.source != Some(inquiry.server);
                inquiry.source.map(|_| tells)
            })
        };
        match (
            came_from(Elsewhere::OtherAddress),
            came_from(Elsewhere::OtherPort),
        ) {
            (Some(Some(true)), _) => Filtering::EndpointIndependent,
            (Some(None), Some(Some(true))) => Filtering::AddressDependent,
            (Some(None), Some(None)) => Filtering::AddressAndPortDependent,
            _ => Filtering::Unknown,
        }
    }
}
