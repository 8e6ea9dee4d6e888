//! What the core needs of a WebRTC stack: one [`Link`] is one attempt at a peer connection.
//!
//! [`self::webrtc`] puts str0m behind it; tests step the core through thousands of seeds with
//! a deterministic one.

pub mod description;
mod late_start;
mod pacing;
pub mod webrtc;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::nat::candidate::LocalCandidate;

/// The two data channels that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Label `mesh`: mesh messages.
    Mesh,
    /// Label `mesh-control`: the session's frames, only between two of ours.
    Control,
}

impl Channel {
    /// The label on the wire.
    pub fn label(self) -> &'static str {
        match self {
            Channel::Mesh => "mesh",
            Channel::Control => "mesh-control",
        }
    }

    /// The channel of a label; `None` for channels that are none of our business.
    pub fn of_label(label: &str) -> Option<Self> {
        [Channel::Mesh, Channel::Control]
            .into_iter()
            .find(|channel| channel.label() == label)
    }
}

/// A datagram that came in.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The local address that it came in on.
    pub destination: SocketAddr,
    /// Who sent it.
    pub source: SocketAddr,
    /// Its payload.
    pub bytes: &'a [u8],
}

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The local address to send it from.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// Its payload.
    pub bytes: Vec<u8>,
}

/// What a link has to say; polled until it says [`LinkOutput::Timeout`].
#[derive(Debug)]
pub enum LinkOutput {
    /// Send this.
    Transmit(Transmit),
    /// The channel is open, both ways.
    Opened(Channel),
    /// A message came in.
    Message(Channel, Vec<u8>),
    /// The pair of addresses in use was looked at.
    Pair {
        /// Our end: a socket's address, or a relayed one.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// From there and back, if that was measured.
        round_trip: Option<Duration>,
    },
    /// The other side ended the connection, or it cannot go on.
    Closed,
    /// Nothing more until this time, or until the next input.
    Timeout(Instant),
}

/// Why a link failed; names no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkError(pub String);

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LinkError {}

/// Makes links.
pub trait Linker {
    /// What it makes.
    type Link: Link;

    /// Starts a connection with the given local candidates; gives the offer's SDP.
    fn offer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
    ) -> Result<(Self::Link, String), LinkError>;

    /// Answers an offer with the given local candidates; gives the answer's SDP.
    fn answer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        offer: &str,
    ) -> Result<(Self::Link, String), LinkError>;
}

/// One attempt at a peer connection, from description to goodbye. Sans-IO.
///
/// After every input and every write it is polled until it asks for a timeout.
pub trait Link {
    /// Takes the answer to the offer that it was made with.
    fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), LinkError>;

    /// Adds a candidate of the peer, after its description. An error harms nothing.
    fn add_remote_candidate(&mut self, candidate: &str) -> Result<(), LinkError>;

    /// Adds a local candidate found later; gives the candidate line to trickle, unless it is of no
    /// use beside those that there are.
    fn add_local_candidate(&mut self, candidate: LocalCandidate) -> Option<String>;

    /// Nothing can be sent from this candidate any more.
    fn remove_local_candidate(&mut self, candidate: LocalCandidate);

    /// Whether the datagram belongs to this connection. Of STUN this is certain: it bears the password
    /// of one of the descriptions. All else is judged by the address that it claims to come from.
    fn accepts(&self, now: Instant, datagram: &Datagram<'_>) -> bool;

    /// Takes a datagram of this connection.
    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<(), LinkError>;

    /// Time has passed.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError>;

    /// What it has to say.
    fn poll(&mut self) -> Result<LinkOutput, LinkError>;

    /// Opens `mesh-control`, once the description of the other side is known.
    fn open_control(&mut self);

    /// Writes a message, all or nothing; `false` when it does not fit now.
    fn write(&mut self, channel: Channel, message: &[u8]) -> Result<bool, LinkError>;

    /// Bytes written to the channel and not acknowledged by the peer's transport; `usize::MAX` when
    /// that can't be told any more.
    fn buffered(&mut self, channel: Channel) -> usize;

    /// Starts the goodbye; what it has to say of it is polled as ever.
    fn close(&mut self);
}
