//! Registry and sidecar: the frames on the WebSocket (contract parts 3 and 5).

use super::PeerId;

/// Our additions to the payload of an offer, answer or candidate (contract part 5). Registries
/// relay them, others ignore them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extension {
    /// Whether the sender speaks part 5 (`"v": 1` or higher).
    pub ours: bool,
    /// The connection attempt it belongs to, chosen by the offerer.
    pub conn: Option<String>,
    /// The sender's session.
    pub session: Option<String>,
}

/// What one sidecar tells another through the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// `offer`
    Offer {
        /// The session description.
        sdp: String,
    },
    /// `answer`
    Answer {
        /// The session description.
        sdp: String,
    },
    /// `ice_candidate`; we send `sdpMid` `"0"` and `sdpMLineIndex` 0, and take any.
    Candidate {
        /// The candidate line; an empty one ends the candidates.
        candidate: String,
    },
}

/// A frame to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// `register`
    Register,
    /// `heartbeat`
    Heartbeat,
    /// Relayed to `target`.
    Relay {
        /// Who gets it.
        target: PeerId,
        /// What it says.
        signal: Signal,
        /// Our additions.
        extension: Extension,
    },
}

/// A frame from the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// `peer_list`: names that are not usable are left out.
    PeerList {
        /// The others online that this one may see.
        peers: Vec<PeerId>,
    },
    /// Relayed from `sender`.
    Relay {
        /// Who sent it.
        sender: PeerId,
        /// What it says.
        signal: Signal,
        /// Our additions, as far as they are usable.
        extension: Extension,
    },
    /// A type that we do not know; ignored.
    Unknown {
        /// The type, shortened for a log line.
        kind: String,
    },
}

/// Why a frame can not be used; the text names no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError(pub String);

impl Outgoing {
    /// The text frame, sent by `own`.
    pub fn to_text(&self, own: &PeerId) -> String {
        todo!("{own}")
    }
}

impl Incoming {
    /// Parses a text frame.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        todo!("{text}")
    }
}
