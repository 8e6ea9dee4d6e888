//! What the messages of clients lead to.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use turn_client_proto::stun::types::message::IntegrityKey;

use super::client::Client;
use crate::protocol::PeerId;
use crate::registry::unix_time::UnixTime;

/// The time, as allocations and as logins know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    pub(super) unix: UnixTime,
}

/// The id of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AllocationId(pub(super) usize);

/// The result of a client's message.
#[derive(Debug)]
pub(super) enum Reaction {
    /// Nothing.
    Nothing,
    /// Send this to the client.
    Answer(Vec<u8>),
    /// Bind a socket for the client, then call [`opened`](super::turn::Turn::opened).
    Open(Box<Opening>),
    /// Send this part of the message to a peer, from the socket of the allocation.
    Forward(AllocationId, SocketAddr, Range<usize>),
    /// Send this to another client: the peer is its relayed address.
    Deliver(Client, Vec<u8>),
}

/// A request for an allocation to which only the socket is missing.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) client: Client,
    pub(super) is_ipv4: bool,
    pub(super) request: Vec<u8>,
    pub(super) username: String,
    pub(super) peer: PeerId,
    pub(super) key: IntegrityKey,
    pub(super) lifetime: Duration,
}
