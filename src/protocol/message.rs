//! A mesh message M (contract part 2): checked, never rebuilt.

use std::sync::Arc;

/// A mesh message as its JSON text: one object with a string `type`, on one line. Cheap to clone.
///
/// Whoever made it, its text is untouched: key order, numbers of any size, unknown fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Arc<str>);

/// Why a text is no mesh message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageError {
    /// Not UTF-8, or not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// An object without a `type` that is a string.
    NoType,
}

impl Message {
    /// Checks the message of an agent's command; `json` is known to be JSON on one line.
    pub fn from_agent(json: &str) -> Result<Self, MessageError> {
        todo!("{json}")
    }

    /// Checks a data channel message of a peer, puts it on one line, and adds the fields that an
    /// agent may rely on where they are missing (contract part 2).
    pub fn from_peer(data: &[u8]) -> Result<Self, MessageError> {
        todo!("{data:?}")
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Length of the JSON text in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The `request_id`, for an error that has to name it. Parses; not for the hot path.
    pub fn request_id(&self) -> Option<String> {
        todo!()
    }
}
