//! Limits of looking up names.

use std::time::Duration;

use super::servers::ICE_SERVERS;
use super::table::limits;

limits! {
    "looking up names" as pub(super) NAMES;

    /// Records of a name server's answer that are read; further ones are left out.
    pub const DNS_RECORDS: usize = 64;

    /// Largest answer of a name server, in bytes; a larger one, over TCP, is not read.
    pub const DNS_ANSWER_BYTES: usize = 8 * 1024;

    /// Largest `/etc/resolv.conf`, in bytes; what is beyond is left out.
    pub const RESOLV_CONF_BYTES: u64 = 64 * 1024;

    /// Name servers that count; further ones are left out (resolv.conf(5)).
    pub const NAME_SERVERS: usize = 3;

    /// Domains to search that count; further ones are left out.
    pub const SEARCHED_DOMAINS: usize = 6;

    /// Time that a name server has to answer, and then the other family once one has been answered; then the next one
    /// is asked.
    pub const NAME_SERVER_TIME: (Duration, Duration) =
        (Duration::from_millis(1500), Duration::from_millis(300));

    /// Time for which name servers are asked by ourselves for one name, all together; then the look-up has failed.
    pub const OWN_LOOK_UP_TIME: Duration = Duration::from_secs(8);

    /// Time that the system has to look up a name; then we ask ourselves, too.
    pub const SYSTEM_LOOK_UP_PATIENCE: Duration = Duration::from_secs(1);

    /// Look-ups by the system that may be running; at this many we ask ourselves only. Nothing can end one.
    pub const SYSTEM_LOOK_UPS: usize = 64;

    /// Names under `.local` that are asked for at a time; a further one is not asked for.
    pub const LOCAL_NAMES: usize = 64;

    /// Candidates of one connection that wait for a name under `.local`; with a further one the oldest is dropped.
    pub const LOCAL_NAMES_PER_CONNECTION: usize = 8;

    /// Largest multicast DNS packet that is read whole, in bytes (RFC 6762 section 17); of a larger one the rest is
    /// cut off.
    pub const MULTICAST_DNS_BYTES: usize = 9000;

    /// Records of a multicast DNS packet that are looked at, and questions that are skipped before them; what follows
    /// is left out.
    pub const MULTICAST_DNS_RECORDS: usize = 64;

    /// Time in which a look-up has to end; then it counts as failed. The system gives up by itself, mostly after 5 s
    /// for each name server.
    pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);

    /// Look-ups of all names that may be running; at this many no further one is begun. Nothing can end a look-up.
    pub const RESOLVE_RUNNING: usize = 4 * ICE_SERVERS;

    /// Look-ups of one name that may be running; at this many no further one is begun.
    pub const RESOLVE_RUNNING_OF_NAME: usize = 2;
}

/// Interval at which a server's name is looked up again.
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(300);

/// Wait until a failed look-up of a server's name is repeated: the first and the longest.
pub const RESOLVE_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(300));
