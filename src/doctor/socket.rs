//! The check of the agent's socket: whether a sidecar can have it.

use std::path::Path;

use super::report::{Check, Finding};
use crate::runtime::ipc::{self, BindError, Standing};

/// Returns the finding, and whether a sidecar runs on the socket already.
pub(super) fn check(socket: Option<&Path>) -> (Finding, bool) {
    let Some(socket) = socket else {
        let words = "none is needed: the agent is on standard input and output";
        return (Finding::ok(Check::Socket, words), false);
    };
    let settings = ipc::Settings::new(socket.to_owned());
    let found = ipc::look(&settings);
    let is_live = matches!(
        found,
        Ok(Standing::Idle) | Err(BindError::AgentConnected(_))
    );
    let finding = match found {
        Ok(standing) => {
            let words = match standing {
                Standing::Free => "can be made",
                Standing::Stale => "a socket that nobody listens on is there; it will be replaced",
                Standing::Idle => "a sidecar without an agent has it; a new one takes its place",
            };
            Finding::ok(Check::Socket, words).about(socket.display())
        }
        Err(error @ BindError::AgentConnected(_)) => {
            Finding::warn(Check::Socket, error.to_string())
        }
        Err(error @ BindError::System(..)) => Finding::fail(Check::Socket, error.to_string())
            .advice("set IPC_SOCKET to a path in a directory that this user may write to"),
        Err(error) => Finding::fail(Check::Socket, error.to_string()),
    };
    (finding, is_live)
}
