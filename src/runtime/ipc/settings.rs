//! Where the IPC socket is, and the deadlines of its threads.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use crate::protocol::ipc::Limits;

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
