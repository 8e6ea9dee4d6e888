//! The IPC protocol between agent and sidecar: commands and events (contract parts 2 and 5).

mod command;
mod event;

pub use command::{line_too_long, parse};

use serde_json::value::RawValue;

use super::PeerId;
use super::message::Message;

/// The `"id"` of a command: a JSON string or integer, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandId(Box<str>);

impl CommandId {
    /// Returns the JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// A command of an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `send`
    Send {
        /// The peer that gets the message.
        target_peer: PeerId,
        /// The message.
        message: Message,
    },
    /// `broadcast`
    Broadcast {
        /// The message that every connected peer gets.
        message: Message,
    },
    /// `list_peers`
    ListPeers,
    /// `connect`
    Connect {
        /// The peer to open a connection to.
        target_peer_id: PeerId,
    },
    /// `stats`
    Stats,
}

/// A command and the id its answer has to carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The id. With one the command is answered exactly once; without, only its failure is told.
    pub id: Option<CommandId>,
    /// The command.
    pub command: Command,
}

/// The error codes of contract part 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The line is not JSON, or not UTF-8.
    BadJson,
    /// The line is longer than the limit.
    LineTooLong,
    /// The `type` is none that we know.
    UnknownCommand,
    /// A field is missing or of the wrong type.
    BadCommand,
    /// The message is no object or has no `type`.
    BadMessage,
    /// The peer is neither connected nor known to the registry.
    UnknownPeer,
    /// There was no connection within the deadline.
    ConnectFailed,
    /// The message was handed to a connection that ended, and is not known to have arrived.
    ConnectionLost,
    /// The message is larger than the peer or the settings allow.
    MessageTooLarge,
    /// The peer's queue has been full for too long.
    PeerStalled,
    /// The peer has not proven itself, has another certificate than it should have, or is not allowed.
    UntrustedPeer,
    /// `MAX_PEERS` is reached.
    TooManyPeers,
    /// Another agent is connected.
    Busy,
    /// The sidecar is ending.
    ShuttingDown,
}

impl ErrorCode {
    /// Returns the code as the contract spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BadJson => "bad_json",
            ErrorCode::LineTooLong => "line_too_long",
            ErrorCode::UnknownCommand => "unknown_command",
            ErrorCode::BadCommand => "bad_command",
            ErrorCode::BadMessage => "bad_message",
            ErrorCode::UnknownPeer => "unknown_peer",
            ErrorCode::ConnectFailed => "connect_failed",
            ErrorCode::ConnectionLost => "connection_lost",
            ErrorCode::MessageTooLarge => "message_too_large",
            ErrorCode::PeerStalled => "peer_stalled",
            ErrorCode::UntrustedPeer => "untrusted_peer",
            ErrorCode::TooManyPeers => "too_many_peers",
            ErrorCode::Busy => "busy",
            ErrorCode::ShuttingDown => "shutting_down",
        }
    }
}

/// The payload of an `error`.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorReport {
    /// The kind of failure.
    pub code: ErrorCode,
    /// Text for a person: what failed, with what value, what to do.
    pub message: String,
    /// The peer it is about.
    pub target_peer: Option<PeerId>,
    /// The `request_id` of the message it is about.
    pub request_id: Option<String>,
    /// The limit that was exceeded, in bytes.
    pub limit: Option<u64>,
}

impl ErrorReport {
    /// Makes a report with the other fields empty.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ErrorReport {
            code,
            message: message.into(),
            target_peer: None,
            request_id: None,
            limit: None,
        }
    }
}

/// The reason why a line is no request. It becomes an `error` with the line's id, if it had a usable one.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The id of the line, as far as it could be read.
    pub id: Option<CommandId>,
    /// The error to answer it with.
    pub error: ErrorReport,
}

/// Sizes that a line is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest message, in bytes of its JSON text.
    pub message_bytes: usize,
    /// Longest line, in bytes.
    pub line_bytes: usize,
}

/// The place to which a delivered message is known to have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The peer's agent's socket has taken it.
    Agent,
    /// The peer's SCTP stack has acknowledged all of it.
    Transport,
}

/// The payload of an `ok`.
#[derive(Debug, Clone, PartialEq)]
pub enum Success {
    /// The answer to `send`.
    Sent {
        /// The peer that has the message.
        target_peer: PeerId,
        /// How far the message is known to have come.
        receipt: Receipt,
    },
    /// The answer to `broadcast`.
    Broadcast {
        /// The peers that have the message.
        delivered: Vec<PeerId>,
        /// The peers that do not have it, and why.
        failed: Vec<(PeerId, ErrorCode)>,
    },
    /// The answer to `connect`.
    Connected {
        /// The peer that is connected.
        target_peer_id: PeerId,
    },
}

/// The state of the registry connection in a `registry` event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryState {
    /// The sidecar is registered.
    Connected,
    /// The connection is gone and is being tried again.
    Disconnected,
    /// The key or token was refused; it is being tried again.
    Refused,
}

/// Whether a peer's queue is above its watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// It is above, so more would be held back.
    High,
    /// It is below again.
    Normal,
}

/// An event that an agent is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// `ready`
    Ready {
        /// The sidecar's own name, once the registry gave one.
        peer_id: Option<PeerId>,
        /// The SHA-256 fingerprint of the sidecar's certificate; not told to those who only ask whether it is there.
        fingerprint: Option<String>,
        /// Largest message, in bytes.
        max_message_bytes: usize,
        /// Longest line, in bytes.
        max_line_bytes: usize,
        /// Whether the registry is `connected`; otherwise `connecting`.
        registry_connected: bool,
    },
    /// `message`
    Message {
        /// The peer that sent it.
        from_peer: PeerId,
        /// The message.
        message: Message,
    },
    /// `peer_connected`
    PeerConnected {
        /// The peer.
        peer_id: PeerId,
        /// Whether the earlier session goes on; only then is the field written.
        resumed: bool,
    },
    /// `peer_disconnected`
    PeerDisconnected {
        /// The peer.
        peer_id: PeerId,
    },
    /// `peer_list`
    PeerList {
        /// The id of the command.
        id: Option<CommandId>,
        /// The connected peers.
        peers: Vec<PeerId>,
    },
    /// `ok`
    Ok {
        /// The id of the command.
        id: CommandId,
        /// The result.
        payload: Success,
    },
    /// `error`
    Error {
        /// The id of the command, if it had one.
        id: Option<CommandId>,
        /// The failure.
        error: ErrorReport,
    },
    /// `registry`
    Registry {
        /// The state of the connection.
        state: RegistryState,
        /// The sidecar's own name, if known.
        peer_id: Option<PeerId>,
        /// The reason, for a person.
        reason: Option<String>,
    },
    /// `pressure`
    Pressure {
        /// The peer whose queue it is.
        target_peer: PeerId,
        /// Whether the queue is above or below its watermark.
        state: Pressure,
        /// Bytes in the queue.
        queued_bytes: usize,
    },
    /// `stats`
    Stats {
        /// The id of the command.
        id: Option<CommandId>,
        /// The numbers, a JSON object.
        payload: Box<RawValue>,
    },
}
