//! The agent's side: a Unix socket, one agent at a time.
//!
//! [`bind()`] puts the socket in its place, [`start`] serves it with three kinds of threads:
//!
//! * the *supervisor* accepts, refuses a second agent, and alone notices that an agent has hung up
//!   or that the socket file is no longer ours;
//! * an agent's *writer* brackets its time with [`Notice::AgentConnected`] and
//!   [`Notice::AgentGone`] and writes its events;
//! * an agent's *reader* turns its lines into requests. It may outlive its agent: what a program
//!   wrote before it hung up still counts.

mod agent;
mod bind;
mod probe;
mod reader;
mod socket_file;
mod supervisor;
mod writer;

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::limits;
use crate::protocol::ipc::{Event, Limits, Rejection, Request};
use crate::runtime::wake::LoopWaker;

pub use bind::{BindError, BoundSocket, Standing, bind, look};
pub use probe::{Served, is_served};

use socket_file::SocketFile;
use supervisor::Supervisor;

pub use crate::mesh::Generation;

/// What an agent asked for, in the order of its lines. Travels in a small bounded channel: when the
/// event loop does not take it, the reader blocks, and so in the end does the agent.
///
/// Batches of a generation may come after its [`Notice::AgentGone`]; they all come before those of
/// the next generation.
#[derive(Debug)]
pub struct RequestBatch {
    /// Whose lines these were.
    pub generation: Generation,
    /// The lines of one read, at most [`limits::IPC_BATCH_REQUESTS`].
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
        /// Batches of events, written in order. Bounded: at most [`limits::IPC_EVENT_BATCHES`]
        /// under way, so use `try_send`. After the agent has hung up they are no longer taken out:
        /// what is in there comes back with [`Notice::AgentGone`].
        events: Sender<Vec<Event>>,
    },
    /// So many further events are now in the agent's socket.
    Written {
        /// To whom.
        generation: Generation,
        /// How many since the last notice.
        events: usize,
    },
    /// The agent has hung up or its socket failed. Said exactly once for each `AgentConnected`;
    /// no notice of that generation follows.
    AgentGone {
        /// Who.
        generation: Generation,
        /// What was given for it and is not, or not wholly, in its socket.
        unsent: Unsent,
    },
    /// No agent is connected, and the socket file is gone or is another's. Said once.
    SocketLost,
}

/// Iterates over the events that an agent that is gone has not got, in order.
///
/// It holds the receiving end of the agent's channel, so that even what is sent while the notice is
/// under way is not lost. Iterate when no more is sent.
#[derive(Debug)]
pub struct Unsent {
    taken: std::vec::IntoIter<Event>,
    queued: Receiver<Vec<Event>>,
}

impl Iterator for Unsent {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.taken.next() {
                return Some(event);
            }
            self.taken = self.queued.try_recv().ok()?.into_iter();
        }
    }
}

/// Where to listen, and how patiently.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The path of the socket. Its directory has to exist and is left as it is.
    pub socket: PathBuf,
    /// Sizes that an agent's lines are checked against.
    pub limits: Limits,
    /// From one look at the socket file to the next, while no agent is connected.
    pub file_check: Duration,
    /// How long a second agent waits before it is told `busy`.
    pub reconnect_grace: Duration,
    /// How long a program that has the socket already may take to say what it is.
    pub probe_timeout: Duration,
}

impl Settings {
    /// The usual timing.
    pub fn new(socket: PathBuf, limits: Limits) -> Self {
        Settings {
            socket,
            limits,
            file_check: limits::IPC_FILE_CHECK,
            reconnect_grace: limits::IPC_RECONNECT_GRACE,
            probe_timeout: limits::IPC_PROBE_TIMEOUT,
        }
    }
}

/// The way to the event loop, for all IPC threads.
#[derive(Debug, Clone)]
struct LoopLink {
    requests: Sender<RequestBatch>,
    notices: Sender<Notice>,
    waker: LoopWaker,
}

/// The event loop is no longer there.
#[derive(Debug)]
struct LoopEnded;

impl LoopLink {
    /// Hands over requests; blocks while the loop takes none.
    fn request(&self, batch: RequestBatch) -> Result<(), LoopEnded> {
        self.requests.send(batch).map_err(|_| LoopEnded)?;
        self.waker.wake();
        Ok(())
    }

    /// Tells the loop; blocks while its channel is full.
    fn notify(&self, notice: Notice) -> Result<(), LoopEnded> {
        self.notices.send(notice).map_err(|_| LoopEnded)?;
        self.waker.wake();
        Ok(())
    }
}

/// Serves agents on a bound socket.
///
/// `requests` has to be a small bounded channel: it is the backpressure on the agent. `notices` may
/// be bounded too: the threads wait for room in it, and the event loop never waits for them without
/// taking what is in there.
pub fn start(
    bound: BoundSocket,
    requests: Sender<RequestBatch>,
    notices: Sender<Notice>,
    waker: LoopWaker,
) -> io::Result<Handle> {
    let (stop, stopped) = UnixStream::pair()?;
    let file = Arc::new(bound.file);
    let link = LoopLink {
        requests,
        notices,
        waker,
    };
    Supervisor::new(
        bound.settings,
        bound.listener,
        Arc::clone(&file),
        stopped,
        link,
    )
    .spawn()?;
    Ok(Handle { file, stop })
}

/// Keeps the socket served; dropping it is a [`Handle::shutdown`].
#[derive(Debug)]
pub struct Handle {
    file: Arc<SocketFile>,
    stop: UnixStream,
}

impl Handle {
    /// Stops accepting and removes the socket file if it is still ours. Of the agent that is connected
    /// no more is read than it has written until now, and a batch with an `end` follows; events it
    /// gets until its `events` are dropped.
    pub fn shutdown(&self) {
        self.file.remove();
        if let Err(error) = self.stop.shutdown(Shutdown::Both)
            && error.kind() != io::ErrorKind::NotConnected
        {
            log::debug!("stopping the IPC socket: {error}");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown();
    }
}
