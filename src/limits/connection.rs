//! Limits of attempts, connections and paths.

use std::time::Duration;

use super::table::limits;

limits! {
    "attempts, connections and paths" as pub(super) CONNECTION;

    /// Time in which an offer has to be answered; then it counts as lost. Stacks that do not trickle, aiortc and
    /// werift among them, ask an unreachable STUN server for 5 s before they answer.
    pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

    /// How long one attempt at a connection may take; after that it is given up. `CONNECT_TIMEOUT` has room for
    /// several.
    pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Time that one attempt at a connection may take while the peer is heard; then it is given up. The path may be
    /// slow, and a round trip take seconds.
    pub const SLOW_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(45);

    /// Pairs of addresses of one connection that are measured; with a further one that is forgotten which has
    /// answered least lately. The ICE agent keeps 100.
    pub const MEASURED_PAIRS: usize = 128;

    /// Unanswered checks of one pair that are remembered; with a further one the oldest counts as lost.
    pub const MEASURED_CHECKS: usize = 16;

    /// Moves of a connection to a faster path at once, and the interval of further ones; until then it stays where it
    /// is.
    pub const PATH_MOVES: (u32, Duration) = (3, Duration::from_secs(600));

    /// Outputs that a connection that ends may still produce, in datagrams; then it is cut short.
    pub const GOODBYE_OUTPUTS: usize = 256;

    /// Remote addresses remembered for each of the `MAX_PEERS` peers; beyond their sum no new one is remembered.
    pub const ROUTES_PER_PEER: usize = 32;

    /// Addresses from which connectivity checks are taken on one connection; a check from one more is dropped. str0m
    /// never forgets one. A peer that has moved so often is found again by a new connection.
    pub const CHECK_SOURCES_PER_CONNECTION: usize = 256;
}

/// Longest wait until a connection is offered again to a peer whose session is to go on.
pub const RECOVERY_BACKOFF: Duration = Duration::from_secs(1);

/// After this long an attempt at a connection that has found no path looks for one anew: with a peer whose round trip
/// is known, beside two of them, and with others.
pub const ATTEMPT_SEARCH_AFTER: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(6));

/// How long a connection has to last for the offer after it to come as quickly as the first.
pub const CONNECTION_TRUSTED_AFTER: Duration = Duration::from_secs(5);

/// Round trips that connecting takes, about: two of signals through the registry, and two each of ICE, DTLS, SCTP and
/// the channels. (Between two of ours SCTP takes none.) Attempts, and `CONNECT_TIMEOUT`, have the time for them on
/// top.
pub const ROUND_TRIPS_TO_CONNECT: u32 = 12;

/// Round trips until an offer is answered: the peer may be as far from the registry as we are.
pub const ROUND_TRIPS_TO_ANSWER: u32 = 2;

/// Longest round trip that counts for that; a longer one may be no path at all.
pub const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(5);

/// How often [`ANSWER_TIMEOUT`] and [`ATTEMPT_TIMEOUT`] are doubled as attempts fail: a machine that is too busy for
/// the first attempt would be too busy for each that follows it as soon.
pub const PATIENCE_DOUBLINGS: u32 = 3;

/// How long after each new path the pairs of addresses are compared, to move to one that is clearly faster.
pub const PATH_COMPARISON: Duration = Duration::from_secs(10);

/// Extra wait before the side that did not offer a lost connection offers one itself.
pub const ANSWERER_PATIENCE: Duration = Duration::from_secs(3);

/// The same once the peer can't be reached.
pub const ANSWERER_RECOVERY_PATIENCE: Duration = Duration::from_millis(500);

/// Least time between two rounds of questions to STUN and TURN servers because peers have fallen silent.
pub const DOUBT_INTERVAL: Duration = Duration::from_secs(3);

/// Size of packets, in bytes of UDP payload. Those with data are 4 bytes smaller. So they fit into the 1,280 bytes
/// that every path of IPv6 takes, also through a channel of a TURN server, and need no discovery of what a path
/// takes.
pub const FULL_PACKET_BYTES: usize = 1232;

/// How long nothing of what fills packets may be acknowledged, while the path answers checks, before the connection
/// is replaced by one with smaller packets. With the replacement it is less than `SEND_STALL_SECONDS`.
pub const SWALLOWED_AFTER: Duration = Duration::from_secs(2);

/// How often a packet that fills more than a small one must have been sent in that time. One that is lost by chance
/// is hardly lost so often.
pub const SWALLOWED_SENDINGS: u32 = 3;

/// How far apart two of these are at least. What is sent together may be lost together.
pub const SWALLOWED_SENDINGS_APART: Duration = Duration::from_millis(100);

/// Size of the packets then: the least that str0m makes.
pub const SMALL_PACKET_BYTES: usize = 576;
