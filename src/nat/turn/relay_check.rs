//! Checks, for `doctor`, whether a TURN server relays: asks for an allocation and sends a packet
//! through the relay to itself.
//!
//! The packet goes to the relayed address from the relayed address, so no peer is needed. A server
//! behind a router that does not turn such packets back fails here and may be fine otherwise.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::lease::{Lease, Turn};
use super::plan::Plan;
use crate::limits;
use crate::nat::failure::Failure;
use crate::nat::output::{Output, StreamId};

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It relays.
    Relays {
        /// The address that it lent.
        relayed: SocketAddr,
        /// The time from the first packet to the allocation.
        allocated_in: Duration,
        /// The time that the packet took to come back, including the permission for it.
        returned_in: Duration,
    },
    /// It lent an address, but no packet came back.
    Keeps {
        /// The relayed address.
        relayed: SocketAddr,
        /// Whether the server said that this address may not be sent to.
        is_denied: bool,
    },
    /// It lends no address.
    Fails(Failure),
}

#[derive(Debug)]
enum Stage {
    /// An address is asked for.
    Asking,
    /// Packets to itself are under way; `sent` holds when each was sent.
    Relaying {
        relayed: SocketAddr,
        allocated_in: Duration,
        sent: Vec<Instant>,
    },
    /// The address is being given back, until `until` at the latest.
    Done { outcome: Outcome, until: Instant },
}

/// The check of one way to one server. It has one stream at a time, if any.
#[derive(Debug)]
pub struct RelayCheck {
    lease: Lease,
    stage: Stage,
    began: Instant,
    /// Unix time in seconds at the beginning.
    unix: u64,
    streams: u64,
    outputs: VecDeque<Output>,
    random: fastrand::Rng,
}

impl RelayCheck {
    /// Begins the check. `unix` is the Unix time in seconds.
    pub fn begin(now: Instant, unix: u64, plan: Plan, seed: u64) -> Self {
        let mut outputs = VecDeque::new();
        let login = plan.credentials.login(unix);
        let mut check = RelayCheck {
            lease: Lease::begin(now, StreamId(0), plan, login, &mut outputs),
            stage: Stage::Asking,
            began: now,
            unix,
            streams: 0,
            outputs,
            random: fastrand::Rng::with_seed(seed),
        };
        check.settle(now);
        check
    }

    /// Takes a datagram from the server.
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        if let Some(allocation) = self.lease.allocation() {
            allocation.receive(now, bytes);
        }
        self.settle(now);
    }

    /// Notes that the stream is open, as asked for; `local` is our end of it.
    pub fn stream_opened(&mut self, now: Instant, local: SocketAddr) {
        self.lease.stream_opened(now, local);
        self.settle(now);
    }

    /// Takes bytes that came on the stream.
    pub fn stream_received(&mut self, now: Instant, bytes: &[u8]) {
        let received = self.lease.receive_bytes(now, bytes);
        self.settle(now);
        if let Err(failure) = received {
            self.fail(now, failure);
        }
    }

    /// Notes that the stream could not be opened, or has ended; `why` is for a person.
    pub fn stream_closed(&mut self, now: Instant, why: String) {
        self.fail(now, Failure::Connection(why));
    }

    /// Does what is due: packets, and the deadline of the stage.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(allocation) = self.lease.allocation()
            && allocation.next_timeout().is_some_and(|at| at <= now)
        {
            allocation.handle_timeout(now, &mut self.random);
        }
        self.settle(now);
        if self.deadline().is_some_and(|at| at <= now) {
            self.give_up(now);
        } else if self.next_packet().is_some_and(|at| at <= now) {
            self.relay(now);
        }
    }

    /// Returns when [`RelayCheck::handle_timeout`] wants to be called.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        let allocation = self.lease.allocation();
        let allocation = allocation.and_then(|allocation| allocation.next_timeout());
        let packet = self.next_packet();
        let deadline = self.deadline();
        allocation.into_iter().chain(packet).chain(deadline).min()
    }

    /// Returns the next thing to do. To be drained after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the address of the server that is asked at present.
    pub fn server(&self) -> SocketAddr {
        self.lease.plan.destination()
    }

    /// Returns the result; `None` while the check is running.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Done { outcome, .. } => Some(outcome),
            Stage::Asking | Stage::Relaying { .. } => None,
        }
    }

    /// Returns whether there is a result, and nothing is left to do.
    pub fn is_over(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Done { until, .. } => until <= now || self.lease.is_over(now),
            Stage::Asking | Stage::Relaying { .. } => false,
        }
    }

    /// Ends the stage whose deadline has passed.
    fn give_up(&mut self, now: Instant) {
        match self.stage {
            Stage::Asking => self.fail(now, Failure::Silent),
            Stage::Relaying { relayed, .. } => self.keep(now, relayed, false),
            Stage::Done { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let (patience, _) = limits::DOCTOR_RELAY_TIME;
        match &self.stage {
            Stage::Asking => Some(self.began + limits::DOCTOR_SERVER_TIME),
            Stage::Relaying { sent, .. } => sent.first().map(|first| *first + patience),
            Stage::Done { until, .. } => Some(*until),
        }
    }

    fn next_packet(&self) -> Option<Instant> {
        let (_, interval) = limits::DOCTOR_RELAY_TIME;
        match &self.stage {
            Stage::Relaying { sent, .. } => sent.last().map(|last| *last + interval),
            Stage::Asking | Stage::Done { .. } => None,
        }
    }

    /// Handles the events of the lease, and looks for the packet that came back.
    fn settle(&mut self, now: Instant) {
        for turn in self.lease.hand_out(&mut self.outputs) {
            match turn {
                Turn::Ready(relayed) => {
                    self.stage = Stage::Relaying {
                        relayed,
                        allocated_in: now.saturating_duration_since(self.began),
                        sent: Vec::new(),
                    };
                    self.relay(now);
                }
                Turn::Over(failure) => match self.lease.plan.after(&failure) {
                    Some(plan) => self.begin_again(now, plan),
                    None => self.fail(now, failure),
                },
                Turn::LoginRefused | Turn::Silent => {}
            }
        }
        self.take_returned(now);
        if let Stage::Relaying { relayed, .. } = self.stage
            && let Some(allocation) = self.lease.allocation()
            && allocation.denies(now, relayed.ip())
        {
            self.keep(now, relayed, true);
        }
    }

    /// Begins again with another plan, after the server's answer.
    fn begin_again(&mut self, now: Instant, plan: Plan) {
        self.streams += 1;
        let login = plan.credentials.login(self.unix);
        let stream = StreamId(self.streams);
        let lease = Lease::begin(now, stream, plan, login, &mut self.outputs);
        std::mem::replace(&mut self.lease, lease).close(&mut self.outputs);
        self.settle(now);
    }

    /// Sends one more packet to itself.
    fn relay(&mut self, now: Instant) {
        if let Stage::Relaying { relayed, sent, .. } = &mut self.stage {
            let (relayed, packet) = (*relayed, packet(sent.len()));
            sent.push(now);
            if let Some(allocation) = self.lease.allocation() {
                allocation.send(now, relayed, packet.as_bytes());
            }
            self.settle(now);
        }
    }

    fn take_returned(&mut self, now: Instant) {
        let (relayed, kept) = std::mem::take(&mut self.outputs)
            .into_iter()
            .partition::<VecDeque<_>, _>(|output| matches!(output, Output::Relayed { .. }));
        self.outputs = kept;
        let Stage::Relaying {
            relayed: own,
            allocated_in,
            sent,
        } = &self.stage
        else {
            return;
        };
        let returned = relayed.iter().find_map(|output| match output {
            Output::Relayed { bytes, .. } => sent
                .iter()
                .enumerate()
                .find(|(number, _)| packet(*number).as_bytes() == bytes)
                .map(|(_, at)| now.saturating_duration_since(*at)),
            _ => None,
        });
        if let Some(returned_in) = returned {
            let (relayed, allocated_in) = (*own, *allocated_in);
            let outcome = Outcome::Relays {
                relayed,
                allocated_in,
                returned_in,
            };
            self.end(now, outcome);
        }
    }

    fn keep(&mut self, now: Instant, relayed: SocketAddr, is_denied: bool) {
        self.end(now, Outcome::Keeps { relayed, is_denied });
    }

    fn fail(&mut self, now: Instant, failure: Failure) {
        self.end(now, Outcome::Fails(failure));
    }

    /// Sets the result and gives the address back. Does nothing if there is a result already.
    fn end(&mut self, now: Instant, outcome: Outcome) {
        if self.outcome().is_some() {
            return;
        }
        self.stage = Stage::Done {
            outcome,
            until: now + limits::DOCTOR_FAREWELL,
        };
        self.lease.leave(now);
        self.settle(now);
    }
}

/// Returns the payload of a packet, which cannot be taken for STUN.
fn packet(number: usize) -> String {
    format!("chatixia-sidecar doctor {number}")
}
