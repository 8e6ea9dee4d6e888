//! Messages between the signaling thread and the event loop.

use std::time::Duration;

use crate::protocol::PeerId;
use crate::protocol::signaling::{Incoming, Outgoing};

/// A message of the signaling thread to the event loop. Reasons name no secret; they have been logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The WebSocket is open and `register` has been sent.
    Connected {
        /// The name that the registry gave us.
        peer_id: PeerId,
    },
    /// The registry was found to be so far away. Comes before [`Notice::Connected`].
    Measured {
        /// The round trip of a TCP connection.
        round_trip: Duration,
    },
    /// A frame has come in.
    Frame(Incoming),
    /// The connection was lost, or could not be made; it is being tried again. Sent once for each
    /// reason in an outage.
    Disconnected {
        /// Why, for a person.
        reason: String,
    },
    /// Another sidecar uses our name, and the registry has let it take our place. It is tried again after
    /// minutes.
    NameTaken {
        /// Why, for a person.
        reason: String,
    },
    /// The key or token was refused. Sent once for each reason in an outage.
    Refused {
        /// Why, for a person.
        reason: String,
        /// Whether the API key was refused before it was ever accepted, so that the process ends with
        /// code 3. Otherwise the connection is being tried again.
        fatal: bool,
    },
}

/// A frame for one connection, with its number, so that it never goes out on a later one.
pub(super) type NumberedFrame = (u64, Outgoing);
