//! Limits of the agent's socket, or of standard input and output in its place.

use std::time::Duration;

use super::table::limits;

limits! {
    "the agent's socket" as pub(super) AGENT_LINK;

    /// Longest line that `attach` takes from the keyboard or the sidecar; a longer one is skipped.
    pub const ATTACH_LINE_BYTES: usize = 64 * 1024 * 1024;

    /// Requests in one batch from an agent's reader to the event loop; further ones come with the next.
    pub const IPC_BATCH_REQUESTS: usize = 256;

    /// Bytes of lines in one batch of requests; further ones come with the next.
    pub const IPC_BATCH_BYTES: usize = 256 * 1024;

    /// Batches of events queued from the event loop to an agent's writer; at this many the core keeps what follows,
    /// and its own limits hold.
    pub const IPC_EVENT_BATCHES: usize = 2;

    /// Notices queued from the IPC threads to the event loop; at this many these threads wait. The loop never waits
    /// for one of them.
    pub const IPC_NOTICES: usize = 64;

    /// Rendered bytes that an agent's writer collects; at this many it writes them out.
    pub const IPC_WRITE_BYTES: usize = 256 * 1024;

    /// Size up to which a writer's buffer is kept, grown by a large message; a larger one is shrunk again.
    pub const IPC_WRITER_BUFFER_BYTES: usize = 1024 * 1024;

    /// Connections on the IPC socket, beside the agent's, that may wait for an answer; a further one is told `busy`
    /// at once.
    pub const IPC_GUESTS: usize = 4;

    /// Users whose processes are refused on the IPC socket that it is warned of, of each once; of further ones nothing
    /// is said.
    pub const REFUSED_USERS: usize = 64;

    /// Connections whose agent is gone while its last commands still wait for the event loop; at this many no further
    /// agent is accepted until one of them is through.
    pub const IPC_DRAINING: usize = 4;

    /// Length of the IPC socket's queue of connections that are not accepted yet; more wait in `connect`.
    pub const IPC_BACKLOG: i32 = 64;

    /// Tries at binding the socket's path when someone else changes it at the same moment; then the sidecar ends with
    /// code 4.
    pub const IPC_BIND_ATTEMPTS: usize = 16;

    /// Time in which a sidecar that wants to take over the IPC socket has to do so; then it is no guest any more.
    pub const IPC_TAKEOVER_TIME: Duration = Duration::from_secs(2);

    /// How long a program that holds the IPC socket may take to say what it is; then it counts as a foreign one.
    pub const IPC_PROBE_TIMEOUT: Duration = Duration::from_secs(1);

    /// Longest first line of a program that holds the IPC socket, in bytes; with a longer one it counts as a foreign
    /// one.
    pub const IPC_PROBE_LINE_BYTES: usize = 8 * 1024;

    /// Time that sidecars which start on the same socket at the same moment wait for each other; then they go on. The
    /// wait is short because anybody who can read the directory could hold the lock, and a signal is not heard
    /// meanwhile.
    pub const IPC_START_LOCK_WAIT: Duration = Duration::from_millis(500);

    /// Batches of requests queued from the agent's reader to the event loop; at this many the reader waits.
    pub const REQUEST_BATCHES: usize = 2;
}

/// Bytes of events that the event loop writes to the agent itself. Copying more takes longer than waking the
/// writer.
pub const IPC_DIRECT_BYTES: usize = 16 * 1024;

/// Interval at which a writer tries whether the agent's socket has room, beside being told. Linux tells it only when
/// three quarters of the socket's buffer are free, which takes an agent that reads 8 KB/s some 20 s. By then its
/// peers would count it as stalled.
pub const IPC_ROOM_CHECK: Duration = Duration::from_millis(250);

/// How long a second agent waits before it is told `busy`: the first may be about to go.
pub const IPC_RECONNECT_GRACE: Duration = Duration::from_millis(200);

/// Interval at which the socket file is checked while no agent is connected.
pub const IPC_FILE_CHECK: Duration = Duration::from_millis(250);

/// Interval at which the socket file is checked while an agent is connected.
pub const IPC_SERVED_FILE_CHECK: Duration = Duration::from_secs(5);

/// How long no connection is accepted on the IPC socket after accepting has failed, as it does when the process has
/// no file descriptors left.
pub const IPC_ACCEPT_PAUSE: Duration = Duration::from_millis(250);
