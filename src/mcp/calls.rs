//! Calls of tools, and what each waits for.

use std::time::{Duration, Instant};

use super::Asked;
use super::asking::Question;
use super::tool::Tool;
use crate::protocol::json_rpc::Id;

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) asked: Asked,
    pub(super) tool: Tool,
    pub(super) work: Work,
    pub(super) began: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) progress: Option<Progress>,
    /// Bytes of its command, until the sidecar has answered that.
    pub(super) command_bytes: usize,
}

/// What a call waits for.
#[derive(Debug)]
pub(super) enum Work {
    /// The registry, just after the start. Holds the arguments.
    Start(String),
    /// The sidecar's statistics.
    Statistics,
    /// What becomes of a message to this peer; with the handle that it replies to.
    Receipt {
        peer: String,
        reply_to: Option<String>,
    },
    /// What becomes of a message to all.
    Receipts,
    /// An answer of a peer.
    Answer(Question),
    /// A message.
    Message,
    /// The doctor.
    Doctor,
}

/// How a host is told that a call goes on.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) token: Id,
    pub(super) next: Instant,
    pub(super) last: f64,
}

/// The end of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A text, and the members of the structured result.
    Done(String, String),
    /// What went wrong, for the model.
    Failed(String),
}

impl Call {
    /// Returns whether what it waits for comes from the sidecar.
    pub(super) fn waits_for_sidecar(&self) -> bool {
        match self.work {
            Work::Statistics | Work::Receipt { .. } | Work::Receipts | Work::Answer(_) => true,
            Work::Start(_) | Work::Message | Work::Doctor => false,
        }
    }
}

/// Returns a wait in words.
pub(super) fn seconds(wait: Duration) -> String {
    let seconds = wait.as_secs_f64();
    if seconds < 1.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}
