//! The agent as the event loop sees it: one connection at a time, its requests and its events.

use std::collections::VecDeque;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use crate::limits;
use crate::mesh::Mesh;
use crate::mesh::link::webrtc::WebRtc;
use crate::protocol::ipc::{Event, Rejection, Request};

use super::linger::Linger;
use crate::runtime::ipc::{Generation, Notice, RequestBatch};

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
    events: Sender<Vec<Event>>,
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
            Notice::AgentConnected { generation, events } => {
                log::info!("an agent is connected");
                self.linger.agent_came();
                self.last = Some(generation);
                self.connected = Some(Connected { generation, events });
                mesh.agent_connected(generation);
            }
            Notice::Written { generation, events } => {
                mesh.events_written(now, generation, events);
            }
            Notice::AgentGone { generation, unsent } => {
                log::info!("the agent has gone");
                // The sender is dropped first, so that nothing more gets into the channel that `unsent`
                // drains.
                self.connected = None;
                mesh.agent_gone(generation, unsent.collect());
                self.linger.agent_left(now);
            }
            Notice::SocketLost => {}
        }
    }

    /// Hands events to the writer while it has room. Lets an agent go that has `ended` its requests and
    /// has all its answers.
    pub(crate) fn hand_on(&mut self, mesh: &mut Mesh<WebRtc>, ended: Option<Generation>) {
        let Some(connected) = &self.connected else {
            return;
        };
        while !connected.events.is_full() {
            let events = mesh.take_events(limits::EVENT_BATCH_BYTES);
            if events.is_empty() {
                break;
            }
            if let Err(refused) = connected.events.try_send(events) {
                // There was room and we are the only sender, so the writer has ended. Its last notice
                // is under way, and the events that it brings back go before these.
                mesh.take_back_events(refused.into_inner());
                break;
            }
        }
        if ended == Some(connected.generation) && mesh.agent_is_answered() {
            self.connected = None;
        }
    }

    /// Returns whether an agent is connected that does not have all its answers.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.is_some()
    }
}
