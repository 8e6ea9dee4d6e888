//! Limits of what introduces peers to each other: signaling frames, offers, answers and candidates.

use std::time::Duration;

use super::table::limits;

limits! {
    "what introduces peers to each other" as pub(super) INTRODUCTION;

    /// Largest signaling frame of another sidecar, in bytes; a larger one is skipped.
    pub const SIGNALING_FRAME_BYTES: usize = 256 * 1024;

    /// Largest session description of another sidecar, in bytes; the frame with a larger one is skipped. Reading one
    /// takes longer than its size says. Those of browsers have some KiB.
    pub const DESCRIPTION_BYTES: usize = 32 * 1024;

    /// Media sections in the session description of another sidecar; with more it is refused. Each is repeated in the
    /// answer.
    pub const DESCRIPTION_SECTIONS: usize = 64;

    /// Longest candidate line taken from a peer, in bytes; the frame with a longer one is skipped.
    pub const CANDIDATE_BYTES: usize = 1024;

    /// Candidates of a peer that are kept until their description arrives, and that one connection takes in a burst,
    /// those in its description included; further ones are ignored.
    pub const CANDIDATES_PER_CONNECTION: usize = 64;

    /// Interval at which a connection takes one more candidate after the burst; what comes sooner is ignored. A
    /// connection may outlast many networks. No shorter, since str0m never forgets a candidate, some 200 bytes.
    pub const CANDIDATE_INTERVAL: Duration = Duration::from_secs(10);

    /// Largest control frame on `mesh-control`, in bytes; a larger one is ignored. A session description with many
    /// candidates has 4 KiB.
    pub const CONTROL_FRAME_BYTES: usize = 16 * 1024;

    /// Peers that are asked at a time to pass a signal on to one that can't be reached otherwise; the next ones only
    /// when no answer has come.
    pub const INTRODUCERS: usize = 3;

    /// Signals that a peer brings on `mesh-control`, its own and those of others, that are looked at in a burst, and
    /// the interval at which one more is; further ones are dropped.
    pub const PASSED_SIGNALS: (u32, Duration) = (256, Duration::from_millis(50));

    /// Signals that are passed on for a peer in a burst, and the interval at which one more is; further ones are
    /// dropped.
    pub const SIGNALS_TO_PASS: (u32, Duration) = (32, Duration::from_millis(500));

    /// Offers of a peer, brought by others than the registry, that are looked at in a burst, and the interval at which
    /// one more is; further ones are dropped. They are repeated, so one that is dropped may come again.
    pub const INTRODUCED_OFFERS: (u32, Duration) = (5, Duration::from_secs(1));

    /// Offers of a peer that are remembered, to know them when they come again on another way; with a further one the
    /// oldest is forgotten.
    pub const REMEMBERED_OFFERS: usize = 8;

    /// Offers from strangers that are looked at in a burst, all of them together; further ones are dropped. Strangers
    /// are names that we have not met and the registry has not listed. One more is looked at every
    /// [`STRANGER_INTERVAL`]. An offer costs us cryptography, a new name costs nothing.
    pub const STRANGER_BURST: u32 = 128;

    /// Interval at which one more stranger's offer is looked at; what comes sooner is dropped.
    pub const STRANGER_INTERVAL: Duration = Duration::from_millis(20);

    /// Connections that we offer in a burst, and the interval of further ones; what is wanted sooner waits. An offer costs
    /// cryptography, in which nothing else is done, and a registry may list thousands of peers at once.
    pub const OWN_OFFERS: (u32, Duration) = (16, Duration::from_millis(10));

    /// Offers of one peer that are looked at in a burst; further ones are dropped. After it one more is looked at
    /// every [`OFFER_INTERVAL`].
    pub const OFFER_BURST: u32 = 10;

    /// Interval at which one more offer of a peer is looked at; what comes sooner is dropped.
    pub const OFFER_INTERVAL: Duration = Duration::from_millis(500);

    /// Time for which a candidate that came before its description is kept; then it is forgotten. The description may
    /// come as late as an answer.
    pub const EARLY_CANDIDATE_LIFETIME: Duration = Duration::from_secs(10);

    /// Time that a candidate without an attempt waits for an offer; then the peer's open connection gets it. Stacks that
    /// ask an unreachable STUN server for 5 s before they offer send their first candidates at once.
    pub const LATE_CANDIDATE_WAIT: Duration = Duration::from_secs(7);

    /// How long a peer's offer is held while our own crossing offer stands against it unanswered; then the peer's
    /// offer is answered after all.
    pub const HELD_OFFER_TIMEOUT: Duration = Duration::from_secs(1);

    /// Peers kept of the registry's list; further ones are left out.
    pub const LISTED_PEERS: usize = 4096;

    /// `connect` commands that wait for one peer; a further one fails with `connect_failed`.
    pub const WAITING_CONNECTS: usize = 64;
}

/// Interval at which further peers are asked to pass on an offer that is not answered.
pub const INTRODUCTION_INTERVAL: Duration = Duration::from_secs(1);

/// How young an attempt of a peer is that stands against an offer brought by others than the registry.
pub const YOUNG_ATTEMPT: Duration = Duration::from_secs(1);

/// Wait from a lost connection to the next offer: the first and the longest.
pub const OFFER_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(20));

/// Least time between two questions to the registry about who is online.
pub const LIST_INTERVAL: Duration = Duration::from_millis(500);

/// How long the answer to a `register` is awaited before it is sent again.
pub const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval at which the registry is asked who is online when all peers are to be connected: it tells nobody when a
/// peer comes.
pub const LIST_REFRESH: Duration = Duration::from_secs(60);

/// Least time between two warnings that there is no room for listed peers. A registry may list others each time.
pub const LACK_OF_ROOM_TOLD: Duration = Duration::from_secs(60);

/// How long no message may have gone to or from a peer before it gives its place up to one that offers, where
/// `MAX_PEERS` is reached in lazy mode. For a peer that our own agent wants any gives way.
pub const ROOM_IDLE: Duration = Duration::from_secs(10);

/// How long a peer that we have never met, and of which nothing is heard since it has offered, keeps its place from one
/// that our agent wants or that we have met.
pub const UNHEARD_KEEPS_PLACE: Duration = Duration::from_secs(1);
