//! Outputs of [`Reach`](super::reach::Reach): what the event loop is to do or to know.

use std::net::SocketAddr;

use super::url::TurnUrl;

/// The id of a stream to a TURN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u64);

#[cfg(test)]
impl StreamId {
    /// Returns the id of this number.
    pub(crate) fn numbered(number: u64) -> Self {
        StreamId(number)
    }
}

/// Something for the event loop to do, or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram from one of the UDP sockets.
    Transmit {
        /// The socket to send from.
        source: SocketAddr,
        /// The server.
        destination: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// A datagram came through a relay.
    Relayed {
        /// The relayed address that it was sent to.
        destination: SocketAddr,
        /// The peer.
        source: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Connect to a server over TCP.
    OpenStream {
        /// The id of the stream from now on.
        stream: StreamId,
        /// The server, or the HTTP proxy.
        server: SocketAddr,
        /// If set, that is a proxy, which is to be asked for this host and port.
        target: Option<(String, u16)>,
        /// If set, use TLS; the server must prove to be this host.
        tls: Option<String>,
    },
    /// Write to a stream: all of the bytes or, if they may be lost, all or nothing.
    Write {
        /// The stream, which is open.
        stream: StreamId,
        /// The bytes to write.
        bytes: Vec<u8>,
        /// The bytes are a peer's packet, which may be lost when there is no room.
        may_be_lost: bool,
    },
    /// Close a stream. Nothing more may be reported of it.
    CloseStream(StreamId),
    /// [`Reach::lanes`](super::reach::Reach::lanes) has changed.
    CandidatesChanged,
    /// Our address outside, as STUN servers see it, is another than before: a router has got another one, or
    /// we are behind another router. What went through it over TCP is lost.
    OuterAddressChanged,
    /// A server that relays for us has fallen silent, so the network itself is in doubt.
    ServerSilent,
    /// The server does not accept, or no longer accepts, the name and password that were given to us
    /// for it. Whoever gave them may have others.
    LoginRefused(TurnUrl),
}
