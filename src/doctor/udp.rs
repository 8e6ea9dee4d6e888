//! The checks over UDP: surveys by STUN and checks of TURN servers, over real sockets.
//!
//! Everything from one local address goes through one socket, as in a sidecar: `UDP_PORT` may be narrow,
//! and a firewall may let nothing else out. A second socket, where there is room for it, only listens.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token};

use crate::limits;
use crate::nat::output::Output;
use crate::nat::stun::survey::Survey;
use crate::nat::turn::plan::Plan;
use crate::nat::turn::relay_check::{Outcome, RelayCheck};
use crate::runtime::network::bound::receive_from;
use crate::runtime::network::reach::unix;
use crate::runtime::network::sockets::bind_in_range;
use crate::runtime::wake::poll_once;

/// The results of the checks over UDP.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The survey of each address on which a socket could be bound.
    pub(super) surveys: Vec<Survey>,
    /// The outcome of each plan, in their order; `None` where it is not known.
    pub(super) outcomes: Vec<Option<Outcome>>,
}

/// Asks all STUN servers from each local address, and tries the plans, each from the address that it
/// names, until all is settled or the time is over.
///
/// # Errors
/// The system gives no poll.
pub(super) fn check(
    addresses: &[SocketAddr],
    ports: Option<(u16, u16)>,
    servers: &[SocketAddr],
    plans: Vec<Plan>,
    until: Instant,
) -> io::Result<Heard> {
    let mut poll = Poll::new()?;
    let mut homes = Vec::new();
    for address in addresses {
        let is_here = |plan: &Plan| plan.local.is_some_and(|local| local.ip() == address.ip());
        let tries = plans.iter().enumerate().filter(|(_, plan)| is_here(plan));
        match Sockets::bind(poll.registry(), *address, ports) {
            Ok(sockets) => homes.push(Home {
                survey: sockets.survey(servers),
                tries: tries.map(|(number, plan)| Try::new(number, plan)).collect(),
                sockets,
            }),
            // It was reported among the interfaces.
            Err(error) => log::debug!("nothing is asked from {}: {error}", address.ip()),
        }
    }
    let surveyed_until = (Instant::now() + limits::DOCTOR_SERVER_TIME).min(until);
    let mut events = Events::with_capacity(16);
    loop {
        homes.iter_mut().for_each(Home::advance);
        let now = Instant::now();
        let due = homes
            .iter_mut()
            .filter_map(|home| home.next_timeout(now, surveyed_until));
        let Some(due) = due.min().filter(|_| now < until) else {
            return Ok(conclude(homes, plans.len()));
        };
        let wait = due.min(until).saturating_duration_since(now);
        poll_once(&mut poll, &mut events, Some(wait))?;
    }
}

fn conclude(homes: Vec<Home>, plans: usize) -> Heard {
    let mut heard = Heard {
        surveys: Vec::new(),
        outcomes: vec![None; plans],
    };
    for home in homes {
        heard.surveys.push(home.survey);
        for tried in home.tries {
            let outcome = tried.check.as_ref().and_then(RelayCheck::outcome);
            if let Some(place) = heard.outcomes.get_mut(tried.number) {
                *place = outcome.cloned();
            }
        }
    }
    heard
}

/// The sockets of one local address.
struct Sockets {
    speaking: (SocketAddr, UdpSocket),
    listening: Option<(SocketAddr, UdpSocket)>,
}

impl Sockets {
    /// Binds the sockets to two of the ports or to one; to any port if none of them is free.
    fn bind(
        registry: &Registry,
        address: SocketAddr,
        ports: Option<(u16, u16)>,
    ) -> io::Result<Self> {
        let bind = |ports| {
            let mut socket = UdpSocket::from_std(bind_in_range(address, ports)?.into());
            // All sockets share a token: whichever is ready, all are looked at.
            registry.register(&mut socket, Token(0), Interest::READABLE)?;
            io::Result::Ok((socket.local_addr()?, socket))
        };
        Ok(Sockets {
            speaking: bind(ports).or_else(|_| bind(None))?,
            listening: bind(ports).ok(),
        })
    }

    fn survey(&self, servers: &[SocketAddr]) -> Survey {
        let listening = self.listening.as_ref().map(|(address, _)| *address);
        let servers = servers.iter().copied();
        let (now, seed) = (Instant::now(), fastrand::u64(..));
        Survey::begin(now, self.speaking.0, listening, servers, seed)
    }

    fn both(&self) -> impl Iterator<Item = &(SocketAddr, UdpSocket)> {
        std::iter::once(&self.speaking).chain(&self.listening)
    }

    /// Receives the next datagram; returns its length, its source and the address where it came in.
    fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr, SocketAddr)> {
        self.both().find_map(|(address, socket)| {
            let (length, source) = receive_from(socket, buffer).ok()?;
            Some((length, source, *address))
        })
    }

    fn carry_out(&self, output: &Output) {
        let Output::Transmit {
            source,
            destination,
            bytes,
        } = output
        else {
            return;
        };
        let found = self.both().find(|(address, _)| address == source);
        if let Some((_, socket)) = found
            && let Err(error) = socket.send_to(bytes, *destination)
        {
            log::debug!("{source} to {destination}: {error}");
        }
    }
}

/// One way to a TURN server, which may have to wait for another way to the same server.
struct Try {
    number: usize,
    plan: Plan,
    check: Option<RelayCheck>,
}

impl Try {
    fn new(number: usize, plan: &Plan) -> Self {
        Try {
            number,
            plan: plan.clone(),
            check: None,
        }
    }

    /// Returns the server's address, or that of the one to which it has referred us.
    fn server(&self) -> SocketAddr {
        let check = self.check.as_ref();
        check.map_or(self.plan.destination(), RelayCheck::server)
    }

    /// Returns whether its server has an allocation for our socket, or may have.
    fn is_under_way(&self, now: Instant) -> bool {
        self.check.as_ref().is_some_and(|check| !check.is_over(now))
    }
}

/// One local address and everything that goes over its sockets.
struct Home {
    sockets: Sockets,
    survey: Survey,
    tries: Vec<Try>,
}

impl Home {
    fn advance(&mut self) {
        let mut buffer = [0; limits::DATAGRAM_BYTES];
        while let Some((length, source, destination)) = self.sockets.receive(&mut buffer) {
            let bytes = buffer.get(..length).unwrap_or_default();
            self.take_in(source, destination, bytes);
        }
        let now = Instant::now();
        self.survey.handle_timeout(now);
        for check in self.tries.iter_mut().filter_map(|t| t.check.as_mut()) {
            if check.next_timeout().is_some_and(|at| at <= now) {
                check.handle_timeout(now);
            }
        }
        self.begin_tries(now);
        while let Some(output) = self.survey.poll() {
            self.sockets.carry_out(&output);
        }
        for check in self.tries.iter_mut().filter_map(|t| t.check.as_mut()) {
            while let Some(output) = check.poll() {
                self.sockets.carry_out(&output);
            }
        }
    }

    fn take_in(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        if self.survey.handle_datagram(now, destination, source, bytes) {
            return;
        }
        let mut tries = self.tries.iter_mut();
        let tried = tries.find(|t| t.server() == source && t.is_under_way(now));
        if let Some(check) = tried.and_then(|t| t.check.as_mut()) {
            check.handle_datagram(now, bytes);
        }
    }

    /// Begins waiting tries. A server has one allocation at a time for a socket, so tries at one server
    /// take turns.
    fn begin_tries(&mut self, now: Instant) {
        let under_way = self.tries.iter().filter(|t| t.is_under_way(now));
        let mut busy: Vec<_> = under_way.map(Try::server).collect();
        for waiting in self.tries.iter_mut().filter(|t| t.check.is_none()) {
            if busy.contains(&waiting.plan.destination()) {
                continue;
            }
            busy.push(waiting.plan.destination());
            let mut plan = waiting.plan.clone();
            plan.local = Some(self.sockets.speaking.0);
            waiting.check = Some(RelayCheck::begin(now, unix(), plan, fastrand::u64(..)));
        }
    }

    /// Returns when there is something to do; `None` when everything is settled.
    fn next_timeout(&mut self, now: Instant, surveyed_until: Instant) -> Option<Instant> {
        let survey = self.survey.next_timeout();
        let survey = survey.filter(|_| now < surveyed_until);
        let survey = survey.map(|at| at.min(surveyed_until));
        let tries = self.tries.iter_mut().filter_map(|tried| {
            let check = tried.check.as_mut().filter(|check| !check.is_over(now))?;
            Some(check.next_timeout().unwrap_or(now))
        });
        tries.chain(survey).min()
    }
}
