//! The agent as the event loop sees it: one connection at a time, its requests and its events.

use std::collections::VecDeque;
use std::time::Instant;

use crossbeam_channel::Receiver;

use crate::limits;
use crate::mesh::Mesh;
use crate::mesh::link::webrtc::WebRtc;
use crate::protocol::ipc::{Rejection, Request};

use super::linger::Linger;
use crate::runtime::ipc::{Generation, HandedOn, Notice, Outlet, RequestBatch};

/// A parsed line of an agent.
pub(crate) struct NextRequest {
    pub(crate) generation: Generation,
    pub(crate) line: Result<Request, Box<Rejection>>,
}

/// The batch of requests that is being handled.
#[derive(Default)]
pub(crate) struct Requests {
    generation: Generation,
    batch: VecDeque<Result<Request, Box<Rejection>>>,
    /// The agent whose last batch has been taken from the channel.
    ended: Option<Generation>,
}

impl Requests {
    /// Returns whether a request can be taken without looking at the channel.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Returns the agent that will ask for nothing more, once its last request has been taken.
    pub(crate) fn ended(&self) -> Option<Generation> {
        self.ended.filter(|_| self.batch.is_empty())
    }

    /// Returns the next request, if there is one.
    pub(crate) fn next(&mut self, batches: &Receiver<RequestBatch>) -> Option<NextRequest> {
        while self.batch.is_empty() {
            let batch = batches.try_recv().ok()?;
            self.generation = batch.generation;
            self.batch = batch.requests.into();
            if batch.end {
                self.ended = Some(batch.generation);
            }
        }
        Some(NextRequest {
            generation: self.generation,
            line: self.batch.pop_front()?,
        })
    }
}

struct Connected {
    generation: Generation,
    outlet: Outlet,
}

/// The connected agent, or the time left for one to come.
pub(crate) struct Agent {
    connected: Option<Connected>,
    /// The last agent that was connected.
    last: Option<Generation>,
    linger: Linger,
}

impl Agent {
    /// Creates the state before the first agent.
    pub(crate) fn new(linger: Linger) -> Self {
        Agent {
            connected: None,
            last: None,
            linger,
        }
    }

    /// Returns the last agent that was connected, gone or not.
    pub(crate) fn last(&self) -> Option<Generation> {
        self.last
    }

    /// Returns how long the sidecar stays without an agent.
    pub(crate) fn linger(&mut self) -> &mut Linger {
        &mut self.linger
    }

    /// Returns when the time without an agent is to be looked at.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.linger.next_timeout()
    }

    pub(crate) fn hear(&mut self, now: Instant, mesh: &mut Mesh<WebRtc>, notice: Notice) {
        match notice {
            Notice::AgentConnected { generation, outlet } => {
                log::info!("an agent is connected");
                self.linger.agent_came();
                self.last = Some(generation);
                self.connected = Some(Connected { generation, outlet });
                mesh.agent_connected(generation);
            }
            Notice::Written { generation, events } => {
                let connected = self.connected.as_mut();
                if let Some(connected) = connected.filter(|agent| agent.generation == generation) {
                    connected.outlet.written(events);
                }
                mesh.events_written(now, generation, events);
            }
            Notice::AgentGone { generation, unsent } => {
                log::info!("the agent has gone");
                // The outlet is dropped first, so that nothing more gets into the channel that `unsent`
                // drains.
                self.connected = None;
                mesh.agent_gone(generation, unsent.collect());
                self.linger.agent_left(now);
            }
            Notice::SocketLost => {}
        }
    }

    /// Hands events on while there is room. Lets an agent go that has `ended` its requests and has all its
    /// answers; if the sidecar ends with it, only when it is known what became of all its messages, because no
    /// other agent could be told. Returns whether the core was told of events that are written, and may have outputs again.
    pub(crate) fn hand_on(
        &mut self,
        now: Instant,
        mesh: &mut Mesh<WebRtc>,
        ended: Option<Generation>,
    ) -> bool {
        let Some(connected) = &mut self.connected else {
            return false;
        };
        let mut has_told = false;
        while !connected.outlet.is_full() {
            let events = mesh.take_events(limits::EVENT_BATCH_BYTES);
            if events.is_empty() {
                break;
            }
            let HandedOn { written, refused } = connected.outlet.hand_on(events);
            if written > 0 {
                mesh.events_written(now, connected.generation, written);
                has_told = true;
            }
            if !refused.is_empty() {
                // There was room and we are the only sender, so the writer has ended. Its last notice
                // is under way, and the events that it brings back go before these.
                mesh.take_back_events(refused);
                break;
            }
        }
        if ended == Some(connected.generation)
            && mesh.agent_is_answered()
            && !(self.linger.is_none() && mesh.has_unsettled())
        {
            self.connected = None;
        }
        has_told
    }

    /// Returns whether an agent is connected that does not have all its answers.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.is_some()
    }
}
