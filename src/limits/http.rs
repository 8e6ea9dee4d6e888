//! Limits of requests to our own servers, the registry and the metrics.

use std::time::Duration;

use super::table::limits;

limits! {
    "our own HTTP servers" as pub(super) HTTP;

    /// Longest request line and headers, in bytes; more is answered with 431.
    pub const REQUEST_HEAD_BYTES: usize = 16 * 1024;

    /// Most headers of a request; more is answered with 431.
    pub const REQUEST_HEADERS: usize = 64;

    /// Longest request body, in bytes; more is answered with 413.
    pub const REQUEST_BODY_BYTES: usize = 64 * 1024;

    /// Connections to the address of `METRICS` at a time; one more ends the oldest.
    pub const METRICS_CONNECTIONS: usize = 8;

    /// How long a connection to the address of `METRICS` may take to send its request, and then to take the
    /// answer; then it is closed.
    pub const METRICS_TIMEOUT: Duration = Duration::from_secs(3);

    /// How long the event loop may take to give its numbers; then the answer is 503.
    pub const METRICS_ANSWER_TIME: Duration = Duration::from_secs(2);

    /// Largest answer that `top` reads, in bytes; a larger one is an error.
    pub const TOP_ANSWER_BYTES: u64 = 16 * 1024 * 1024;
}

/// Time between two tries to listen on the address of `METRICS`, while another has it.
pub const METRICS_BIND_INTERVAL: Duration = Duration::from_secs(2);

/// Stack of the thread of such a connection, in bytes.
pub const METRICS_STACK_BYTES: usize = 256 * 1024;

/// Time between two looks of `top`.
pub const TOP_INTERVAL: Duration = Duration::from_secs(1);
