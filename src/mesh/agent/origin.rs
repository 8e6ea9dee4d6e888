//! Where a command came from, and so who is told what became of it.

use crate::protocol::ipc::CommandId;

/// Tells one connection of an agent from those before and after it.
pub type Generation = u64;

/// Names a broadcast that is not settled yet.
pub(crate) type BroadcastKey = u64;

/// Who is told what became of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin {
    /// A command; with an id its success is told, its failure always.
    Command {
        /// The agent connection that it came in on.
        generation: Generation,
        /// Its id.
        id: Option<CommandId>,
    },
    /// A broadcast, which is answered when all its peers are settled.
    Broadcast(BroadcastKey),
}
