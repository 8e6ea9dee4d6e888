//! The numbers as a sidecar tells them (`stats` in the contract), as far as they are shown.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The answer of a sidecar.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Numbers {
    pub(super) process: Process,
    pub(super) peers: Vec<Peer>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Process {
    pub(super) version: String,
    pub(super) uptime_seconds: f64,
    pub(super) peer_id: Option<String>,
    pub(super) registry: String,
    pub(super) peers: PeerCounts,
    pub(super) queued_bytes: u64,
    pub(super) inbox_bytes: u64,
    pub(super) sent: Count,
    pub(super) received: Count,
    #[serde(default)]
    pub(super) restarts: u64,
    pub(super) drops: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PeerCounts {
    pub(super) connected: u64,
    pub(super) connecting: u64,
    pub(super) disconnected: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Count {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Peer {
    pub(super) peer_id: String,
    pub(super) state: String,
    pub(super) since_seconds: f64,
    pub(super) path: Option<Path>,
    pub(super) round_trip_ms: Option<f64>,
    pub(super) sent: Count,
    pub(super) received: Count,
    pub(super) queued_bytes: u64,
    pub(super) inbox_bytes: u64,
    pub(super) restarts: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Path {
    pub(super) kind: String,
}

impl Numbers {
    /// Reads an answer; `None` if it is no sidecar's.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns the peer of this name.
    pub(super) fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.peer_id == name)
    }
}
