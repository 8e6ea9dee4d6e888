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

/// Warnings about unusable signaling frames: so many in each window, the others are counted.
pub const BAD_FRAME_WARNINGS: (u32, Duration) = (3, Duration::from_secs(1));

/// Largest answer of the token endpoint, in bytes.
pub const TOKEN_RESPONSE_BYTES: u64 = 64 * 1024;

/// From a failed try of reaching the registry to the next: first and longest wait.
pub const REGISTRY_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_secs(15));

/// From a lost connection to the next offer: first and longest wait.
pub const OFFER_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(20));
