//! What [`Reach`](super::reach::Reach) wants done.

use std::net::SocketAddr;

use super::url::TurnUrl;

/// A stream to a TURN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u64);

/// Something to be done, or to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram from one of the UDP sockets.
    Transmit {
        /// The socket.
        source: SocketAddr,
        /// The server.
        destination: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// A datagram has come through a relay.
    Relayed {
        /// The relayed address that it came to.
        destination: SocketAddr,
        /// The peer.
        source: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Connect to a server over TCP.
    OpenStream {
        /// What the stream is called from now on.
        stream: StreamId,
        /// The server.
        server: SocketAddr,
        /// Over TLS; the server must prove to be this host.
        tls: Option<String>,
    },
    /// Write to a stream: all of it, or where it may be lost, nothing of it.
    Write {
        /// The stream, which is open.
        stream: StreamId,
        /// What to write.
        bytes: Vec<u8>,
        /// It is a peer's packet, which may be lost when there is no room.
        may_be_lost: bool,
    },
    /// Close a stream; nothing more is to be heard of it.
    CloseStream(StreamId),
    /// [`Reach::lanes`](super::reach::Reach::lanes) has changed.
    CandidatesChanged,
    /// This server does not take the name and password that were given to us for it, or takes them no
    /// more. Whoever gave them may have others.
    LoginRefused(TurnUrl),
}
