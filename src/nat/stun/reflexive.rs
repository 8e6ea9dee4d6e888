//! Server-reflexive addresses: asks STUN servers which addresses they see of our sockets (RFC 8445
//! section 5.1.1.2).
//!
//! Every socket asks servers of its address family, in order of preference, and goes on asking to keep
//! the mappings alive. The first server of each socket is asked at once, the others one shortly after
//! the other, until enough have answered. A silent server is asked seldom, and costs nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::binding::{Binding, Step};
use crate::limits;
use crate::nat::stun::message;

/// A server's address and its name in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Reflexive {
    /// The servers to ask, in order of preference.
    targets: Vec<Target>,
    sockets: Vec<SocketAddr>,
    /// The bindings, by socket and server.
    bindings: BTreeMap<(SocketAddr, SocketAddr), Binding>,
    /// The servers that the log has called silent.
    silent: BTreeSet<String>,
    /// The latest time that was given to a request that need not be sent at once.
    paced: Option<Instant>,
}

/// A request to be sent from a socket to a server.
pub(crate) struct Request {
    pub(crate) socket: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// The address under which a server sees a socket, before and after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    before: Option<SocketAddr>,
    after: Option<SocketAddr>,
}

impl Sight {
    /// Returns whether the server sees the socket under another address, or another port, than before.
    pub(crate) fn has_changed(&self) -> bool {
        self.before != self.after
    }

    /// Returns the IP address if the server has seen the socket under another before.
    pub(crate) fn moved_to(&self) -> Option<IpAddr> {
        let (before, after) = (self.before?.ip(), self.after?.ip());
        (before != after).then_some(after)
    }
}

impl Reflexive {
    pub(crate) fn new() -> Self {
        Reflexive {
            targets: Vec::new(),
            sockets: Vec::new(),
            bindings: BTreeMap::new(),
            silent: BTreeSet::new(),
            paced: None,
        }
    }

    /// Sets the sockets that exist. Returns whether addresses were lost with removed ones.
    pub(crate) fn set_sockets(&mut self, now: Instant, sockets: Vec<SocketAddr>) -> bool {
        self.sockets = sockets;
        self.arrange(now)
    }

    /// Sets the servers to ask, in order of preference. Returns whether addresses were lost with
    /// removed ones.
    pub(crate) fn set_targets(&mut self, now: Instant, mut targets: Vec<Target>) -> bool {
        let mut seen = BTreeSet::new();
        targets.retain(|target| seen.insert(target.address));
        self.silent
            .retain(|name| targets.iter().any(|target| target.name == *name));
        self.targets = targets;
        self.arrange(now)
    }

    /// Keeps the bindings that are still wanted, and begins those that are missing. Returns whether an
    /// address was lost.
    fn arrange(&mut self, now: Instant) -> bool {
        let order = self.order();
        let wanted: BTreeSet<_> = order.iter().map(|(_, pair)| *pair).collect();
        let mut lost = false;
        self.bindings.retain(|pair, binding| {
            let stays = wanted.contains(pair);
            lost |= !stays && binding.mapped().is_some();
            stays
        });
        for (rank, pair) in order {
            if !self.bindings.contains_key(&pair) {
                let due = self.slot(now, rank);
                self.bindings.insert(pair, Binding::new(due));
            }
        }
        lost
    }

    /// Returns every pair of a socket and a server that it can reach, with the server's rank in the
    /// socket's preference. The first server of each socket comes first, then the second of each, and
    /// so on.
    fn order(&self) -> Vec<(usize, (SocketAddr, SocketAddr))> {
        let mut order = Vec::new();
        for socket in &self.sockets {
            let reachable = |target: &&Target| can_reach(socket.ip(), target.address.ip());
            let targets = self.targets.iter().filter(reachable);
            let pairs = targets.map(|target| (*socket, target.address));
            order.extend(pairs.enumerate());
        }
        order.sort_by_key(|(rank, _)| *rank);
        order
    }

    /// Returns when a socket may ask the server of this rank. The first server is asked at once; asking
    /// all at once would be a burst that a router may drop (RFC 8445 section 14).
    fn slot(&mut self, now: Instant, rank: usize) -> Instant {
        if rank == 0 {
            return now;
        }
        let slot = self.paced.unwrap_or(now).max(now) + limits::STUN_PACE;
        self.paced = Some(slot);
        slot
    }

    /// Asks servers now that are silent or were not asked, because something has changed.
    pub(crate) fn ask_now(&mut self, now: Instant) {
        self.ask_idle(now, |_| true);
    }

    /// Asks the servers that have answered whether they still see us under the same address. A question
    /// that is under way goes on.
    pub(crate) fn in_doubt(&mut self, now: Instant) {
        for (rank, pair) in self.order() {
            let due = self.slot(now, rank);
            if let Some(binding) = self.bindings.get_mut(&pair)
                && binding.mapped().is_some()
                && !binding.is_asking()
            {
                binding.ask_at(due);
            }
        }
    }

    /// Asks all servers anew, because the machine may be behind another router now.
    pub(crate) fn network_changed(&mut self, now: Instant) {
        for (rank, pair) in self.order() {
            let due = self.slot(now, rank);
            if let Some(binding) = self.bindings.get_mut(&pair) {
                binding.ask_anew(due);
            }
        }
    }

    fn ask_idle(&mut self, now: Instant, is_meant: impl Fn(SocketAddr) -> bool) {
        for (rank, pair) in self.order() {
            let soonest = self.paced.unwrap_or(now).max(now);
            let binding = self.bindings.get(&pair);
            let waits = binding.is_some_and(|binding| binding.is_idle() && binding.due() > soonest);
            if waits && is_meant(pair.0) {
                let due = self.slot(now, rank);
                if let Some(binding) = self.bindings.get_mut(&pair) {
                    binding.ask_at(due);
                }
            }
        }
    }

    /// Returns whether enough servers have answered the socket, so that no others need be asked.
    fn has_enough(&self, socket: SocketAddr) -> bool {
        let from = (
            socket,
            SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        );
        let of_socket = self.bindings.range(from..);
        let of_socket = of_socket.take_while(|((of, _), _)| *of == socket);
        let outer = of_socket.filter(|(_, binding)| {
            binding.is_confirmed() && binding.mapped().is_some_and(|mapped| mapped != socket)
        });
        outer.count() >= limits::MAPPINGS_PER_SOCKET
    }

    /// Takes a datagram. Returns `None` if it answers none of our requests.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        pair: (SocketAddr, SocketAddr),
        bytes: &[u8],
        random: &mut fastrand::Rng,
    ) -> Option<Sight> {
        let binding = self.bindings.get_mut(&pair)?;
        let reply = message::reply(bytes)?;
        let before = binding.mapped();
        if !binding.answer(now, &reply, random) {
            return None;
        }
        if let Some((code, reason)) = &reply.error {
            log::debug!("STUN server {}: error {code} {reason}", pair.1);
        } else if before.is_none() {
            let mapped = reply.mapped.map(|mapped| mapped.to_string());
            let mapped = mapped.as_deref().unwrap_or("nothing");
            log::debug!("{} is seen as {mapped} by {}", pair.0, pair.1);
            self.tell_of_voice(pair.1);
        }
        let after = reply.mapped;
        Some(Sight { before, after })
    }

    /// Sends the requests that are due. Returns whether an address was lost.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        random: &mut fastrand::Rng,
        mut send: impl FnMut(Request),
    ) -> bool {
        let mut lost = BTreeSet::new();
        let mut given_up = BTreeSet::new();
        let due = self.bindings.iter().filter(|(_, b)| b.due() <= now);
        let due: Vec<_> = due.map(|(pair, _)| *pair).collect();
        for (socket, server) in due {
            let has_enough = self.has_enough(socket);
            let Some(binding) = self.bindings.get_mut(&(socket, server)) else {
                continue;
            };
            if has_enough && binding.is_idle() {
                binding.rest(now, random);
                continue;
            }
            let had_one = binding.mapped().is_some();
            match binding.step(now, random) {
                Step::Ask(bytes) => send(Request {
                    socket,
                    server,
                    bytes,
                }),
                Step::GiveUp => {
                    if had_one {
                        lost.insert(socket);
                    }
                    given_up.insert(server);
                }
            }
        }
        for server in given_up {
            self.tell_of_silence(server);
        }
        if !lost.is_empty() {
            self.ask_idle(now, |socket| lost.contains(&socket));
        }
        !lost.is_empty()
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.bindings.values().map(Binding::due).min()
    }

    /// Returns the addresses under which a socket is seen from outside, the most trusted server's
    /// first.
    pub(crate) fn mapped(&self, socket: SocketAddr) -> Vec<SocketAddr> {
        let mut found = Vec::new();
        for target in &self.targets {
            let binding = self.bindings.get(&(socket, target.address));
            if let Some(mapped) = binding.and_then(Binding::mapped)
                && mapped != socket
                && !found.contains(&mapped)
                && found.len() < limits::MAPPINGS_PER_SOCKET
            {
                found.push(mapped);
            }
        }
        found
    }

    /// Returns the addresses of all servers that may answer.
    pub(crate) fn servers(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.targets.iter().map(|target| target.address)
    }

    fn name(&self, server: SocketAddr) -> Option<&str> {
        let target = self.targets.iter().find(|target| target.address == server);
        target.map(|target| target.name.as_str())
    }

    /// Logs once that a server does not answer on any of its addresses, from any socket.
    fn tell_of_silence(&mut self, server: SocketAddr) {
        let Some(name) = self.name(server).map(str::to_owned) else {
            return;
        };
        let has_answered = self.bindings.iter().any(|((_, server), binding)| {
            binding.mapped().is_some() && self.name(*server) == Some(&name)
        });
        if !has_answered && !self.silent.contains(&name) {
            log::warn!(
                "{name} does not answer over UDP; it is asked again now and then. Is the address \
                 right, and UDP allowed to leave this network?"
            );
            self.silent.insert(name);
        }
    }

    fn tell_of_voice(&mut self, server: SocketAddr) {
        let Some(name) = self.name(server).map(str::to_owned) else {
            return;
        };
        if self.silent.remove(&name) {
            log::info!("{name} answers again");
        }
    }
}

/// Returns whether a datagram can go from one address to the other at all.
pub(crate) fn can_reach(from: IpAddr, to: IpAddr) -> bool {
    from.is_ipv4() == to.is_ipv4() && (!from.is_loopback() || to.is_loopback())
}
