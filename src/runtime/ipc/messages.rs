//! Messages between the IPC threads and the event loop.

use std::convert::Infallible;

use crossbeam_channel::{Receiver, Sender};

use super::outlet::{Batch, Outlet};
use crate::mesh::Generation;
use crate::protocol::ipc::{Event, Rejection, Request};
use crate::runtime::wake::LoopWaker;

/// Requests of an agent, in the order of its lines. Travels in a small bounded channel: when the event
/// loop does not take it, the reader blocks, and so in the end does the agent.
///
/// Batches of a generation may come after its [`Notice::AgentGone`]; they all come before those of the
/// next generation.
#[derive(Debug)]
pub struct RequestBatch {
    /// The connection that the lines came from.
    pub generation: Generation,
    /// The lines of one read, at most [`crate::limits::IPC_BATCH_REQUESTS`].
    pub requests: Vec<Result<Request, Box<Rejection>>>,
    /// Whether the agent has shut down its sending side (or is gone): nothing follows.
    pub end: bool,
}

/// A message of the IPC threads to the event loop, other than requests.
#[derive(Debug)]
pub enum Notice {
    /// An agent is connected. Events for it go into `outlet`. After the agent has hung up they are no longer
    /// taken out of there; what is in there comes back with [`Notice::AgentGone`].
    AgentConnected {
        /// The number of this connection.
        generation: Generation,
        /// The way of events to it.
        outlet: Outlet,
    },
    /// Further events that the writer was given are now in the agent's socket.
    Written {
        /// The connection.
        generation: Generation,
        /// How many since the last notice.
        events: usize,
    },
    /// The agent has hung up or its socket failed. Sent exactly once for each `AgentConnected`; no
    /// notice of that generation follows.
    AgentGone {
        /// The connection.
        generation: Generation,
        /// The events that are not, or not wholly, in its socket.
        unsent: Unsent,
    },
    /// No agent is connected, and the socket file is gone or is another's. Sent once.
    SocketLost,
}

/// An iterator over the events that an agent that is gone did not get, in order.
///
/// It holds the receiving end of the agent's channel, so that even events sent while the notice is
/// under way are not lost. Iterate when no more is sent.
#[derive(Debug)]
pub struct Unsent {
    pub(super) taken: std::vec::IntoIter<Event>,
    pub(super) queued: Receiver<Batch>,
}

impl Iterator for Unsent {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.taken.next() {
                return Some(event);
            }
            self.taken = self.queued.try_recv().ok()?.events.into_iter();
        }
    }
}

/// The channels to the event loop, for all IPC threads.
#[derive(Debug, Clone)]
pub(super) struct LoopLink {
    pub(super) requests: Sender<RequestBatch>,
    pub(super) notices: Sender<Notice>,
    pub(super) waker: LoopWaker,
}

/// The error that the event loop is no longer there.
#[derive(Debug)]
pub(super) struct LoopEnded;

impl LoopLink {
    /// Sends requests; blocks while the loop takes none.
    pub(super) fn request(&self, batch: RequestBatch) -> Result<(), LoopEnded> {
        self.requests.send(batch).map_err(|_| LoopEnded)?;
        self.waker.wake();
        Ok(())
    }

    /// Sends a notice; blocks while the loop's channel is full.
    pub(super) fn notify(&self, notice: Notice) -> Result<(), LoopEnded> {
        self.notices.send(notice).map_err(|_| LoopEnded)?;
        self.waker.wake();
        Ok(())
    }
}

/// A channel that is disconnected as soon as its thread has ended. Nothing is ever sent on it.
pub(super) type Ended = Receiver<Infallible>;
