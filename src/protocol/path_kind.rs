//! The kind of a path between two peers, in the words of reports, statistics and metrics.

use serde::{Deserialize, Serialize};

/// The kind of a path, by the kinds of its two ends (RFC 8445).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// Both ends are addresses of the peers' own interfaces: no router translates between them.
    Host,
    /// It leads through a router that translates addresses.
    Direct,
    /// It leads over a relay.
    Relay,
}

impl PathKind {
    /// All kinds, in the order in which they are told.
    pub const ALL: [PathKind; 3] = [PathKind::Host, PathKind::Direct, PathKind::Relay];

    /// Returns the kind of a path whose ends are of these kinds: `host`, `srflx`, `prflx` or `relay`.
    pub fn of(local: &str, remote: &str) -> Self {
        match (local, remote) {
            ("relay", _) | (_, "relay") => PathKind::Relay,
            ("host", "host") => PathKind::Host,
            _ => PathKind::Direct,
        }
    }

    /// Returns the word for it: `host`, `direct` or `relay`.
    pub fn name(self) -> &'static str {
        match self {
            PathKind::Host => "host",
            PathKind::Direct => "direct",
            PathKind::Relay => "relay",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_relayed_end_makes_a_path_relayed() {
        for (local, remote, kind) in [
            ("host", "host", PathKind::Host),
            ("host", "srflx", PathKind::Direct),
            ("host", "prflx", PathKind::Direct),
            ("relay", "host", PathKind::Relay),
            ("host", "relay", PathKind::Relay),
        ] {
            assert_eq!(PathKind::of(local, remote), kind, "{local}, {remote}");
        }
    }

    #[test]
    fn its_name_is_the_word_in_json() {
        for kind in PathKind::ALL {
            assert_eq!(serde_json::json!(kind), kind.name());
        }
    }
}
