//! The origin of a command, which decides who is told what became of it.

use crate::protocol::ipc::CommandId;

/// The number of one connection of an agent, which tells it from those before and after it.
pub type Generation = u64;

/// The key of a broadcast that is not settled yet.
pub(crate) type BroadcastKey = u64;

/// The origin of a message or command: who is told what became of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin {
    /// A command. With an id its success is told; its failure is told in any case.
    Command {
        /// The agent connection that it came in on.
        generation: Generation,
        /// Its id.
        id: Option<CommandId>,
    },
    /// A broadcast, which is answered when all its peers are settled.
    Broadcast(BroadcastKey),
}
