//! The interface between the core and a WebRTC stack: one [`Link`] is one attempt at a peer connection.
//!
//! [`self::webrtc`] implements it with str0m. Tests step the core through thousands of seeds with a
//! deterministic implementation.

mod candidate;
pub(crate) mod check;
mod checked_pairs;
mod clock;
mod consent;
pub mod description;
mod dtls;
pub(crate) mod dtls_record;
mod guard;
mod late_start;
mod message_size;
mod negotiation;
mod pacing;
mod preference;
mod remote;
pub mod sctp_init;
mod sources;
pub mod webrtc;
pub mod webrtc_link;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::nat::candidate::LocalCandidate;

/// The two data channels that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Label `mesh`: mesh messages.
    Mesh,
    /// Label `mesh-control`: the session's frames, only between two of ours.
    Control,
}

impl Channel {
    /// Returns the label on the wire.
    pub fn label(self) -> &'static str {
        match self {
            Channel::Mesh => "mesh",
            Channel::Control => "mesh-control",
        }
    }

    /// Returns the channel of a label; `None` for channels that are not ours.
    pub fn of_label(label: &str) -> Option<Self> {
        [Channel::Mesh, Channel::Control]
            .into_iter()
            .find(|channel| channel.label() == label)
    }
}

/// A pair of addresses that datagrams take (RFC 8445: a candidate pair).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Our end: a socket's address, or a relayed one.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

/// A datagram that came in.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The local address that it came in on.
    pub destination: SocketAddr,
    /// The sender's address.
    pub source: SocketAddr,
    /// Its payload.
    pub bytes: &'a [u8],
}

impl Datagram<'_> {
    /// Returns the pair of addresses that it has come by.
    pub(crate) fn path(&self) -> Path {
        Path {
            local: self.destination,
            remote: self.source,
        }
    }
}

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The local address to send it from.
    pub source: SocketAddr,
    /// The address to send it to.
    pub destination: SocketAddr,
    /// Its payload.
    pub bytes: Vec<u8>,
}

/// An output of a link, which is polled until it gives [`LinkOutput::Timeout`].
#[derive(Debug)]
pub enum LinkOutput {
    /// A datagram to send.
    Transmit(Transmit),
    /// The channel is open, in both directions.
    Opened(Channel),
    /// A message came in.
    Message(Channel, Vec<u8>),
    /// The pair of addresses in use, as it was last looked at.
    Pair {
        /// Our end: a socket's address, or a relayed one.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// The round-trip time, if it was measured.
        round_trip: Option<Duration>,
    },
    /// There is a path again, after there was none for a while. Which one it is shows when something is sent.
    Nominated,
    /// The other side has ended the connection, or it cannot go on.
    Closed,
    /// There is nothing more until this time, or until the next input.
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

/// The SHA-256 fingerprints of both certificates of a link, as descriptions write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// That of our certificate.
    pub ours: String,
    /// That of the certificate with which the peer has proven itself.
    pub theirs: String,
}

/// How large the datagrams of a link are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Packets {
    /// [`FULL_PACKET_BYTES`](crate::limits::FULL_PACKET_BYTES) at most, which nearly every path takes.
    #[default]
    Full,
    /// [`SMALL_PACKET_BYTES`](crate::limits::SMALL_PACKET_BYTES) at most, for a path that swallows larger ones.
    Small,
}

/// Makes links.
pub trait Linker {
    /// The kind of link that it makes.
    type Link: Link;

    /// Returns the SHA-256 fingerprint of our certificate, which all links have.
    fn fingerprint(&self) -> String;

    /// Starts a connection with the given local candidates; returns the offer's SDP with it.
    fn offer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
    ) -> Result<(Self::Link, String), LinkError>;

    /// Answers an offer with the given local candidates; returns the answer's SDP with the connection.
    fn answer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
        offer: &str,
    ) -> Result<(Self::Link, String), LinkError>;
}

/// One attempt at a peer connection, from description to goodbye. Sans-IO.
///
/// After every input and every write it is polled until it asks for a timeout.
pub trait Link {
    /// Takes the answer to the offer that the link was made with.
    fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), LinkError>;

    /// Adds a candidate of the peer, once the peer's description is known. An error does no harm.
    fn add_remote_candidate(&mut self, candidate: &str) -> Result<(), LinkError>;

    /// Adds a local candidate that was found later. Returns the candidate line to trickle, or `None` if
    /// the candidate is of no use beside those that there are.
    fn add_local_candidate(&mut self, candidate: LocalCandidate) -> Option<String>;

    /// Removes a local candidate from which nothing can be sent any more.
    fn remove_local_candidate(&mut self, candidate: LocalCandidate);

    /// Checks every pair of candidates anew and at once, those that were given up included, while `local`
    /// are the local candidates. The path in use stays until another is found to work.
    fn check_again(&mut self, now: Instant, local: &[LocalCandidate]);

    /// Returns the certificates of both sides, once a channel is open. `None` before, and if the peer's was
    /// announced by another hash function.
    fn certificates(&mut self) -> Option<Certificates>;

    /// Returns whether a path is chosen that works as far as is known. Without one nothing that is sent arrives.
    fn has_path(&self) -> bool;

    /// Takes another pair of addresses for what is sent, as soon as it has answered a check. The other pairs
    /// are given up until [`Link::check_again`]. To be called on the side that made the offer, since that one
    /// chooses. `local` are the local candidates, `seen` all addresses from which the peer was heard.
    fn prefer(
        &mut self,
        now: Instant,
        path: Path,
        local: &[LocalCandidate],
        seen: &[SocketAddr],
    ) -> Result<(), LinkError>;

    /// Asks the peer for a sign of life on the pair in use. By itself a link hardly checks any pair once one is
    /// known to work.
    fn ask(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr);

    /// Sends at once again what the peer's transport has not acknowledged, because the path works again.
    /// Without it the transport waits about as long as the path was dead.
    fn retransmit(&mut self, now: Instant) -> Result<(), LinkError>;

    /// Returns whether the datagram belongs to this connection. For STUN this is certain: it bears the
    /// password of one of the descriptions. Anything else is judged by the address that it claims to come
    /// from.
    fn accepts(&self, now: Instant, datagram: &Datagram<'_>) -> bool;

    /// Takes a datagram of this connection.
    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<(), LinkError>;

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError>;

    /// Returns its next output.
    fn poll(&mut self) -> Result<LinkOutput, LinkError>;

    /// Opens `mesh-control`. To be called once the description of the other side is known.
    fn open_control(&mut self);

    /// Writes a message as a whole; returns `false` when it does not fit now.
    fn write(&mut self, channel: Channel, message: &[u8]) -> Result<bool, LinkError>;

    /// Returns how many bytes written to the channel are not acknowledged by the peer's transport;
    /// `usize::MAX` when that can't be told any more.
    fn buffered(&mut self, channel: Channel) -> usize;

    /// Starts the goodbye. Its datagrams are polled as usual.
    fn close(&mut self);
}
