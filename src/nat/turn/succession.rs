//! Puts one allocation in the place of another, and tells which ways are better than others.

use std::net::SocketAddr;
use std::time::Instant;

use super::lease::{Lease, Role};
use super::plan::Plan;
use super::{Relays, is_attempt};
use crate::limits;
use crate::nat::output::{Output, StreamId};

impl Relays {
    /// Returns the relayed addresses that peers are told, each with our address towards its server; the
    /// best first.
    pub(crate) fn candidates(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let current = self.current.and_then(|id| self.leases.get(&id));
        let all = current.into_iter().chain(self.of_role(Role::Replaced));
        all.filter_map(Lease::address).collect()
    }

    /// Returns the relayed addresses that peers are not told any more, because there is a better one, and
    /// that connections may still use.
    pub(crate) fn outdone(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let all = self.of_role(Role::Outdone);
        all.filter_map(Lease::address).collect()
    }

    /// Returns the leases of a role, the latest first.
    fn of_role(&self, role: Role) -> impl Iterator<Item = &Lease> {
        let all = self.leases.values().rev();
        all.filter(move |lease| lease.role == role)
    }

    /// Uses the allocation that an attempt has brought, unless the one in use is better and well.
    pub(super) fn succeed(&mut self, now: Instant, id: StreamId, relayed: SocketAddr) {
        let Some(lease) = self.leases.get(&id) else {
            return;
        };
        let plan = lease.plan.clone();
        // Attempts of better ways that are under way may still succeed; nothing else is begun.
        if let Some(round) = &mut self.round {
            round.plans.clear();
        }
        if self.is_no_gain(now, &plan) {
            self.retire(now, id);
            return self.advance(now);
        }
        log::info!("{} relays for us at {relayed}", plan.name());
        if let Some(warning) = plan.misgiving(relayed)
            && self.warnings.is_new(&plan, warning)
        {
            log::warn!("{}: {relayed} is {warning}", plan.name());
        }
        self.make_current(now, id);
        self.current_since = now;
        self.not_before = now + limits::TURN_REST;
        let place = |plan: &Plan| (self.worth(plan), plan.rank);
        let is_worse = |lease: &Lease| is_attempt(lease) && place(&lease.plan) > place(&plan);
        for id in self.leases_where(is_worse) {
            self.retire(now, id);
        }
        self.bound_replaced(now);
        self.outputs.push_back(Output::CandidatesChanged);
        self.advance(now);
    }

    /// Makes a lease the one in use. Of the others those on a worse way are told to nobody any more.
    fn make_current(&mut self, now: Instant, id: StreamId) {
        let worth = self.leases.get(&id).map(|lease| self.worth(&lease.plan));
        let is_worse = |lease: &Lease| Some(self.worth(&lease.plan)) > worth;
        let outdone = self.leases_where(|lease| lease.is_lent() && is_worse(lease));
        for (other, lease) in &mut self.leases {
            if lease.is_lent() {
                lease.role = if outdone.contains(other) {
                    Role::Outdone
                } else {
                    Role::Replaced
                };
            } else if *other == id {
                lease.role = Role::Current;
            }
        }
        self.current = Some(id);
        for id in outdone {
            self.wake(now, id);
        }
    }

    /// Returns the worth of a way, the best being the smallest: the place of its server among those named,
    /// and then that of its transport. A server that is not named any more is the worst.
    fn worth(&self, plan: &Plan) -> (usize, usize) {
        let mut servers = self.servers.iter();
        let server = servers.position(|server| server.url == plan.url);
        let mut transports = plan.url.transports().iter();
        let transport = transports.position(|transport| *transport == plan.transport);
        (
            server.unwrap_or(usize::MAX),
            transport.unwrap_or(usize::MAX),
        )
    }

    /// Returns whether the allocation in use takes the best way that there may be.
    pub(super) fn has_best_way(&self) -> bool {
        let current = self.current.and_then(|id| self.leases.get(&id));
        current.is_some_and(|current| self.worth(&current.plan) == (0, 0))
    }

    /// Returns whether the allocation in use is well, and this way is no better than its own.
    pub(super) fn is_no_gain(&self, now: Instant, plan: &Plan) -> bool {
        let current = self.current.and_then(|id| self.leases.get(&id));
        current.is_some_and(|current| {
            let is_well = !current.is_wanting() && self.renewal().is_none_or(|at| at > now);
            is_well && self.worth(&current.plan) <= self.worth(plan)
        })
    }

    /// Gives back the oldest of too many replaced allocations, used or not.
    pub(super) fn bound_replaced(&mut self, now: Instant) {
        let replaced = self.leases_where(Lease::is_replaced);
        let surplus = replaced.len().saturating_sub(limits::TURN_REPLACED);
        for id in replaced.into_iter().take(surplus) {
            self.retire(now, id);
        }
    }
}
