//! The settings of the IPC socket: its path, and the deadlines of its threads.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits;

/// The path of the socket, and the deadlines.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The path of the socket. Its directory has to exist and is left as it is.
    pub socket: PathBuf,
    /// The time from one check of the socket file to the next, while no agent is connected.
    pub file_check: Duration,
    /// The same while an agent is connected.
    pub served_file_check: Duration,
    /// How long a second agent waits before it is told `busy`.
    pub reconnect_grace: Duration,
    /// How long a program that already has the socket may take to say what it is.
    pub probe_timeout: Duration,
}

impl Settings {
    /// Creates settings with the usual deadlines.
    pub fn new(socket: PathBuf) -> Self {
        Settings {
            socket,
            file_check: limits::IPC_FILE_CHECK,
            served_file_check: limits::IPC_SERVED_FILE_CHECK,
            reconnect_grace: limits::IPC_RECONNECT_GRACE,
            probe_timeout: limits::IPC_PROBE_TIMEOUT,
        }
    }
}
