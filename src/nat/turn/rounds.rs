//! Runs rounds: tries the servers one shortly after the other until one relays for us.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::lease::Lease;
use super::plan::{Plan, plans};
use super::round::Round;
use super::{Relays, is_attempt};
use crate::limits;
use crate::nat::output::StreamId;

impl Relays {
    /// Begins a round, unless our sockets are not known yet: without them the better ways would be
    /// missing.
    pub(super) fn begin_round(&mut self, now: Instant) {
        let Some(lanes) = &self.lanes else {
            return;
        };
        let sockets = lanes.first().map(Vec::as_slice).unwrap_or_default();
        let mut plans = plans(&self.servers, sockets);
        self.warnings.keep(&plans);
        let is_tried = |plan: &Plan| {
            let mut tries = self.leases.values().filter(|lease| is_attempt(lease));
            tries.any(|lease| lease.plan.is_same_way(plan))
        };
        plans.retain(|plan| !is_tried(plan) && !self.is_no_gain(now, plan));
        let (mut ready, mut crowded) = (VecDeque::new(), Vec::new());
        for mut plan in plans {
            if self.find_socket(&mut plan) {
                ready.push_back(plan);
            } else {
                crowded.push(plan);
            }
        }
        if ready.is_empty() && !self.leases.values().any(is_attempt) {
            let mut crowded = crowded.into_iter();
            ready.extend(crowded.find_map(|plan| self.make_room(now, plan)));
        }
        self.next_round = None;
        self.not_before = now + limits::TURN_REFUSED_WAIT;
        self.round = Some(Round {
            began: now,
            plans: ready,
            was_refused: false,
        });
        self.advance(now);
    }

    /// Chooses a socket that holds no allocation at the plan's server. A server knows an allocation by
    /// our socket, so a further one needs another socket. Returns whether there is one; streams need
    /// none.
    pub(super) fn find_socket(&self, plan: &mut Plan) -> bool {
        let Some(local) = plan.local else {
            return true;
        };
        let free = self.free_sockets(local.ip(), plan.destination()).next();
        plan.local = free.or(plan.local);
        free.is_some()
    }

    /// Returns our sockets of one address that hold no allocation at this server and ask it for none;
    /// the first lane's first.
    pub(super) fn free_sockets(
        &self,
        ip: IpAddr,
        server: SocketAddr,
    ) -> impl Iterator<Item = SocketAddr> {
        self.sockets().filter(move |socket| {
            let is_held = |lease: &Lease| lease.is_between(*socket, server);
            socket.ip() == ip && !self.leases.values().any(is_held)
        })
    }

    /// Takes the socket of the oldest allocation that was replaced, used or not, when there is no other
    /// way.
    fn make_room(&mut self, now: Instant, plan: Plan) -> Option<Plan> {
        let ip = plan.local?.ip();
        let (id, local) = self.leases.iter().find_map(|(id, lease)| {
            let local = lease.plan.local.filter(|local| local.ip() == ip)?;
            let is_meant = lease.is_replaced() && lease.plan.destination() == plan.destination();
            is_meant.then_some((*id, local))
        })?;
        self.retire(now, id);
        Some(Plan {
            local: Some(local),
            ..plan
        })
    }

    /// Begins the attempts that are due, and ends the round when there are none left.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(round) = &mut self.round {
            let is_trying = self.leases.values().any(is_attempt);
            let is_due = |plan: &mut Plan| round.began + plan.offset <= now || !is_trying;
            if let Some(plan) = round.plans.pop_front_if(is_due) {
                self.begin(now, plan);
            } else if round.plans.is_empty() && !is_trying {
                let was_refused = round.was_refused;
                self.end_round(now, was_refused);
            } else {
                return;
            }
        }
    }

    fn end_round(&mut self, now: Instant, was_refused: bool) {
        self.round = None;
        if self.current.is_some() || self.servers.is_empty() {
            return;
        }
        let wait = self.patience.next(self.random.f64());
        let least = if was_refused {
            limits::TURN_REFUSED_WAIT
        } else {
            Duration::ZERO
        };
        self.next_round = Some(now + wait.max(least));
    }

    fn begin(&mut self, now: Instant, plan: Plan) {
        self.leases_begun += 1;
        let id = StreamId(self.leases_begun);
        log::debug!("trying {} ({})", plan.name(), plan.destination());
        let login = plan.credentials.login(self.unix(now));
        let lease = Lease::begin(now, id, plan, login, &mut self.outputs);
        self.leases.insert(id, lease);
        self.settle(now, id);
    }

    /// Begins a round beside the allocation in use when that one is weak, refused or about to end.
    pub(super) fn look_for_better(&mut self, now: Instant) {
        let Some(current) = self.current.and_then(|id| self.leases.get(&id)) else {
            return;
        };
        if self.round.is_none()
            && now >= self.not_before
            && (current.is_wanting() || self.renewal().is_some_and(|at| at <= now))
        {
            self.begin_round(now);
        }
    }
}
