//! The agent's side: serves one agent at a time, on a Unix socket or on standard input and output.
//!
//! [`bind()`] puts the socket in its place, [`Transport::stdio`] takes standard input and output; [`start`]
//! serves what there is with three kinds of threads:
//!
//! * the *supervisor* accepts connections, refuses a second agent, and alone notices that an agent has
//!   hung up or that the socket file is no longer ours;
//! * an agent's *writer* sends [`Notice::AgentConnected`] first and [`Notice::AgentGone`] last, and writes
//!   those events in between that the event loop could not write at once through its [`Outlet`];
//! * an agent's *reader* turns its lines into requests. It may outlive its agent: commands that a program
//!   wrote before it hung up still count.

mod agent;
mod bind;
mod messages;
mod outlet;
mod probe;
mod reader;
mod rendered;
mod settings;
mod socket_file;
mod supervisor;
mod transport;
mod writer;

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crossbeam_channel::Sender;

pub use crate::mesh::Generation;
use crate::protocol::ipc::Limits;
use crate::runtime::wake::LoopWaker;

pub use bind::{BindError, BoundSocket, Standing, bind, look};
pub use messages::{Notice, RequestBatch, Unsent};
pub use outlet::{HandedOn, Outlet};
pub use probe::{Served, is_served};
pub use transport::Transport;

use messages::LoopLink;
pub use settings::Settings;
use socket_file::SocketFile;
use supervisor::Supervisor;

/// The ways on which agents come to us, and the sizes that their lines are checked against.
#[derive(Debug)]
pub struct Doors {
    /// The agent that is there from the start.
    pub stdio: Option<Transport>,
    /// The socket on which agents come when no other is there.
    pub socket: Option<BoundSocket>,
    /// The limits of their lines.
    pub limits: Limits,
}

/// Serves agents.
///
/// `requests` has to be a small bounded channel, because it is the backpressure on the agent. `notices`
/// may be bounded too: the threads wait for room in it, and the event loop never waits for them without
/// taking what is in there.
pub fn start(
    doors: Doors,
    requests: Sender<RequestBatch>,
    notices: Sender<Notice>,
    waker: LoopWaker,
) -> io::Result<Handle> {
    let (stop, stopped) = UnixStream::pair()?;
    let file = doors.socket.as_ref().map(|socket| Arc::clone(&socket.file));
    let link = LoopLink {
        requests,
        notices,
        waker,
    };
    let mut supervisor = Supervisor::new(doors.limits, doors.socket, stopped, link);
    if let Some(agent) = doors.stdio {
        supervisor.serve(agent)?;
    }
    supervisor.spawn()?;
    Ok(Handle { file, stop })
}

/// Keeps agents served. Dropping it calls [`Handle::shutdown`].
#[derive(Debug)]
pub struct Handle {
    file: Option<Arc<SocketFile>>,
    stop: UnixStream,
}

impl Handle {
    /// Stops accepting and removes the socket file if it is still ours. Of the connected agent's lines,
    /// only those written by now are read; a batch with an `end` follows. It gets events until its
    /// `events` are dropped.
    pub fn shutdown(&self) {
        if let Some(file) = &self.file {
            file.remove();
        }
        if let Err(error) = self.stop.shutdown(Shutdown::Both)
            && error.kind() != io::ErrorKind::NotConnected
        {
            log::debug!("stopping the IPC threads: {error}");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown();
    }
}
