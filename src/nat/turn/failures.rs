//! Handles attempts that fail and allocations that are lost.

use std::time::Instant;

use super::Relays;
use super::lease::Role;
use super::plan::Plan;
use crate::limits;
use crate::nat::credentials::Credentials;
use crate::nat::failure::{Failure, code};
use crate::nat::output::{Output, StreamId};

impl Relays {
    /// Handles an attempt that failed, or an allocation that is lost.
    pub(super) fn fail(&mut self, now: Instant, id: StreamId, failure: Failure) {
        let Some(lease) = self.leases.get(&id) else {
            return;
        };
        let (role, plan) = (lease.role, lease.plan.clone());
        if failure.is_of_login() {
            self.login_refused(id);
        }
        if failure == Failure::Silent {
            // The server may have lent an address without our having heard of it.
            self.retire(now, id);
        } else {
            self.remove(id);
        }
        match role {
            Role::Attempt { .. } => self.attempt_failed(now, plan, failure),
            Role::Current => {
                self.outputs.push_back(Output::CandidatesChanged);
                self.current = None;
                self.current_lost(now, &plan, &failure);
            }
            // It was to end some time, for its login or its lifetime.
            Role::Replaced | Role::Outdone => {
                log::debug!("{}: {failure}", plan.name());
                self.outputs.push_back(Output::CandidatesChanged);
            }
            Role::Leaving { .. } => {}
        }
    }

    /// Looks for another allocation at once. But one that does not last is no success: if that happens
    /// again, the wait grows each time, and nothing more is logged of it.
    fn current_lost(&mut self, now: Instant, plan: &Plan, failure: &Failure) {
        let lasted = now.saturating_duration_since(self.current_since);
        if lasted >= limits::TURN_TRUSTED_AFTER {
            self.patience.reset();
            self.warnings.settle(&plan.name());
        }
        let failure = failure.with_advice();
        if self.warnings.is_new(plan, &failure) {
            log::warn!("{}: {failure}", plan.name());
        }
        let is_first = self.patience.is_fresh();
        let wait = self.patience.next(self.random.f64());
        if is_first {
            self.begin_round(now);
        } else if self.round.is_none() {
            self.next_round = Some(now + wait);
        }
    }

    /// Reports that a login that was given to us is of no use any more. Logins that we make ourselves
    /// are made anew.
    pub(super) fn login_refused(&mut self, id: StreamId) {
        if let Some(lease) = self.leases.get(&id)
            && let Credentials::Given { .. } = lease.plan.credentials
        {
            let url = lease.plan.url.clone();
            self.outputs.push_back(Output::LoginRefused(url));
        }
    }

    fn attempt_failed(&mut self, now: Instant, plan: Plan, failure: Failure) {
        let otherwise = self.otherwise(&plan, &failure);
        let Some(round) = &mut self.round else {
            return;
        };
        round.was_refused |= failure.is_refusal();
        if let Some(other) = otherwise {
            round.plans.push_front(Plan {
                offset: now.saturating_duration_since(round.began),
                ..other
            });
        } else {
            let (name, failure) = (plan.name(), failure.with_advice());
            if self.warnings.is_new(&plan, &failure) {
                log::warn!("{name}: {failure}");
            }
        }
        self.advance(now);
    }

    /// Returns how to ask once more after a server's answer, if that may help.
    fn otherwise(&self, plan: &Plan, failure: &Failure) -> Option<Plan> {
        // The server has an allocation for this socket, of a process before us.
        if let Failure::Refused(code::ALLOCATION_MISMATCH, _) = failure {
            let local = plan.local?;
            let lanes = self.lanes.iter().flatten();
            let lane_of = |socket| lanes.clone().position(|lane| lane.contains(&socket));
            let mut others = self.free_sockets(local.ip(), plan.destination());
            let other = others.find(|other| lane_of(*other) > lane_of(local))?;
            return Some(Plan {
                local: Some(other),
                ..plan.clone()
            });
        }
        let mut other = plan.after(failure)?;
        let is_free = other.destination() == plan.destination() || self.find_socket(&mut other);
        is_free.then_some(other)
    }
}
