//! Local candidates: the addresses at which a peer may reach us (RFC 8445 section 5.1.1).

use std::net::SocketAddr;

/// A local candidate (RFC 8445).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalCandidate {
    /// The address of one of our own sockets.
    Host {
        /// That address.
        address: SocketAddr,
    },
    /// Server-reflexive: the source address that a STUN server sees of one of our sockets.
    ServerReflexive {
        /// The outer side of the mapping.
        address: SocketAddr,
        /// The socket behind it.
        base: SocketAddr,
    },
    /// Relayed: an address that a TURN server lends us.
    Relayed {
        /// The address on the server.
        address: SocketAddr,
        /// Our address towards the server, for the priority and the foundation.
        base: SocketAddr,
    },
}

impl LocalCandidate {
    /// Returns the source address of datagrams sent from this candidate, in the terms of the ICE agent:
    /// one of our sockets, or the address on the relay (RFC 8445 section 4, "base").
    pub fn source(&self) -> SocketAddr {
        match *self {
            LocalCandidate::Host { address } | LocalCandidate::Relayed { address, .. } => address,
            LocalCandidate::ServerReflexive { base, .. } => base,
        }
    }
}
