//! Limits on what a client can make the registry hold or do, all of them.
//!
//! Those that a test or an operator may want to change have their defaults here and their fields in
//! [`Options`](super::Options).

// Named, because the fuzz targets include this file from elsewhere.
#[path = "limits/shared.rs"]
pub(in crate::registry) mod shared;

use std::time::Duration;

#[cfg(test)]
pub(in crate::registry) use crate::limits::REQUEST_BODY_BYTES;
use crate::limits::table::{Table, limits};

/// The limits that are declared here and below, one table a matter.
pub const TABLES: &[Table] = &[TABLE, shared::TABLE];

limits! {
    "the registry" as TABLE;

    /// Largest WebSocket message taken, in bytes; a longer one closes the socket with code 1009.
    pub(in crate::registry) const FRAME_BYTES: usize = 256 * 1024;

    /// Longest `peer_list` sent, in bytes; names that do not fit are left out. It is limited because clients limit
    /// what they take.
    pub(in crate::registry) const PEER_LIST_BYTES: usize = FRAME_BYTES;

    /// Bytes that may wait for a client that reads too slowly, beyond the kernel's own buffer; with more its
    /// connection is closed.
    pub(in crate::registry) const OUT_QUEUE_BYTES: usize = 1024 * 1024;

    /// Bytes of all bodies that are on their way or wait for the store, of all connections together; beyond it a request
    /// whose body has not come with its head, or needs the store, is answered with 503.
    pub(in crate::registry) const BODIES_BYTES: usize = 8 * 1024 * 1024;

    /// Valid tokens at a time; at this many the token endpoint answers 503 until some expire.
    pub(in crate::registry) const TOKENS: usize = 64 * 1024;

    /// Tasks held, ended ones included; at this many a new one is answered with 503.
    pub(in crate::registry) const TASKS: usize = 1024;

    /// Bytes that all tasks may hold together; beyond it new ones and results are answered with 503.
    pub(in crate::registry) const TASKS_BYTES: usize = 16 * 1024 * 1024;

    /// Tasks of one agent that have not ended; at this many a new one of that agent is answered with 429. A registry
    /// that lets in everybody believes the names that callers give, so there this limits nobody.
    pub(in crate::registry) const UNDONE_TASKS_PER_SOURCE: usize = 64;

    /// Shares that [`TASKS`] and [`TASKS_BYTES`] are divided into, of which one agent's tasks, ended ones included,
    /// may take one; beyond it a new task is answered with 429, a result with 503.
    pub(in crate::registry) const TASK_SHARES: usize = 4;

    /// Tasks handed over in answer to one heartbeat; the others wait for the next.
    pub(in crate::registry) const TASKS_PER_HEARTBEAT: usize = 16;

    /// Longest time to live of a task; a longer one is answered with 400.
    pub(in crate::registry) const LONGEST_TASK_TTL: Duration = Duration::from_secs(24 * 60 * 60);

    /// How long an ended task can be read; then it is forgotten.
    pub(in crate::registry) const ENDED_TASK_KEPT: Duration = Duration::from_secs(60);

    /// Tokens of one peer that are valid at a time; one more takes the place of its oldest.
    pub(in crate::registry) const TOKENS_OF_PEER: usize = 16;

    /// Registered agents; at this many a new one is answered with 503.
    pub(in crate::registry) const AGENTS: usize = 4096;

    /// Agents that one peer's key may register; at this many a new one is answered with 429.
    pub(in crate::registry) const AGENTS_OF_PEER: usize = 64;

    /// What an agent may tell of itself, in bytes; more is answered with 413.
    pub(in crate::registry) const AGENT_BYTES: usize = 8 * 1024;

    /// Time from an agent's last heartbeat for which it is kept; then it is forgotten.
    pub(in crate::registry) const AGENT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

    /// Edges of a topology that are told; further ones are left out. Guessed edges grow with the square of the
    /// agents.
    pub(in crate::registry) const EDGES: usize = 20_000;

    /// Peers that are online that a topology tells; further ones are left out.
    pub(in crate::registry) const TOLD_PEERS: usize = 4096;

    /// Peers that one peer may report to be connected to; further ones are left out.
    pub(in crate::registry) const REPORTED_PEERS: usize = 1024;

    /// Bytes of the names in a peer's report of whom it is connected to; further ones are left out.
    pub(in crate::registry) const REPORT_BYTES: usize = 32 * 1024;

    /// Longest list of tasks or agents that is told, in bytes; what does not fit is left out.
    pub(in crate::registry) const LIST_BYTES: usize = 1024 * 1024;

    /// Bytes of all answers that wait to be taken, of all connections together; beyond it a long one is replaced by
    /// 503.
    pub(in crate::registry) const ANSWERS_BYTES: usize = 64 * 1024 * 1024;

    /// Keys that were added with `registry key add`; at this many a new one is answered with 503.
    pub(in crate::registry) const ADDED_KEYS: usize = 4096;

    /// Longest name of an agent in a key or a device; a longer one is answered with 400.
    pub(in crate::registry) const AGENT_NAME_BYTES: usize = 128;

    /// Invitations that are open at a time; at this many a new one is answered with 503. Each makes guessing a code
    /// likelier.
    pub(in crate::registry) const INVITATIONS: usize = 16;

    /// Time in which an invitation can be redeemed; then its code is worth nothing.
    pub(in crate::registry) const INVITATION_LIFETIME: Duration = Duration::from_secs(300);

    /// Tries of one address to redeem a code within a minute; more are answered with 429.
    pub(in crate::registry) const REDEEMS_PER_MINUTE: u32 = 5;

    /// Tries of all addresses together to redeem a code within a minute; more are answered with 429.
    pub(in crate::registry) const ALL_REDEEMS_PER_MINUTE: u32 = 60;

    /// Longest request to redeem a code, in bytes; anybody may send one.
    pub(in crate::registry) const REDEEM_BYTES: usize = 1024;

    /// Devices that were paired or wait for it; at this many a new one is answered with 503.
    pub(in crate::registry) const DEVICES: usize = 4096;

    /// How long a device can be approved; then it is forgotten.
    pub(in crate::registry) const APPROVAL_AWAITED: Duration = Duration::from_secs(24 * 60 * 60);

    /// Time for which a device is listed that was rejected or revoked; then it is forgotten.
    pub(in crate::registry) const ENDED_DEVICE_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Time in which a device's token can be fetched, from the first time on; then it is shown no more.
    pub(in crate::registry) const TOKEN_SHOWN: Duration = Duration::from_secs(10 * 60);

    /// Requests of one caller (a key's peer, or an address where no key is asked for) that come at once; more are
    /// answered with 429. Tokens and WebSockets do not count.
    pub(in crate::registry) const CALLS_AT_ONCE: u32 = 2000;

    /// Requests of one caller that follow each second; more are answered with 429.
    pub(in crate::registry) const CALLS_PER_SECOND: u32 = 200;

    /// Callers whose requests are counted; those that have been quiet longest make room.
    pub(in crate::registry) const CALLERS: usize = 16 * 1024;

    /// Largest data file that is read; with a larger one the registry does not start.
    pub(in crate::registry) const DATA_FILE_BYTES: u64 = 128 * 1024 * 1024;

    /// Open connections of any kind; at this many a new one is answered with 503 and closed.
    pub(in crate::registry) const CONNECTIONS: usize = 16 * 1024;

    /// Shares that [`CONNECTIONS`], [`RELAY_STREAMS`], [`BODIES_BYTES`] and [`ANSWERS_BYTES`] are divided into, of which
    /// one address may take one; beyond it a request is answered with 429 or 503, or its connection closed. WebSockets
    /// count for their peers instead. Bodies and answers count for the clients of a trusted proxy, connections for none.
    pub(in crate::registry) const CONNECTION_SHARES: usize = 4;

    /// Refused connections that are open until their refusal is taken; with more, a refusal may be lost.
    pub(in crate::registry) const REFUSED_CONNECTIONS: usize = 64;

    /// WebSockets of one peer, of which one is in use; at this many a new one is answered with 429.
    pub(in crate::registry) const WEBSOCKETS_OF_PEER: usize = 16;

    /// Bytes read from one connection; then the others have their turn.
    pub(in crate::registry) const TURN_BYTES: usize = 64 * 1024;

    /// Connections accepted; then those that are open have their turn.
    pub(in crate::registry) const ACCEPTS_PER_TURN: usize = 64;

    /// How long a client may stay connected after our last word to it; then it is cut off.
    pub(in crate::registry) const FAREWELL: Duration = Duration::from_secs(2);

    /// How long a request may take from the connection's start, and then its answer; then the connection ends.
    pub(in crate::registry) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

    /// Time for which a token can open WebSockets; then it is refused.
    pub(in crate::registry) const TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

    /// How long a WebSocket may be silent, pongs included; then it is closed.
    pub(in crate::registry) const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

    /// Allocations of the relay; at this many a new one is answered with 508. Each has a socket.
    pub(in crate::registry) const ALLOCATIONS: usize = 4096;

    /// Allocations of one peer; at this many a new one is answered with 486. A sidecar has one or two, and for a
    /// while more when its network or its login changes.
    pub(in crate::registry) const ALLOCATIONS_OF_PEER: usize = 16;

    /// Shortest and longest lifetime of an allocation (RFC 8656 section 7.2); what a client asks for is cut to them.
    pub(in crate::registry) const ALLOCATION_LIFETIMES: (Duration, Duration) =
        (Duration::from_secs(600), Duration::from_secs(3600));

    /// Lifetime of a permission (RFC 8656 section 9); then it is dropped unless it was refreshed.
    pub(in crate::registry) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

    /// Lifetime of a channel (RFC 8656 section 12); then it is dropped unless it was refreshed.
    pub(in crate::registry) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

    /// Permissions of one allocation; at this many a new one is answered with 508.
    pub(in crate::registry) const PERMISSIONS: usize = 1024;

    /// Channels of one allocation; at this many a new one is answered with 508.
    pub(in crate::registry) const CHANNELS: usize = 1024;

    /// Time for which a login to the relay is good for new allocations and for what is asked of them; then it is
    /// refused.
    pub(in crate::registry) const RELAY_LOGIN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

    /// How long a nonce of the relay can be used; then the client is given another with error 438.
    pub(in crate::registry) const NONCE_LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// Time for which a peer's unused part of `RELAY_RATE` adds up; what is beyond the rate is dropped.
    pub(in crate::registry) const RELAY_BURST: Duration = Duration::from_secs(1);

    /// Requests within a second that the relay reads of clients without an allocation, of one address; further ones
    /// are dropped. The sender's address may be a lie, and that machine would get the answers.
    pub(in crate::registry) const STRANGERS_REQUESTS: u32 = 200;

    /// Requests within a second that the relay reads of all clients without an allocation; further ones are dropped.
    pub(in crate::registry) const ALL_STRANGERS_REQUESTS: u32 = 10_000;

    /// TCP and TLS connections to the relay; at this many a new one is closed.
    pub(in crate::registry) const RELAY_STREAMS: usize = 4096;

    /// Time for which a TCP or TLS connection to the relay may be without an allocation; then it is closed.
    pub(in crate::registry) const IDLE_RELAY_STREAM: Duration = Duration::from_secs(10);

    /// Bytes that may wait for a TCP or TLS connection to the relay; with more, what comes for it is dropped.
    pub(in crate::registry) const RELAY_STREAM_BYTES: usize = 256 * 1024;

    /// Connections on their way from the registry's thread to the relay's; with more, a new one is closed.
    pub(in crate::registry) const RELAY_NEWCOMERS: usize = 256;

    /// Longest datagram that is relayed, in bytes; longer ones are dropped.
    pub(in crate::registry) const RELAY_DATAGRAM_BYTES: usize = 8 * 1024;

    /// Datagrams read from one socket of the relay; then the others have their turn.
    pub(in crate::registry) const DATAGRAMS_PER_TURN: usize = 64;

    /// Addresses of this machine at which the relay has a socket of its own; clients that come to further ones are
    /// answered from the one that is nearest to them.
    pub(in crate::registry) const RELAY_ADDRESSES: usize = 64;

    /// Ports that are tried for an allocation; then it is answered with 508.
    pub(in crate::registry) const RELAY_PORT_TRIES: usize = 16;
}

/// Longest round-trip time in a peer's report of whom it is connected to, in milliseconds; a longer one is left out.
pub(in crate::registry) const REPORTED_ROUND_TRIP_MS: f64 = 60_000.0;

/// Assumed memory cost of a task beside its texts, in bytes.
pub(in crate::registry) const TASK_COST_BYTES: usize = 256;

/// Time to live of a task that names none.
pub(in crate::registry) const TASK_TTL: Duration = Duration::from_secs(300);

/// The port of an agent that names none.
pub(in crate::registry) const AGENT_PORT: u16 = 8000;

/// From an agent's last heartbeat until it counts as stale.
pub(in crate::registry) const AGENT_STALE: Duration = Duration::from_secs(90);

/// The same until it counts as offline.
pub(in crate::registry) const AGENT_OFFLINE: Duration = Duration::from_secs(270);

/// Longest answer that is sent whatever else waits, in bytes.
pub(in crate::registry) const SHORT_ANSWER_BYTES: usize = 4 * 1024;

/// The requests that a list of all agents or tasks counts for.
pub(in crate::registry) const LIST_COST: u32 = 10;

/// Time between two looks of the relay at this machine's addresses, when something has come to an unknown one.
pub(in crate::registry) const RELAY_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two writings of the data file, unless keys or devices have changed.
pub(in crate::registry) const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Pause before accepting again after the system refused another connection (out of file descriptors).
pub(in crate::registry) const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Time between two pings of a WebSocket.
pub(in crate::registry) const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Timers due within this time of each other are handled in one look at the connections.
pub(in crate::registry) const TIMER_GRAIN: Duration = Duration::from_millis(50);
