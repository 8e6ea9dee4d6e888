//! One way to one TURN server in use: its attempt at an allocation and the allocation that comes of it,
//! over the socket or stream that its plan names.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::allocation::{Allocation, News};
use super::client::Terms;
use super::framing;
use super::framing::Framing;
use super::plan::Plan;
use crate::limits;
use crate::nat::credentials::Login;
use crate::nat::failure::Failure;
use crate::nat::output::{Output, StreamId};
use crate::nat::stun::message;
use crate::nat::url::Transport;

/// The role of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An attempt, which ends at `until`.
    Attempt { until: Instant },
    /// In use: new connections use it.
    Current,
    /// Replaced: it serves the connections that still use it.
    Replaced,
    /// Replaced by one that takes a better way: peers are not told of it any more, and it ends in the
    /// first pause of the connections that use it, so that they move on.
    Outdone,
    /// Being given back, until `until` at the latest.
    Leaving { until: Instant },
}

/// An event of a lease.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The lease has this relayed address.
    Ready(SocketAddr),
    /// The lease has no relayed address, or none any more.
    Over(Failure),
    /// The server no longer accepts its login. The lease serves on for a while.
    LoginRefused,
    /// The server has fallen silent. It may be heard again.
    Silent,
}

#[derive(Debug)]
enum Path {
    /// UDP datagrams from this socket.
    Datagrams(SocketAddr),
    /// A stream, with the bytes that came and are not yet a whole message.
    Stream(Framing),
}

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) plan: Plan,
    pub(crate) role: Role,
    pub(crate) login: Login,
    id: StreamId,
    path: Path,
    allocation: Option<Allocation>,
    /// The relayed address, once there was one. It stays known after the allocation has ended.
    relayed: Option<SocketAddr>,
    /// Whether the server no longer accepts the login.
    is_refused: bool,
}

impl Lease {
    /// Begins an attempt.
    pub(crate) fn begin(
        now: Instant,
        id: StreamId,
        plan: Plan,
        login: Login,
        outputs: &mut VecDeque<Output>,
    ) -> Self {
        let path = match plan.local {
            Some(local) => Path::Datagrams(local),
            None => Path::Stream(Framing::default()),
        };
        let mut lease = Lease {
            role: Role::Attempt {
                until: now + limits::TURN_ATTEMPT_TIMEOUT,
            },
            login,
            id,
            path,
            allocation: None,
            relayed: None,
            is_refused: false,
            plan,
        };
        match lease.path {
            Path::Datagrams(local) => lease.ask(now, local),
            Path::Stream(_) => {
                outputs.push_back(Output::OpenStream {
                    stream: id,
                    server: lease.plan.destination(),
                    target: lease.plan.target(),
                    tls: (lease.plan.transport == Transport::Tls)
                        .then(|| lease.plan.url.host.to_string()),
                });
            }
        }
        lease
    }

    fn ask(&mut self, now: Instant, local: SocketAddr) {
        let terms = Terms {
            local,
            server: self.plan.destination(),
            ipv6: self.plan.ipv6,
            is_lossy: !self.is_on_stream(),
        };
        self.allocation = Some(Allocation::ask(now, terms, &self.login));
    }

    /// Asks for the allocation, now that the stream is open.
    pub(crate) fn stream_opened(&mut self, now: Instant, local: SocketAddr) {
        if self.is_on_stream() && self.allocation.is_none() {
            self.ask(now, local);
        }
    }

    /// Takes bytes that came on its stream.
    pub(crate) fn receive_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Failure> {
        let (Path::Stream(framing), Some(allocation)) = (&mut self.path, &mut self.allocation)
        else {
            return Ok(());
        };
        framing.push(bytes);
        loop {
            match framing.next() {
                Ok(Some(message)) => {
                    allocation.receive(now, message);
                }
                Ok(None) => return Ok(()),
                Err(framing::NotTurn) => return Err(Failure::Unusable),
            }
        }
    }

    /// Returns whether datagrams between these two addresses belong to it.
    pub(crate) fn is_between(&self, local: SocketAddr, server: SocketAddr) -> bool {
        self.plan.local == Some(local) && self.plan.destination() == server
    }

    /// Returns whether it uses a stream.
    pub(crate) fn is_on_stream(&self) -> bool {
        matches!(self.path, Path::Stream(_))
    }

    pub(crate) fn allocation(&mut self) -> Option<&mut Allocation> {
        self.allocation.as_mut()
    }

    /// Returns the relayed address, if packets pass through it, and our address towards the server.
    pub(crate) fn address(&self) -> Option<(SocketAddr, SocketAddr)> {
        let allocation = self.allocation.as_ref()?;
        Some((allocation.relayed()?, allocation.base()))
    }

    /// Returns the relayed address, once there was one.
    pub(crate) fn relayed(&self) -> Option<SocketAddr> {
        self.relayed
    }

    /// Returns whether the server no longer accepts its login.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Returns whether something better should be looked for.
    pub(crate) fn is_wanting(&self) -> bool {
        self.is_refused || self.allocation.as_ref().is_some_and(Allocation::is_wanting)
    }

    /// Returns when it should be replaced in any case.
    pub(crate) fn replace_at(&self) -> Option<Instant> {
        let foreseen = self.allocation.as_ref()?.foreseen()?;
        Some(foreseen.replace_at)
    }

    /// Returns when a replaced lease is given back: when nobody has used it for a while, or before its
    /// allocation would end anyhow; `None` if at once.
    pub(crate) fn leave_at(&self) -> Option<Instant> {
        let allocation = self.allocation.as_ref()?;
        let foreseen = allocation.foreseen().map(|foreseen| foreseen.leave_at);
        let idle = match (self.role, allocation.carried()) {
            (Role::Outdone, None) => return None,
            (Role::Outdone, Some(carried)) => carried + limits::TURN_OUTDONE_IDLE,
            (_, Some(carried)) => carried + limits::TURN_IDLE,
            (_, None) => allocation.began() + limits::TURN_IDLE,
        };
        foreseen.into_iter().chain([idle]).min()
    }

    /// Gives the allocation back.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.role = Role::Leaving {
            until: now + limits::TURN_FAREWELL,
        };
        if let Some(allocation) = &mut self.allocation {
            allocation.leave(now);
        }
    }

    /// Returns whether it has been given back, or has had enough time for that.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        match self.role {
            Role::Leaving { until } => {
                until <= now || self.allocation.as_ref().is_none_or(Allocation::is_over)
            }
            Role::Attempt { .. } | Role::Current | Role::Replaced | Role::Outdone => false,
        }
    }

    /// Returns whether it was replaced by another.
    pub(crate) fn is_replaced(&self) -> bool {
        matches!(self.role, Role::Replaced | Role::Outdone)
    }

    /// Returns whether it is in use, or was replaced.
    pub(crate) fn is_lent(&self) -> bool {
        self.is_replaced() || self.role == Role::Current
    }

    /// Returns when it wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let of_role = match self.role {
            Role::Attempt { until } | Role::Leaving { until } => Some(until),
            Role::Current => None,
            Role::Replaced | Role::Outdone => self.leave_at(),
        };
        let of_allocation = self.allocation.as_ref().and_then(Allocation::next_timeout);
        of_role.into_iter().chain(of_allocation).min()
    }

    /// Moves packets to send and to deliver to `outputs`, and returns the other events.
    pub(crate) fn hand_out(&mut self, outputs: &mut VecDeque<Output>) -> Vec<Turn> {
        let Some(allocation) = &mut self.allocation else {
            return Vec::new();
        };
        while let Some(mut bytes) = allocation.poll_packet() {
            outputs.push_back(match self.path {
                Path::Datagrams(source) => Output::Transmit {
                    source,
                    destination: self.plan.destination(),
                    bytes,
                },
                Path::Stream(_) => {
                    framing::pad(&mut bytes);
                    Output::Write {
                        stream: self.id,
                        may_be_lost: message::asked(&bytes).is_none(),
                        bytes,
                    }
                }
            });
        }
        let mut turns = Vec::new();
        while let Some(news) = allocation.poll_news() {
            match (news, self.relayed) {
                (News::Packet(source, bytes), Some(destination)) => {
                    outputs.push_back(Output::Relayed {
                        destination,
                        source,
                        bytes,
                    });
                }
                (News::Packet(..), None) => {}
                (News::Ready(relayed), _) => {
                    self.relayed = Some(relayed);
                    turns.push(Turn::Ready(relayed));
                }
                (News::LoginRefused, _) => {
                    if !std::mem::replace(&mut self.is_refused, true) {
                        turns.push(Turn::LoginRefused);
                    }
                }
                (News::Silent, _) => turns.push(Turn::Silent),
                (News::Over(failure), _) => turns.push(Turn::Over(failure)),
            }
        }
        turns
    }

    /// Closes the stream that it used, if any.
    pub(crate) fn close(self, outputs: &mut VecDeque<Output>) {
        if self.is_on_stream() {
            outputs.push_back(Output::CloseStream(self.id));
        }
    }
}
