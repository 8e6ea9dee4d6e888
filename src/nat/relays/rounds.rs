//! Rounds: the servers there are tried, one shortly after the other, until one relays for us.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Relays, is_attempt};
use crate::limits;
use crate::nat::failure::{Failure, code};
use crate::nat::lease::{Lease, Role};
use crate::nat::output::StreamId;
use crate::nat::plan::{Plan, plans};

/// The tries that are not made yet.
#[derive(Debug)]
pub(super) struct Round {
    began: Instant,
    pub(super) plans: VecDeque<Plan>,
    was_refused: bool,
}

impl Round {
    /// When the next try is due.
    pub(super) fn next_try(&self) -> Option<Instant> {
        Some(self.began + self.plans.front()?.offset)
    }
}

impl Relays {
    pub(super) fn begin_round(&mut self, now: Instant) {
        let sockets = self.lanes.first().map(Vec::as_slice).unwrap_or_default();
        let mut plans = VecDeque::from(plans(&self.servers, sockets));
        // Those that are being tried need not be tried again.
        plans.retain(|plan| {
            !self.leases.values().any(|lease| {
                is_attempt(lease)
                    && Plan {
                        offset: plan.offset,
                        rank: plan.rank,
                        ..lease.plan.clone()
                    } == *plan
            })
        });
        for plan in &mut plans {
            self.find_socket(now, plan);
        }
        self.next_round = None;
        self.not_before = now + limits::TURN_REFUSED_WAIT;
        self.round = Some(Round {
            began: now,
            plans,
            was_refused: false,
        });
        self.advance(now);
    }

    /// A server knows an allocation by our socket, so a further one needs another socket. With none
    /// left the oldest allocation that was replaced gives its own.
    fn find_socket(&mut self, now: Instant, plan: &mut Plan) {
        let Some(local) = plan.local else {
            return;
        };
        let holder = |socket: SocketAddr| {
            let mut leases = self.leases.iter();
            leases.find(|(_, lease)| lease.is_between(socket, plan.server))
        };
        let sockets = self.lanes.iter().flatten().copied();
        let mut sockets = sockets.filter(|socket| socket.ip() == local.ip());
        if let Some(free) = sockets.clone().find(|socket| holder(*socket).is_none()) {
            plan.local = Some(free);
            return;
        }
        let replaced = sockets.by_ref().filter_map(holder);
        let replaced = replaced.filter(|(_, lease)| lease.role == Role::Replaced);
        if let Some((id, lease)) = replaced.min_by_key(|(id, _)| **id) {
            plan.local = lease.plan.local;
            plan.offset += limits::TURN_STAGGER;
            let id = *id;
            self.retire(now, id);
        }
    }

    /// Begins the tries that are due, and ends the round when there are none left.
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
        log::debug!("trying {} ({})", plan.name(), plan.server);
        let login = plan.credentials.login(self.unix(now));
        let lease = Lease::begin(now, id, plan, login, &mut self.outputs);
        self.leases.insert(id, lease);
        self.settle(now, id);
    }

    /// Begins a round beside the allocation in use when that one is not what it should be.
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

    pub(super) fn attempt_failed(&mut self, now: Instant, plan: Plan, failure: Failure) {
        let Some(round) = &mut self.round else {
            return;
        };
        round.was_refused |= failure.is_refusal();
        if let Some(other) = otherwise(&plan, &failure, &self.lanes) {
            round.plans.push_front(Plan {
                offset: now.saturating_duration_since(round.began),
                ..other
            });
        } else {
            self.tell(plan.name(), failure.with_advice());
        }
        self.advance(now);
    }
}

/// How the same server may be asked once more, after what it said.
fn otherwise(plan: &Plan, failure: &Failure, lanes: &[Vec<SocketAddr>]) -> Option<Plan> {
    match failure {
        // It has an allocation for this socket, of a process before us or of a login before this.
        Failure::Refused(code::ALLOCATION_MISMATCH, _) => {
            let local = plan.local?;
            let lane = lanes.iter().position(|lane| lane.contains(&local))?;
            let mut others = lanes.iter().skip(lane + 1).flatten();
            let other = others.find(|socket| socket.ip() == local.ip())?;
            Some(Plan {
                local: Some(*other),
                ..plan.clone()
            })
        }
        Failure::Refused(code::FAMILY_NOT_SUPPORTED, _) if !plan.ipv6 => Some(Plan {
            ipv6: true,
            ..plan.clone()
        }),
        _ => None,
    }
}
