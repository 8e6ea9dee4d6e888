//! Limits on what a client can make the registry hold or do, all of them.
//!
//! Those that a test or an operator may want to change have their defaults here and their fields in
//! [`Options`](super::Options).

use std::time::Duration;

/// Largest WebSocket message taken, in bytes; a longer one closes the socket with code 1009.
pub(super) const FRAME_BYTES: usize = 256 * 1024;

/// Longest `peer_list` sent, in bytes; names that do not fit are left out. It is limited because clients
/// limit what they take.
pub(super) const PEER_LIST_BYTES: usize = FRAME_BYTES;

/// Bytes that may wait for a client that reads too slowly, beyond the kernel's own buffer; with more its
/// connection is closed.
pub(super) const OUT_QUEUE_BYTES: usize = 1024 * 1024;

/// Longest request line and headers, in bytes; more is answered with 431.
pub(super) const REQUEST_HEAD_BYTES: usize = 16 * 1024;

/// Most headers of a request; more is answered with 431.
pub(super) const REQUEST_HEADERS: usize = 64;

/// Longest request body, in bytes; more is answered with 413.
pub(super) const REQUEST_BODY_BYTES: usize = 64 * 1024;

/// Bytes of all bodies that are on their way, of all connections together. Beyond it a request whose body
/// has not come with its head is answered with 503.
pub(super) const BODIES_BYTES: usize = 8 * 1024 * 1024;

/// Valid tokens at a time; at this many the token endpoint answers 503 until some expire.
pub(super) const TOKENS: usize = 64 * 1024;

/// Tasks held, ended ones included; at this many a new one is answered with 503.
pub(super) const TASKS: usize = 1024;

/// Bytes that all tasks may hold together; beyond it new ones and results are answered with 503.
pub(super) const TASKS_BYTES: usize = 16 * 1024 * 1024;

/// Tasks of one agent that have not ended; at this many a new one of that agent is answered with 429. A
/// registry that lets in everybody believes the names that callers give, so there this limits nobody.
pub(super) const UNDONE_TASKS_PER_SOURCE: usize = 64;

/// Number of shares that [`TASKS`] and [`TASKS_BYTES`] are divided into; one agent's tasks, ended ones
/// included, may take one share. Beyond it a new task is answered with 429, a result with 503.
pub(super) const TASK_SHARES: usize = 4;

/// Assumed memory cost of a task beside its texts, in bytes.
pub(super) const TASK_COST_BYTES: usize = 256;

/// Tasks handed over in answer to one heartbeat; the others wait for the next.
pub(super) const TASKS_PER_HEARTBEAT: usize = 16;

/// Time to live of a task that names none.
pub(super) const TASK_TTL: Duration = Duration::from_secs(300);

/// Longest time to live of a task; a longer one is answered with 400.
pub(super) const LONGEST_TASK_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an ended task can be read; then it is forgotten.
pub(super) const ENDED_TASK_KEPT: Duration = Duration::from_secs(60);

/// Open connections of any kind; at this many a new one is answered with 503 and closed.
pub(super) const CONNECTIONS: usize = 4096;

/// Bytes read from one connection before the others have their turn.
pub(super) const TURN_BYTES: usize = 64 * 1024;

/// Connections accepted before those that are open have their turn.
pub(super) const ACCEPTS_PER_TURN: usize = 64;

/// Pause before accepting again after the system refused another connection (out of file descriptors).
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How long a client may stay connected after our last word to it; then it is cut off.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// How long a request may take from the connection's start, and then its answer; then the connection ends.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a token can open WebSockets.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Time between two pings of a WebSocket.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long a WebSocket may be silent, pongs included; then it is closed.
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// Timers due within this time of each other are handled in one look at the connections.
pub(super) const TIMER_GRAIN: Duration = Duration::from_millis(50);
