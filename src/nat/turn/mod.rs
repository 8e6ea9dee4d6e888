//! The relays: decides which TURN server is used and which is tried next, and passes packets through
//! them.
//!
//! Peers are told one allocation at a time, the same for all of them and on all lanes. When there is
//! none, or something is wrong with it, a *round* tries the servers, one shortly after the other, and
//! keeps the best that works. The allocation that it replaces stays for the connections that use it.
//!
//! A *lease* is one address on one TURN server: the way to the server, the allocation, and its refreshes. One that was
//! replaced by one on a better way is *outdone*. A *round* is one pass through the servers, in order of
//! preference, until one of them relays.

mod allocation;
mod client;
mod doubts;
mod failures;
pub(crate) mod framing;
mod keepalive;
mod lease;
mod permissions;
pub mod plan;
mod questions;
pub mod relay_check;
mod round;
mod rounds;
mod succession;
mod warnings;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::credentials::Credentials;
use super::failure::Failure;
use super::output::{Output, StreamId};
use super::reachable::is_endpoint;
use super::server::TurnServer;
use crate::backoff::Backoff;
use crate::limits;
use lease::{Lease, Role, Turn};
use round::Round;
use warnings::Warnings;

/// A Unix time and the instant at which it was.
#[derive(Debug, Clone, Copy)]
struct Clock {
    at: Instant,
    unix: u64,
}

#[derive(Debug)]
pub(super) struct Relays {
    servers: Vec<TurnServer>,
    /// Our sockets, by lane; `None` until they are known.
    lanes: Option<Vec<Vec<SocketAddr>>>,
    leases: BTreeMap<StreamId, Lease>,
    leases_begun: u64,
    current: Option<StreamId>,
    current_since: Instant,
    round: Option<Round>,
    /// When the next round begins.
    next_round: Option<Instant>,
    /// The earliest time for a round beside an allocation that works.
    not_before: Instant,
    patience: Backoff,
    clock: Clock,
    warnings: Warnings,
    outputs: VecDeque<Output>,
    random: fastrand::Rng,
}

impl Relays {
    pub(super) fn new(now: Instant, unix: u64, seed: u64) -> Self {
        Relays {
            servers: Vec::new(),
            lanes: None,
            leases: BTreeMap::new(),
            leases_begun: 0,
            current: None,
            current_since: now,
            round: None,
            next_round: None,
            not_before: now,
            patience: Backoff::new(limits::TURN_BACKOFF),
            clock: Clock { at: now, unix },
            warnings: Warnings::default(),
            outputs: VecDeque::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Sets the Unix time in seconds. Logins made from shared secrets depend on it, so when the clock was set,
    /// servers that refused one are tried again at once.
    pub(super) fn set_clock(&mut self, now: Instant, unix: u64) {
        let was_set = unix.abs_diff(self.unix(now)) >= limits::CLOCK_STEP.as_secs();
        self.clock = Clock { at: now, unix };
        if was_set && self.current.is_none() && self.next_round.is_some() {
            self.patience.reset();
            self.begin_round(now);
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns all our sockets, those of the first lane first.
    fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.lanes.iter().flatten().flatten().copied()
    }

    /// Sets our sockets, by lane. An allocation over a socket that is gone is lost.
    pub(super) fn set_sockets(&mut self, now: Instant, lanes: Vec<Vec<SocketAddr>>) {
        let had_any = self.sockets().next().is_some();
        self.lanes = Some(lanes);
        let is_bound = |local| self.sockets().any(|socket| socket == local);
        let is_orphan = |lease: &Lease| lease.plan.local.is_some_and(|local| !is_bound(local));
        for id in self.leases_where(is_orphan) {
            self.fail(
                now,
                id,
                Failure::Lost("the address it was used from is gone"),
            );
        }
        if self.current.is_none() && (self.round.is_none() || !had_any) {
            self.begin_round(now);
        }
    }

    /// Sets the servers to use, in order of preference, with our present credentials for them.
    pub(super) fn set_servers(&mut self, now: Instant, servers: Vec<TurnServer>) {
        if servers == self.servers {
            return;
        }
        self.servers = servers;
        let current = self.current.and_then(|id| self.leases.get(&id));
        let stands = current.is_some_and(|lease| {
            let is_named = self.servers.iter().any(|s| s.url == lease.plan.url);
            is_named && !lease.is_refused() && self.renewal().is_none_or(|at| at > now)
        });
        if self.servers.is_empty() {
            self.give_all_back(now);
        } else if !stands {
            self.begin_round(now);
        }
    }

    fn unix(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.clock.at).as_secs();
        self.clock.unix.saturating_add(since)
    }

    /// Takes a datagram. Returns `false` when it belongs to no allocation.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        (local, server): (SocketAddr, SocketAddr),
        bytes: &[u8],
    ) -> bool {
        let taker = self.leases.iter_mut().find_map(|(id, lease)| {
            let is_taken = lease.is_between(local, server)
                && lease.allocation().is_some_and(|a| a.receive(now, bytes));
            is_taken.then_some(*id)
        });
        if let Some(id) = taker {
            self.settle(now, id);
        }
        taker.is_some()
    }

    pub(super) fn stream_opened(&mut self, now: Instant, id: StreamId, local: SocketAddr) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.stream_opened(now, local);
            self.settle(now, id);
        }
    }

    pub(super) fn stream_received(&mut self, now: Instant, id: StreamId, bytes: &[u8]) {
        if let Some(lease) = self.leases.get_mut(&id) {
            let received = lease.receive_bytes(now, bytes);
            self.settle(now, id);
            if let Err(failure) = received {
                self.fail(now, id, failure);
            }
        }
    }

    pub(super) fn stream_closed(&mut self, now: Instant, id: StreamId, why: String) {
        self.fail(now, id, Failure::Connection(why));
    }

    /// Sends a packet to a peer. Returns `false` when the address is none of ours.
    pub(super) fn send(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        to: SocketAddr,
        packet: &[u8],
    ) -> bool {
        let found = self
            .leases
            .iter_mut()
            .find(|(_, lease)| lease.relayed() == Some(relayed));
        let Some((id, lease)) = found else {
            return false;
        };
        if let Some(allocation) = lease.allocation() {
            allocation.send(now, to, packet);
        }
        let id = *id;
        self.settle(now, id);
        true
    }

    /// Does what is due: ends attempts without an answer and idle replaced allocations, begins rounds and
    /// attempts.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let is_due = |lease: &Lease| lease.next_timeout().is_some_and(|at| at <= now);
        for id in self.leases_where(is_due) {
            self.wake(now, id);
        }
        if self.next_round.is_some_and(|at| at <= now) {
            self.begin_round(now);
        }
        self.look_for_better(now);
        self.advance(now);
    }

    fn wake(&mut self, now: Instant, id: StreamId) {
        let Some(lease) = self.leases.get_mut(&id) else {
            return;
        };
        if let Some(allocation) = lease.allocation()
            && allocation.next_timeout().is_some_and(|at| at <= now)
        {
            allocation.handle_timeout(now, &mut self.random);
            self.settle(now, id);
        }
        let Some(lease) = self.leases.get_mut(&id) else {
            return;
        };
        match lease.role {
            Role::Attempt { until } if until <= now => self.fail(now, id, Failure::Silent),
            Role::Replaced | Role::Outdone if lease.leave_at().is_none_or(|at| at <= now) => {
                self.retire(now, id);
            }
            Role::Attempt { .. }
            | Role::Current
            | Role::Replaced
            | Role::Outdone
            | Role::Leaving { .. } => {}
        }
        if self.leases.get(&id).is_some_and(|lease| lease.is_over(now)) {
            self.remove(id);
        }
    }

    /// Returns when to replace the allocation in use because of its own lifetime or its login's. As
    /// long as its login lasts, another login changes nothing.
    fn renewal(&self) -> Option<Instant> {
        let lease = self.leases.get(&self.current?)?;
        let of_login = self.has_successor(lease).then(|| {
            // A login whose expiry is not known may end at any time.
            let renew_at = lease.login.renew_at.unwrap_or(0);
            self.clock.at + Duration::from_secs(renew_at.saturating_sub(self.clock.unix))
        });
        of_login.into_iter().chain(lease.replace_at()).min()
    }

    /// Returns whether there is another login for the same server.
    fn has_successor(&self, lease: &Lease) -> bool {
        match &lease.plan.credentials {
            Credentials::Shared(_) => true,
            given @ Credentials::Given { .. } => {
                let mut same = self.servers.iter().filter(|s| s.url == lease.plan.url);
                same.any(|server| server.credentials != *given)
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let next_try = self.round.as_ref().and_then(Round::next_try);
        let renewal = match self.round {
            None => self.renewal().map(|at| at.max(self.not_before)),
            Some(_) => None,
        };
        let leases = self.leases.values().filter_map(Lease::next_timeout);
        leases
            .chain(next_try)
            .chain(self.next_round)
            .chain(renewal)
            .min()
    }

    /// Gives every allocation back.
    pub(super) fn shut_down(&mut self, now: Instant) {
        self.servers.clear();
        self.give_all_back(now);
    }

    fn give_all_back(&mut self, now: Instant) {
        self.round = None;
        self.next_round = None;
        for id in self.leases_where(|_| true) {
            self.retire(now, id);
        }
    }

    /// Returns the ids of the leases that are meant, the oldest first.
    fn leases_where(&self, is_meant: impl Fn(&Lease) -> bool) -> Vec<StreamId> {
        let meant = self.leases.iter().filter(|(_, lease)| is_meant(lease));
        meant.map(|(id, _)| *id).collect()
    }

    /// Handles the events of a lease, and passes on its outputs.
    fn settle(&mut self, now: Instant, id: StreamId) {
        let Some(lease) = self.leases.get_mut(&id) else {
            return;
        };
        for turn in lease.hand_out(&mut self.outputs) {
            match turn {
                Turn::Ready(relayed) if self.is_of_a_relay(id, relayed) => {
                    self.succeed(now, id, relayed);
                }
                Turn::Ready(relayed) => self.fail(now, id, Failure::Misplaced(relayed)),
                Turn::Over(failure) => self.fail(now, id, failure),
                Turn::LoginRefused => self.login_refused(id),
                Turn::Silent => self.outputs.push_back(Output::ServerSilent),
            }
        }
        if self.leases.get(&id).is_some_and(|lease| lease.is_over(now)) {
            self.remove(id);
        }
    }

    /// Returns whether an address may be one of the relay's. What is sent from a relayed address goes
    /// to its server, so a server that named a socket of ours would get everything that is sent from
    /// there.
    fn is_of_a_relay(&self, id: StreamId, relayed: SocketAddr) -> bool {
        let is_ours = self.sockets().any(|socket| socket == relayed);
        let mut others = self.leases.iter().filter(|(other, _)| **other != id);
        let is_lent = others.any(|(_, lease)| lease.relayed() == Some(relayed));
        is_endpoint(relayed) && !is_ours && !is_lent
    }

    /// Gives an allocation back, or gives up an attempt.
    fn retire(&mut self, now: Instant, id: StreamId) {
        self.current = self.current.filter(|current| *current != id);
        if let Some(lease) = self.leases.get_mut(&id) {
            if lease.relayed().is_some() {
                self.outputs.push_back(Output::CandidatesChanged);
            }
            lease.leave(now);
            self.settle(now, id);
        }
    }

    fn remove(&mut self, id: StreamId) {
        if let Some(lease) = self.leases.remove(&id) {
            lease.close(&mut self.outputs);
        }
    }
}

fn is_attempt(lease: &Lease) -> bool {
    matches!(lease.role, Role::Attempt { .. })
}
