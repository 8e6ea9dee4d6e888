//! The client of a TURN server: its address, ours, and over what it speaks (the 5-tuple of RFC 8656).

use std::net::{IpAddr, SocketAddr};

/// The id of a TCP or TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StreamId(pub(super) usize);

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Client {
    /// Where its messages come from.
    pub(super) address: SocketAddr,
    /// Our address to which they come, where that is known.
    pub(super) own: Option<IpAddr>,
    /// Its connection; `None` for datagrams.
    pub(super) stream: Option<StreamId>,
}

impl Client {
    /// Returns the client that sends datagrams from `address` to one of ours.
    pub(super) fn datagram(address: SocketAddr, own: Option<IpAddr>) -> Self {
        Client {
            address,
            own,
            stream: None,
        }
    }

    /// Returns the client at the other end of a connection to an address of ours.
    pub(super) fn stream(address: SocketAddr, own: Option<IpAddr>, stream: StreamId) -> Self {
        Client {
            address,
            own,
            stream: Some(stream),
        }
    }
}
