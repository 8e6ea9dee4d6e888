//! Every bound on what an outsider can make the sidecar hold or do, in one place.
//!
//! What a user may set (`MAX_PEERS`, `MAX_MESSAGE_BYTES`, `QUEUE_BYTES`, ...) has its default in
//! [`crate::config`]; what is here is fixed.

use std::time::Duration;

/// Longest name of a peer, in bytes.
pub const PEER_ID_BYTES: usize = 256;

/// Longest `"id"` of a command, in bytes of its JSON text.
pub const COMMAND_ID_BYTES: usize = 256;

/// Longest `request_id` that an error repeats, in bytes; a longer one is left out.
pub const REQUEST_ID_BYTES: usize = 1024;

/// Characters of an outsider's text that an error or a log line quotes.
pub const QUOTED_CHARS: usize = 64;

/// Room on an IPC line for what surrounds a message: envelope, peer id, command id.
pub const LINE_OVERHEAD_BYTES: usize = 64 * 1024;

/// Largest signaling frame taken from the registry, in bytes.
pub const SIGNALING_FRAME_BYTES: usize = 256 * 1024;

/// Longest `conn` or `session` id of another sidecar, in bytes.
pub const WIRE_ID_BYTES: usize = 64;

/// Longest candidate line taken from a peer, in bytes.
pub const CANDIDATE_BYTES: usize = 1024;

/// Candidates kept for a connection before its description arrives, and taken for one connection.
pub const CANDIDATES_PER_CONNECTION: usize = 64;

/// Largest control frame on `mesh-control`, in bytes.
pub const CONTROL_FRAME_BYTES: usize = 4 * 1024;

/// Signaling frames under way between the event loop and the signaling thread, each direction.
pub const SIGNALING_QUEUE_FRAMES: usize = 1024;

/// Largest answer of the token endpoint, in bytes.
pub const TOKEN_RESPONSE_BYTES: u64 = 64 * 1024;

/// From a failed try of reaching the registry to the next: first and longest wait.
pub const REGISTRY_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_secs(15));

/// From a lost connection to the next offer: first and longest wait.
pub const OFFER_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(20));

/// Requests in one batch from an agent's reader to the event loop.
pub const IPC_BATCH_REQUESTS: usize = 256;

/// Bytes of lines after which such a batch is full.
pub const IPC_BATCH_BYTES: usize = 256 * 1024;

/// Batches of events under way from the event loop to an agent's writer.
pub const IPC_EVENT_BATCHES: usize = 2;

/// Bytes after which an agent's writer writes what it has rendered.
pub const IPC_WRITE_BYTES: usize = 256 * 1024;

/// A writer's buffer that a large message has made larger than this is made smaller again.
pub const IPC_WRITER_BUFFER_BYTES: usize = 1024 * 1024;

/// Connections on the IPC socket that may wait, beside the agent, for an answer.
pub const IPC_GUESTS: usize = 4;

/// Connections whose agent is gone while its last commands still wait for the event loop. With
/// so many no further agent is accepted until one of them is through.
pub const IPC_DRAINING: usize = 4;

/// How long a second agent waits before it is told `busy`, for the first may be about to go.
pub const IPC_RECONNECT_GRACE: Duration = Duration::from_millis(200);

/// From one look at the socket file to the next, while no agent is connected.
pub const IPC_FILE_CHECK: Duration = Duration::from_millis(250);

/// How long a program that has the IPC socket may take to say what it is.
pub const IPC_PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest first line of such a program, in bytes.
pub const IPC_PROBE_LINE_BYTES: usize = 8 * 1024;

/// How long sidecars that start on the same socket at the same moment wait for each other.
pub const IPC_START_LOCK_WAIT: Duration = Duration::from_secs(2);
