//! The check of the agent's socket: whether a sidecar can have it.

use super::report::{Check, Finding};
use crate::config::Config;
use crate::limits;
use crate::protocol::ipc::Limits;
use crate::runtime;
use crate::runtime::ipc::{self, BindError, Standing};

/// Returns the finding, and whether a sidecar runs on the socket already.
pub(super) fn check(config: &Config) -> (Finding, bool) {
    let line_limits = Limits {
        message_bytes: config.max_message_bytes,
        line_bytes: config.max_message_bytes + limits::LINE_OVERHEAD_BYTES,
    };
    let settings = ipc::Settings::new(config.ipc_socket.clone(), line_limits)
        .with_access(runtime::access(config));
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
            Finding::ok(Check::Socket, words).about(config.ipc_socket.display())
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
