//! What a connection has for the registry, each time its socket is ready.

use tungstenite::Utf8Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

use super::http::{Request, Response};

/// What a connection has for the registry.
pub(super) enum Next {
    /// A request whose body is on its way; to be answered, or read on with [`Connection::take_body`](super::connection::Connection::take_body).
    Head,
    /// A request; to be answered.
    Request(Request),
    /// What came is no request; this is the answer to it.
    NoRequest(Response),
    /// A text frame of the peer.
    Frame(Utf8Bytes),
    /// The peer broke the rules; to be told so with [`Connection::say_goodbye`](super::connection::Connection::say_goodbye).
    Violation(CloseCode, &'static str),
    /// Nothing until the socket is ready again.
    Blocked,
    /// There may be more, but it is the others' turn.
    TurnOver,
    /// Over, and why.
    Closed(&'static str),
}
