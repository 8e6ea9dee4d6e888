//! Every bound on what a client can make the registry hold or do.
//!
//! What a test or an operator may want otherwise has its default here and its field in
//! [`Options`](super::Options).

use std::time::Duration;

/// Largest WebSocket message taken, in bytes; a longer one closes the socket with code 1009.
pub(super) const FRAME_BYTES: usize = 256 * 1024;

/// Longest `peer_list` sent, in bytes; names that do not fit are left out. Clients bound what they
/// take.
pub(super) const PEER_LIST_BYTES: usize = FRAME_BYTES;

/// What may wait for a client that reads too slowly, in bytes beyond the kernel's own buffer; with
/// more it is closed.
pub(super) const OUT_QUEUE_BYTES: usize = 1024 * 1024;

/// Longest request line and headers, in bytes; more is answered with 431.
pub(super) const REQUEST_HEAD_BYTES: usize = 16 * 1024;

/// Most headers of a request; more is answered with 431.
pub(super) const REQUEST_HEADERS: usize = 64;

/// Longest request body, in bytes; more is answered with 413.
pub(super) const REQUEST_BODY_BYTES: usize = 64 * 1024;

/// Bodies that are on their way, of all connections together, in bytes; beyond it a request whose body has
/// not come with its head is answered with 503.
pub(super) const BODIES_BYTES: usize = 8 * 1024 * 1024;

/// Valid tokens at a time; beyond it the token endpoint answers 503 until some expire.
pub(super) const TOKENS: usize = 64 * 1024;

/// Tasks held, ended ones included; beyond it a new one is answered with 503.
pub(super) const TASKS: usize = 1024;

/// What all tasks may hold together, in bytes; beyond it new ones and results are answered with 503.
pub(super) const TASKS_BYTES: usize = 16 * 1024 * 1024;

/// Tasks of one agent that have not ended; beyond it a new one of that agent is answered with 429. The
/// names of a registry that lets in everybody are what callers say, so it holds nobody to this.
pub(super) const UNDONE_TASKS_PER_SOURCE: usize = 64;

/// One agent's tasks, ended ones included, may take one part in so many of [`TASKS`] and of
/// [`TASKS_BYTES`]; beyond it a new one is answered with 429, a result with 503.
pub(super) const TASK_SHARES: usize = 4;

/// What a task is taken to cost in memory beside its texts, in bytes.
pub(super) const TASK_COST_BYTES: usize = 256;

/// Tasks handed over by one heartbeat; the others wait for the next.
pub(super) const TASKS_PER_HEARTBEAT: usize = 16;

/// How long a task may take, if it does not say so itself.
pub(super) const TASK_TTL: Duration = Duration::from_secs(300);

/// How long a task may take at most.
pub(super) const LONGEST_TASK_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an ended task can be read.
pub(super) const ENDED_TASK_KEPT: Duration = Duration::from_secs(60);

/// Open connections of any kind; beyond it new ones are answered with 503 and closed.
pub(super) const CONNECTIONS: usize = 4096;

/// Bytes read from one connection before the others have their turn.
pub(super) const TURN_BYTES: usize = 64 * 1024;

/// Connections accepted before those that are open have their turn.
pub(super) const ACCEPTS_PER_TURN: usize = 64;

/// Wait after the system refused another connection (out of file descriptors).
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// From the end of what we have to say to a client until it is cut off.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// From a connection's start to the end of its answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a token opens WebSockets.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// From one ping of a WebSocket to the next.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(20);

/// A WebSocket that sent nothing at all for so long, no pong either, is closed.
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// Timers that are due within so long of each other cost one look at the connections.
pub(super) const TIMER_GRAIN: Duration = Duration::from_millis(50);
