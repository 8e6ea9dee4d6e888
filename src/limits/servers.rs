//! Limits of STUN and TURN servers.

use std::time::Duration;

use super::table::limits;

limits! {
    "STUN and TURN servers" as pub(super) SERVERS;

    /// STUN and TURN servers that are used, of each kind and of each source; more in a setting are an error, more
    /// from the registry are left out.
    pub const ICE_SERVERS: usize = 8;

    /// Bytes that wait to be written to a TURN server on a stream; beyond this packets are dropped, and requests at
    /// twice as many.
    pub const TURN_STREAM_BYTES: usize = 256 * 1024;

    /// Bytes that are read at once from a TURN server on a stream; the rest is read in the next turn.
    pub const TURN_STREAM_READ_BYTES: usize = 16 * 1024;

    /// Longest name or password for a TURN server (RFC 8489 section 14.3); a longer one is an error.
    pub const TURN_LOGIN_BYTES: usize = 508;

    /// Addresses of one STUN or TURN server that are used; further ones are left out.
    pub const ADDRESSES_PER_SERVER: usize = 4;

    /// Transmissions of a STUN request; then it counts as unanswered.
    pub const STUN_TRANSMISSIONS: u32 = 5;

    /// Outer addresses of one socket that peers are told, and STUN servers that answer and are asked again; further
    /// ones are left out.
    pub const MAPPINGS_PER_SOCKET: usize = 2;

    /// How long a TURN server may take from the first request to the allocation; then the attempt has failed.
    pub const TURN_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

    /// Ways over UDP to one TURN server (its addresses times ours) that are tried in one round; further ones are not
    /// tried. Over TCP and TLS there are as many as it has addresses.
    pub const TURN_DATAGRAM_WAYS: usize = 8;

    /// Peers' IP addresses that an allocation has permissions for; packets to further ones are dropped.
    pub const TURN_PERMISSIONS: usize = 512;

    /// Peers' addresses that an allocation has channels for; packets to further ones are a few bytes longer.
    pub const TURN_CHANNELS: usize = 512;

    /// Packets, of all peers together, that wait for a permission; with a further one the oldest is dropped.
    pub const TURN_HELD_PACKETS: usize = 64;

    /// Requests of an allocation that are remembered until they are answered; with a further one the oldest is
    /// forgotten.
    pub const TURN_REQUESTS: usize = 64;

    /// Questions for a sign of life that a TURN server may leave unanswered; then it counts as dead.
    pub const TURN_PROBES: usize = 4;

    /// How long an allocation that was replaced is kept after it last carried data; then it is given back.
    pub const TURN_IDLE: Duration = Duration::from_secs(60);

    /// Replaced allocations that are kept because they still carry data; of more the oldest is given back.
    pub const TURN_REPLACED: usize = 4;

    /// How long giving an allocation back is awaited; then it is forgotten.
    pub const TURN_FAREWELL: Duration = Duration::from_secs(2);
}

/// Wait for the answer to the first transmission of a STUN request; it doubles with each.
pub const STUN_FIRST_WAIT: Duration = Duration::from_millis(500);

/// Least time between the first requests of all sockets to STUN servers, except to the server that a socket asks
/// first: the least that RFC 8445 section 14.2 allows.
pub const STUN_PACE: Duration = Duration::from_millis(5);

/// Interval at which a STUN server that answers is asked again: the least and the most. UDP mappings live for 30 s
/// and more.
pub const STUN_REFRESH: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(25));

/// Wait until a STUN server that is silent is asked again: the first and the longest.
pub const STUN_BACKOFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));

/// Pause between the starts of two tries at TURN servers, which then run side by side.
pub const TURN_STAGGER: Duration = Duration::from_millis(150);

/// Head start of UDP: how long a TURN server may be silent over UDP before it is tried over TCP.
pub const TURN_STREAM_DELAY: Duration = Duration::from_secs(1);

/// Wait from a round in which no TURN server worked to the next: the first and the longest.
pub const TURN_BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// How long an allocation has to last to count as a success. After one that is lost sooner, the next rounds wait as
/// if no server had worked.
pub const TURN_TRUSTED_AFTER: Duration = Duration::from_secs(60);

/// Least time from a new allocation to a round beside it.
pub const TURN_REST: Duration = Duration::from_secs(5);

/// Longest wait for the next round that ends when peers have fallen silent.
pub const TURN_DOUBT_WAIT: Duration = Duration::from_secs(60);

/// Least time to the next round after one in which a server refused what it was asked, and between the starts of
/// rounds beside an allocation that bring no better one.
pub const TURN_REFUSED_WAIT: Duration = Duration::from_secs(120);

/// How long a peer's address that the server refuses a permission or a channel is not asked for again.
pub const TURN_DENIED_WAIT: Duration = Duration::from_secs(60);

/// How long a TURN server may have been silent, when no request to it is unanswered, before it is asked for a sign of
/// life.
pub const TURN_KEEPALIVE: Duration = Duration::from_secs(20);

/// How long a request to a TURN server may go unanswered before the server is asked for a sign of life.
pub const TURN_UNANSWERED: Duration = Duration::from_secs(2);

/// Unanswered requests for a sign of life after which another server is looked for.
pub const TURN_WEAK_AFTER: usize = 2;

/// The same time for an allocation that was replaced by one on a better way, such as UDP in place of TCP. One that
/// never carried data is given back at once.
pub const TURN_OUTDONE_IDLE: Duration = Duration::from_secs(3);

/// How long before its login expires an allocation is replaced; half of the login's remaining time if that is less.
pub const TURN_RENEWAL: Duration = Duration::from_secs(600);
