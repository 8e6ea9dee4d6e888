//! The reason why a connection has ended or could not be made.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// The reason, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// It failed; whether another try would do better is not known.
    Broken(String),
    /// The registry is busy, and asks us to come back after this time.
    Busy(String, Duration),
    /// The registry has closed it.
    Closed(String),
    /// The registry has closed it because another sidecar of our name has connected.
    Displaced(String),
    /// It does not answer.
    Silent(String),
    /// The way is gone, or the machine has slept. Another way may be there already.
    Path(String),
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Our address.
    pub(super) local: IpAddr,
    /// The registry's address, or that of what leads to it.
    pub(super) remote: SocketAddr,
}

impl Way {
    /// Returns the address from which a new connection to the same place would be made, if that is another
    /// than ours: the routes lead elsewhere now.
    pub(super) fn rerouted(&self) -> Option<IpAddr> {
        let any: IpAddr = match self.remote {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        // Connecting a UDP socket sends nothing: the system only chooses the address.
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(self.remote).ok()?;
        // Of IPv6 addresses temporary ones come and go, and connections from the older ones go on (RFC 8981).
        let chosen = socket.local_addr().ok()?.ip();
        (chosen != self.local && chosen.is_ipv4()).then_some(chosen)
    }
}

impl Lost {
    /// Returns the reason that is inside an error, if it was one of ours.
    pub(super) fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<String> for Lost {
    fn from(what: String) -> Self {
        Lost::Broken(what)
    }
}

impl From<Lost> for io::Error {
    fn from(lost: Lost) -> Self {
        io::Error::other(lost)
    }
}

impl Error for Lost {}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Lost::Broken(what)
        | Lost::Busy(what, _)
        | Lost::Closed(what)
        | Lost::Displaced(what)
        | Lost::Silent(what)
        | Lost::Path(what)) = self;
        f.write_str(what)
    }
}
