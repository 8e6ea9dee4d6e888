//! The agent's side: a Unix socket, one agent at a time, a reader and a writer thread for it.

use crossbeam_channel::Sender;

use crate::protocol::ipc::{Event, Rejection, Request};

/// Tells one connection of an agent from those before and after it.
pub type Generation = u64;

/// What an agent asked for, in the order of its lines. Travels in a small bounded channel: when the
/// event loop does not take it, the reader blocks, and so in the end does the agent.
#[derive(Debug)]
pub struct RequestBatch {
    /// Whose lines these were.
    pub generation: Generation,
    /// The lines of one read.
    pub requests: Vec<Result<Request, Box<Rejection>>>,
    /// The agent has shut down its sending side (or is gone): nothing follows.
    pub end: bool,
}

/// What the IPC threads tell the event loop beside requests.
#[derive(Debug)]
pub enum Notice {
    /// An agent is connected. Events for it go into `events`; dropping that closes its connection
    /// once everything in it has been written.
    AgentConnected {
        /// Names this connection.
        generation: Generation,
        /// Batches of events, written in order. Bounded: at most two batches under way.
        events: Sender<Vec<Event>>,
    },
    /// So many further events are now in the agent's socket.
    Written {
        /// To whom.
        generation: Generation,
        /// How many since the last notice.
        events: usize,
    },
    /// The agent has hung up or its socket failed.
    AgentGone {
        /// Who.
        generation: Generation,
        /// What was given for it and is not, or not wholly, in its socket, in order.
        unsent: Vec<Event>,
    },
    /// No agent is connected, and the socket file is gone or is another's.
    SocketLost,
}
