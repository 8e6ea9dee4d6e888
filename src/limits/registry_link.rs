//! Limits of the link to the registry, and of what it answers over HTTP.

use std::time::Duration;

/// Largest frame taken from the registry, in bytes; a larger one ends the connection to it. Some
/// registries relay whatever they accept themselves, which is as much as WebSocket servers accept unless
/// told otherwise (uvicorn: 16 MiB). With a smaller limit any peer could cut us off.
pub const REGISTRY_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Signaling frames queued between the event loop and the signaling thread, in each direction.
pub const SIGNALING_QUEUE_FRAMES: usize = 1024;

/// Warnings a second about unusable signaling frames; further ones are only counted.
pub const BAD_FRAME_WARNINGS: u32 = 3;

/// Largest body of the registry's answers over HTTP, in bytes; a larger one is an error.
pub const REGISTRY_RESPONSE_BYTES: u64 = 64 * 1024;

/// Entries of `NO_PROXY` that count; further ones are left out.
pub const PROXY_EXEMPTIONS: usize = 1024;
/// Largest answer of an HTTP proxy, in bytes; a larger one is an error.
pub const PROXY_ANSWER_BYTES: usize = 16 * 1024;

/// Addresses of the registry's host that are tried; further ones are not used.
pub const HOST_ADDRESSES: usize = 16;

/// Pause between the first tries of two addresses of the registry (RFC 8305 section 8).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// Interval at which an address of the registry is tried again while nothing has answered.
pub const DIAL_AGAIN: Duration = Duration::from_secs(1);
/// Tries at addresses of the registry that run side by side; at this many no further one is begun.
pub const DIAL_TRIES: usize = 16;

/// Look-ups of the registry's name that may be running; at this many no further one is begun. Nothing can
/// end a look-up.
pub const REGISTRY_LOOK_UPS: usize = 8;
/// How long a look-up of the registry's name is awaited before the addresses that last worked are tried.
pub const LOOK_UP_PATIENCE: Duration = Duration::from_secs(1);

/// Longest wait that a busy registry may ask for (`Retry-After`); a longer one is cut.
pub const RETRY_AFTER: Duration = Duration::from_secs(300);

/// Reasons of one outage of the registry that are remembered so as not to be told again; at this many the one
/// that was told longest ago is forgotten.
pub const OUTAGE_REASONS: usize = 8;
/// Interval at which the log repeats why the registry cannot be reached, while the reason stays the same.
pub const SAME_FAILURE_LOGGED: Duration = Duration::from_secs(60);

/// Wait from a failed try to reach the registry to the next one: the first and the longest. With a try
/// that succeeds it is less than 2 s.
pub const REGISTRY_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_millis(1750));
/// The same when the registry has refused the key or token, which the next try won't change.
pub const REGISTRY_REFUSED_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(10));

/// Tries to reach the registry that are made at once because the network has changed, and the interval of
/// further ones; in between the wait goes on.
pub const REGISTRY_TRIES_AT_ONCE: (u32, Duration) = (4, Duration::from_secs(1));

/// How long the machine must have slept for the connection to the registry to be replaced unasked.
pub const REGISTRY_SLEEP: Duration = Duration::from_secs(30);

/// How often within what time the registry closes connections that lasted no longer than the third value, with
/// no failed try in between, until we take it that another sidecar uses our name.
pub const NAME_CONTEST: (usize, Duration, Duration) =
    (5, Duration::from_secs(60), Duration::from_secs(10));

/// Wait until a name is tried again that another sidecar uses: the first and the longest, less up to half of it
/// at random. Each try takes the other one's place.
pub const NAME_TAKEN_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(300), Duration::from_secs(3600));
/// The same when the registry has not said so, and it is only a guess.
pub const NAME_GUESSED_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(3600));
/// The same when our place was taken for the first time within a minute: `doctor` does so for a moment.
pub const NAME_TAKEN_ONCE: Duration = Duration::from_secs(4);

/// Longest wait until another connection to a registry that fell silent is made; the wait is random.
pub const REGISTRY_SILENT_WAIT: Duration = Duration::from_millis(500);

/// Largest `CA_FILE`, in bytes; a larger one is refused. An operating system's bundle has 250 KB.
pub const CA_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Files of a directory of authorities that are read, up to [`CA_FILE_BYTES`] together; the rest is left out.
pub const CA_DIRECTORY_FILES: usize = 2048;

/// Wait from one question to the registry for ICE servers to the next: the least and the most. In between,
/// the question is repeated when half the time until the first login of the last answer expires has
/// passed.
pub const ICE_SERVERS_REFRESH: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(3600));

/// The same wait after a question that went unanswered. As long as the registry has never answered it is
/// always this long; after an answer it grows from the least [`ICE_SERVERS_REFRESH`] up to this.
pub const ICE_SERVERS_RETRY: Duration = Duration::from_secs(300);

/// Questions to the registry for ICE servers that may be running: one that was asked on a network that is
/// gone may take long to end. At this many no further one is begun.
pub const ICE_SERVERS_RUNNING: usize = 3;

/// How long `health` waits for each step of a registry's answer: connecting, each write, each read.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a registry's answer that `health` reads at most.
pub const HEALTH_ANSWER_BYTES: u64 = 4 * 1024;

/// From a change of whom we are connected with until the registry is told; what changes meanwhile is told
/// with it.
pub const REPORT_DELAY: Duration = Duration::from_secs(1);

/// From a report of our connections until it is looked whether their round-trip times differ much from it.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// Least difference between a round-trip time and the one that was reported that is worth another report.
/// It has to differ by half, too.
pub const REPORT_DIFFERENCE: Duration = Duration::from_millis(2);

/// Time between two questions of `pair` whether it is approved.
pub const PAIRING_INTERVAL: Duration = Duration::from_secs(2);
/// How long `pair` waits to be approved: as long as our registry remembers that it waits.
pub const PAIRING_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a registry's answer to a person's order that are read at most.
pub const ORDER_ANSWER_BYTES: u64 = 8 * 1024 * 1024;
