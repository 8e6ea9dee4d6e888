//! The result of letting a connection read and write.

use tungstenite::Utf8Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

use super::http::Request;
use super::response::Response;

/// The next thing that a connection has for the registry.
pub(super) enum Next {
    /// A request whose body is on its way; to be answered, or read on with
    /// [`Connection::take_body`](super::connection::Connection::take_body).
    Head,
    /// A complete request; to be answered.
    Request(Request),
    /// Something that is no request, and the answer to it.
    NoRequest(Response),
    /// STUN in place of a request; these are its first bytes.
    Stun(Vec<u8>),
    /// A text frame from the peer.
    Frame(Utf8Bytes),
    /// The peer broke the rules; [`Connection::say_goodbye`](super::connection::Connection::say_goodbye)
    /// has to tell it so.
    Violation(CloseCode, &'static str),
    /// There is nothing until the socket is ready again.
    Blocked,
    /// There may be more, but it is the others' turn.
    TurnOver,
    /// The connection has ended, for this reason.
    Closed(&'static str),
}
