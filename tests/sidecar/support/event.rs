//! An event: a line that a sidecar wrote.

use std::fmt;

use serde_json::Value;

/// One event, as its text and as the JSON value that it holds.
#[derive(Clone)]
pub(crate) struct Event {
    text: String,
    value: Value,
}

impl Event {
    pub(crate) fn parse(text: String) -> Self {
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Event { text, value }
    }

    /// The line without its end.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn kind(&self) -> &str {
        self.value["type"].as_str().expect(&self.text)
    }

    pub(crate) fn id(&self) -> Option<&Value> {
        self.value.get("id")
    }

    pub(crate) fn payload(&self) -> &Value {
        &self.value["payload"]
    }

    /// The code of an `error`; empty for other events.
    pub(crate) fn code(&self) -> &str {
        self.payload()["code"].as_str().unwrap_or_default()
    }

    /// Whether it is this event about this peer: `peer_connected`, `message`, `pressure` and the like.
    pub(crate) fn is(&self, kind: &str, peer: &str) -> bool {
        self.kind() == kind
            && ["peer_id", "from_peer", "target_peer"]
                .iter()
                .any(|field| self.payload()[field] == peer)
    }

    /// Returns the mesh message M of a `message`.
    pub(crate) fn message(&self) -> &Value {
        &self.payload()["message"]
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.text.chars().take(300).collect();
        f.write_str(&shown)
    }
}
