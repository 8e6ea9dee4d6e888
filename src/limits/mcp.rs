//! Limits of the MCP server.

use std::time::Duration;

use super::table::limits;

limits! {
    "the MCP server" as pub(super) MCP;

    /// Longest id of a request, in bytes of its JSON text; a longer one is refused.
    pub const MCP_ID_BYTES: usize = 256;

    /// Messages in one array; an array with more is refused.
    pub const MCP_BATCH: usize = 64;

    /// Calls of tools that may be open at once; a further one fails at once.
    pub const MCP_CALLS: usize = 64;

    /// Bytes of the commands that the sidecar has not answered yet; a call that would need more fails at once.
    pub const MCP_COMMAND_BYTES: usize = 4 * 1024 * 1024;

    /// Subscriptions to the inbox that may be open at once; a further one is refused.
    pub const MCP_SUBSCRIPTIONS: usize = 16;

    /// Bytes of messages in the inbox, `ITEM_COST_BYTES` more for each; then no more are read from the sidecar, where
    /// they wait and slow their senders.
    pub const MCP_INBOX_BYTES: usize = 1024 * 1024;

    /// Bytes in the inbox up to which messages are still read while a call waits for the sidecar's answer, which comes
    /// behind them; then the call fails.
    pub const MCP_INBOX_MOST_BYTES: usize = 2 * 1024 * 1024;

    /// Bytes of peers' words in one result; what is longer comes in parts.
    pub const MCP_RESULT_BYTES: usize = 32 * 1024;

    /// Longest type of a message, in bytes; a longer one is cut.
    pub const MCP_TYPE_BYTES: usize = 256;

    /// Longest type of a message that is told without marks around it, if it has only lower-case letters and `_`; any
    /// other is marked as the peer's words are.
    pub const MCP_PLAIN_TYPE_BYTES: usize = 64;

    /// Messages in one result of `inbox`; further ones come with the next call.
    pub const MCP_RESULT_MESSAGES: usize = 50;

    /// Messages that were shown and can still be replied to; with more the oldest is forgotten.
    pub const MCP_HANDLES: usize = 256;

    /// Bytes of the parts of an answer, as agents that stream send them, that are kept for one question; further parts
    /// are messages of their own.
    pub const MCP_PARTS_BYTES: usize = 256 * 1024;

    /// Longest wait that `ask` and `inbox` can be told; a longer one is refused.
    pub const MCP_LONGEST_WAIT: Duration = Duration::from_secs(3600);

    /// How long a call waits for the sidecar to tell what became of a message; then it fails, and says that it is not
    /// known yet.
    pub const MCP_SEND_TIME: Duration = Duration::from_secs(50);

    /// How long `status` waits for the doctor, which reports within `DOCTOR_TIME`; then it fails.
    pub const MCP_DOCTOR_TIME: Duration = Duration::from_secs(20);

    /// How long calls wait for the registry after the start, as nobody can be reached before; then they are tried
    /// without it.
    pub const MCP_START_TIME: Duration = Duration::from_secs(3);

    /// Time that calls still have, and then the sidecar, once the host has closed the input; then they are left
    /// unanswered. Hosts kill after two seconds.
    pub const MCP_FAREWELL: Duration = Duration::from_millis(800);

    /// Bytes that wait to be read by the host; then nothing more is read from it.
    pub const MCP_OUTPUT_BYTES: usize = 1024 * 1024;

    /// Bytes of findings that the doctor may print; with more it is ended.
    pub const MCP_DOCTOR_BYTES: usize = 256 * 1024;
}

/// How long `ask` waits unless told otherwise: less than the minute after which many hosts give a call up.
pub const MCP_ASK_TIME: Duration = Duration::from_secs(50);

/// How long `list_peers` waits after the registry was reached, while connections are made.
pub const MCP_SETTLING_TIME: Duration = Duration::from_millis(500);

/// Interval at which the host is told that a call still waits.
pub const MCP_PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Least interval at which the host is told of new messages.
pub const MCP_NEWS_INTERVAL: Duration = Duration::from_secs(1);

/// Waits before a sidecar that has ended is started again: the first, and the longest.
pub const MCP_RESTART_WAIT: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(60));

/// How long a sidecar has to run for the next wait to be the first again.
pub const MCP_STEADY_TIME: Duration = Duration::from_secs(60);

/// Bytes in a queue of output that were written, at which the room they have is given back before the rest is written.
pub const MCP_WRITTEN_BYTES: usize = 64 * 1024;
