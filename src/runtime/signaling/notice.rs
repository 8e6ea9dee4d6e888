//! What the signaling thread and the event loop exchange.

use crate::protocol::PeerId;
use crate::protocol::signaling::{Incoming, Outgoing};

/// What the signaling thread tells the event loop. Reasons name no secret; they have been logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The WebSocket is open and `register` has been sent.
    Connected {
        /// The name that the registry gave us.
        peer_id: PeerId,
    },
    /// A frame has come in.
    Frame(Incoming),
    /// The connection was lost, or could not be made; it is being tried again. Told once for each
    /// reason in an outage.
    Disconnected {
        /// Why, for a person.
        reason: String,
    },
    /// The key or token was refused. Told once for each reason in an outage.
    Refused {
        /// Why, for a person.
        reason: String,
        /// The API key was refused before it was ever accepted: the process ends with code 3.
        /// Otherwise it is being tried again.
        fatal: bool,
    },
}

/// A frame for one connection, by its number, so that it never goes out on a later one.
pub(super) type NumberedFrame = (u64, Outgoing);
