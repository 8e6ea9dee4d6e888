//! What STUN servers see of us: a survey of each local address, over real sockets.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use serde_json::json;

use super::report::{Check, Finding, listed, milliseconds};
use super::servers::Place;
use crate::limits;
use crate::nat::output::Output;
use crate::nat::survey::{Sighting, Survey};
use crate::nat::url::StunUrl;
use crate::runtime::sockets::{bind_in_range, is_passing};
use crate::runtime::waiting::poll_once;

/// A survey and its sockets, each with its address.
struct Surveyed {
    survey: Survey,
    sockets: Vec<(SocketAddr, UdpSocket)>,
}

/// Asks all servers from each local address until all is answered or it has taken long enough.
///
/// # Errors
/// The system gives no poll.
pub(super) fn survey(
    addresses: &[IpAddr],
    ports: Option<(u16, u16)>,
    servers: &[SocketAddr],
) -> io::Result<Vec<Survey>> {
    let mut poll = Poll::new()?;
    let mut surveyed: Vec<Surveyed> = Vec::new();
    for address in addresses {
        let token = Token(surveyed.len());
        match begin(&poll, token, *address, ports, servers) {
            Ok(begun) => surveyed.push(begun),
            // It has been told among the interfaces.
            Err(error) => log::debug!("no survey of {address}: {error}"),
        }
    }
    let deadline = Instant::now() + limits::DOCTOR_SERVER_TIME;
    let mut events = Events::with_capacity(16);
    loop {
        surveyed.iter_mut().for_each(Surveyed::advance);
        let due = surveyed.iter().filter_map(|s| s.survey.next_timeout());
        let Some(due) = due.min().filter(|_| Instant::now() < deadline) else {
            return Ok(surveyed
                .into_iter()
                .map(|surveyed| surveyed.survey)
                .collect());
        };
        let wait = due.min(deadline).saturating_duration_since(Instant::now());
        poll_once(&mut poll, &mut events, Some(wait))?;
    }
}

/// A socket on one of the ports, or on any if none of them is free.
pub(super) fn bind(address: IpAddr, ports: Option<(u16, u16)>) -> io::Result<UdpSocket> {
    let socket = bind_in_range(address, ports).or_else(|_| bind_in_range(address, None))?;
    Ok(UdpSocket::from_std(socket.into()))
}

fn begin(
    poll: &Poll,
    token: Token,
    address: IpAddr,
    ports: Option<(u16, u16)>,
    servers: &[SocketAddr],
) -> io::Result<Surveyed> {
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let mut socket = bind(address, ports)?;
        poll.registry()
            .register(&mut socket, token, Interest::READABLE)?;
        sockets.push((socket.local_addr()?, socket));
    }
    let mut bound = sockets.iter().map(|(address, _)| *address);
    let (speaking, listening) = (bound.next(), bound.next());
    let speaking = speaking.ok_or(ErrorKind::AddrNotAvailable)?;
    let servers = servers.iter().copied();
    let survey = Survey::begin(
        Instant::now(),
        speaking,
        listening,
        servers,
        fastrand::u64(..),
    );
    Ok(Surveyed { survey, sockets })
}

impl Surveyed {
    fn advance(&mut self) {
        let mut buffer = [0; 1500];
        for (address, socket) in &self.sockets {
            while let Some((length, source)) = receive(socket, &mut buffer) {
                let bytes = buffer.get(..length).unwrap_or_default();
                let now = Instant::now();
                self.survey.handle_datagram(now, *address, source, bytes);
            }
        }
        self.survey.handle_timeout(Instant::now());
        while let Some(output) = self.survey.poll() {
            let Output::Transmit {
                source,
                destination,
                bytes,
            } = output
            else {
                continue;
            };
            let socket = self.sockets.iter().find(|(address, _)| *address == source);
            if let Some((_, socket)) = socket
                && let Err(error) = socket.send_to(&bytes, destination)
            {
                log::debug!("{source} to {destination}: {error}");
            }
        }
    }
}

/// The next datagram, if there is one; errors of earlier ones are passed over.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok(received) => return Some(received),
            Err(error) if is_passing(&error) => {}
            Err(_) => return None,
        }
    }
}

/// What became of one server.
pub(super) fn report(url: &StunUrl, place: &Place, surveys: &[Survey]) -> Finding {
    let addresses = match place {
        Ok(addresses) => addresses,
        Err(why) => return Finding::fail(Check::Stun, why).about(url),
    };
    let seen: Vec<_> = surveys
        .iter()
        .flat_map(|survey| survey.sightings().map(|seen| (survey.address(), seen)))
        .filter(|(_, seen)| addresses.contains(&seen.server))
        .collect();
    if seen.is_empty() {
        return Finding::fail(Check::Stun, "no answer over UDP")
            .about(url)
            .advice("is the address right, and UDP allowed to leave this network?");
    }
    let details = seen.iter().map(|(local, seen)| {
        json!({
            "local": local.to_string(),
            "mapped": seen.mapped.to_string(),
            "ms": milliseconds(seen.round_trip),
        })
    });
    let details = details.collect();
    Finding::ok(Check::Stun, listed(seen.iter().map(describe)))
        .about(url)
        .details(details)
}

fn describe((local, seen): &(IpAddr, Sighting)) -> String {
    let ms = milliseconds(seen.round_trip);
    format!("{local} is seen as {} ({ms} ms)", seen.mapped)
}
