//! The client of a TURN server: its address, and over what it speaks (the 5-tuple of RFC 8656).

use std::net::SocketAddr;

/// The id of a TCP or TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StreamId(pub(super) usize);

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Client {
    /// Where its messages come from.
    pub(super) address: SocketAddr,
    /// Its connection; `None` for datagrams.
    pub(super) stream: Option<StreamId>,
}

impl Client {
    /// Returns the client that sends datagrams from this address.
    pub(super) fn datagram(address: SocketAddr) -> Self {
        Client {
            address,
            stream: None,
        }
    }

    /// Returns the client at the other end of a connection.
    pub(super) fn stream(address: SocketAddr, stream: StreamId) -> Self {
        Client {
            address,
            stream: Some(stream),
        }
    }
}
