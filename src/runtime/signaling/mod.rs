//! The registry's side: token, WebSocket, reconnecting, on a thread of its own.

use crate::protocol::PeerId;
use crate::protocol::signaling::Incoming;

/// What the signaling thread tells the event loop.
#[derive(Debug)]
pub enum Notice {
    /// The WebSocket is open and `register` has been sent.
    Connected {
        /// The name that the registry gave us.
        peer_id: PeerId,
    },
    /// A frame has come in.
    Frame(Incoming),
    /// The connection was lost, or could not be made; it is being tried again.
    Disconnected {
        /// Why, for a person.
        reason: String,
    },
    /// The key or token was refused.
    Refused {
        /// Why, for a person.
        reason: String,
        /// The API key was refused at the very first exchange: the process ends with code 3.
        /// Otherwise it is being tried again.
        fatal: bool,
    },
}
