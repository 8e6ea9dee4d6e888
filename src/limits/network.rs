//! Limits of the machine's addresses, sockets and routes.

use std::time::Duration;

use super::table::limits;

limits! {
    "the machine's addresses, sockets and routes" as pub(super) NETWORK;

    /// Addresses of this machine that are used; of more, those are left out that are preferred least. With a relay on
    /// both sides, [`REFLEXIVE_ADDRESSES`] and all of one family there are (7 + 1) * (7 + 4 + 1) pairs; str0m's ICE
    /// agent keeps 100 and drops those of the relays first.
    pub const LOCAL_ADDRESSES: usize = 7;

    /// Outer addresses that peers are told of one lane's sockets; those of the sockets preferred least are left out.
    pub const REFLEXIVE_ADDRESSES: usize = 4;

    /// Buffer that the system is asked to keep for a UDP socket in each direction, in bytes; it may give less.
    pub const SOCKET_BUFFER_BYTES: usize = 2 * 1024 * 1024;

    /// Bytes of datagrams kept for a socket while the system has no room for them; further ones are dropped.
    pub const UNSENT_DATAGRAM_BYTES: usize = 1024 * 1024;

    /// Buffer for one received datagram; none is larger. Any that UDP can carry fits.
    pub const DATAGRAM_BYTES: usize = 65_536;

    /// Looks at the network after notices that come at once, and the interval of further ones; a notice that comes
    /// sooner waits.
    pub const NETWORK_LOOKS: (u32, Duration) = (8, Duration::from_millis(200));

    /// Changes of routes that are acted on at once, and the interval of further ones; a change that comes sooner
    /// waits.
    pub const ROUTE_CHANGES: (u32, Duration) = (4, Duration::from_secs(2));

    /// Largest notice of the system that is read, in bytes; the rest is cut off. The kernel writes at most a page or
    /// 8 KiB into one.
    pub const NETLINK_BYTES: usize = 8 * 1024;
}

/// Sets of UDP sockets: one for the connection in use and two for those that may replace it.
pub const LANES: usize = 3;

/// How long an address outside that was told as new is not told again: all sockets learn it one by one.
pub const MOVE_TOLD_FOR: Duration = Duration::from_secs(10);

/// Interval at which the machine's addresses are looked up.
pub const ADDRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How long an address may be there without letting a socket be bound to it, before that is said.
pub const TENTATIVE_ADDRESS: Duration = Duration::from_secs(8);

/// Wait from the system's notice that the network has changed to a look at it: the rest of a burst comes meanwhile.
pub const NETWORK_SETTLING: Duration = Duration::from_millis(30);
