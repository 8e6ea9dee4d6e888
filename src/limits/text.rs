//! Limits of names, ids, lines and messages.

use super::table::limits;

limits! {
    "names, ids, lines and messages" as pub(super) TEXT;

    /// Longest name of a peer, in bytes; a longer one is not accepted as a name.
    pub const PEER_ID_BYTES: usize = 256;

    /// Longest `"id"` of a command, in bytes of its JSON text; with a longer one the command is rejected.
    pub const COMMAND_ID_BYTES: usize = 256;

    /// Longest `request_id` that an error repeats, in bytes; a longer one is left out.
    pub const REQUEST_ID_BYTES: usize = 1024;

    /// Characters of an outsider's text that an error or a log line quotes; the rest is cut off.
    pub const QUOTED_CHARS: usize = 64;

    /// Room on an IPC line, beside `MAX_MESSAGE_BYTES`, for what surrounds a message (envelope, peer id, command id);
    /// a longer line is skipped and answered with `line_too_long`.
    pub const LINE_OVERHEAD_BYTES: usize = 64 * 1024;

    /// Longest `conn` or `session` id of another sidecar, in bytes; a longer one counts as absent.
    pub const WIRE_ID_BYTES: usize = 64;

    /// Deepest nesting of objects and arrays in a message; a deeper one is refused. Agents' JSON readers have limits
    /// of their own and fail above them, Python's at about 1,000.
    pub const MESSAGE_NESTING: usize = 512;
}

/// Assumed memory cost of an item in a queue (message, event or datagram) beside its own bytes, in bytes.
pub const ITEM_COST_BYTES: usize = 128;
