//! The numbers that `stats` tells.

use std::time::Instant;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::protocol::PeerId;

use super::Mesh;
use super::connection::{Count, Role};
use super::link::Linker;
use super::peer::Peer;

/// Counted since the process started.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) sent: Count,
    pub(super) received: Count,
    pub(super) failed_messages: u64,
    pub(super) unusable_messages: u64,
    pub(super) stray_datagrams: u64,
}

#[derive(Serialize)]
struct Statistics<'a> {
    version: &'static str,
    peer_id: Option<&'a PeerId>,
    uptime_seconds: f64,
    registry: &'static str,
    peers: PeerCounts,
    queued_bytes: usize,
    inbox_bytes: usize,
    messages_sent: u64,
    bytes_sent: u64,
    messages_received: u64,
    bytes_received: u64,
    drops: Drops,
    connections: Vec<PeerStatistics<'a>>,
}

#[derive(Serialize, Default)]
struct PeerCounts {
    connected: usize,
    connecting: usize,
    disconnected: usize,
}

#[derive(Serialize)]
struct Drops {
    failed_messages: u64,
    unusable_messages: u64,
    stray_datagrams: u64,
    events_left_out: u64,
}

#[derive(Serialize)]
struct PeerStatistics<'a> {
    peer_id: &'a PeerId,
    state: &'static str,
    /// Seconds since the connection in use was opened.
    since_seconds: Option<f64>,
    role: Option<&'static str>,
    session: bool,
    path: Option<PathStatistics>,
    round_trip_ms: Option<f64>,
    messages_sent: u64,
    bytes_sent: u64,
    messages_received: u64,
    bytes_received: u64,
    queued_bytes: usize,
    inbox_bytes: usize,
    restarts: u64,
}

#[derive(Serialize)]
struct PathStatistics {
    kind: &'static str,
    local: String,
    remote: String,
}

impl<K: Linker> Mesh<K> {
    /// The payload of `stats`.
    pub(super) fn statistics(&self, now: Instant) -> Box<RawValue> {
        let mut peers = PeerCounts::default();
        for peer in self.peers.values() {
            match state_of(peer) {
                "connected" => peers.connected += 1,
                "connecting" => peers.connecting += 1,
                _ => peers.disconnected += 1,
            }
        }
        let statistics = Statistics {
            version: env!("CARGO_PKG_VERSION"),
            peer_id: self.own.as_ref(),
            uptime_seconds: now.saturating_duration_since(self.started).as_secs_f64(),
            registry: if self.roster.is_connected() {
                "connected"
            } else {
                "connecting"
            },
            peers,
            queued_bytes: self
                .peers
                .values()
                .map(|peer| peer.session.queued_bytes())
                .sum(),
            inbox_bytes: self.agent.message_bytes(),
            messages_sent: self.totals.sent.messages,
            bytes_sent: self.totals.sent.bytes,
            messages_received: self.totals.received.messages,
            bytes_received: self.totals.received.bytes,
            drops: Drops {
                failed_messages: self.totals.failed_messages,
                unusable_messages: self.totals.unusable_messages,
                stray_datagrams: self.totals.stray_datagrams,
                events_left_out: self.agent.left_out(),
            },
            connections: self
                .peers
                .values()
                .map(|peer| self.statistics_of(now, peer))
                .collect(),
        };
        // Numbers and strings always have a JSON form.
        serde_json::value::to_raw_value(&statistics).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    fn statistics_of<'a>(&'a self, now: Instant, peer: &'a Peer) -> PeerStatistics<'a> {
        let current = self.current_of(&peer.id);
        PeerStatistics {
            peer_id: &peer.id,
            state: state_of(peer),
            since_seconds: current
                .and_then(|current| current.opened)
                .map(|opened| now.saturating_duration_since(opened).as_secs_f64()),
            role: current.map(|current| match current.role {
                Role::Offerer => "offerer",
                Role::Answerer => "answerer",
            }),
            session: peer.speaks_sessions,
            path: current.and_then(|current| {
                let path = current.path?;
                Some(PathStatistics {
                    kind: current.kind_of(path.remote),
                    local: path.local.to_string(),
                    remote: path.remote.to_string(),
                })
            }),
            round_trip_ms: current
                .and_then(|current| current.round_trip)
                .map(|round_trip| round_trip.as_secs_f64() * 1000.0),
            messages_sent: peer.sent.messages,
            bytes_sent: peer.sent.bytes,
            messages_received: peer.received.messages,
            bytes_received: peer.received.bytes,
            queued_bytes: peer.session.queued_bytes(),
            inbox_bytes: peer.inbox_bytes,
            restarts: peer.restarts,
        }
    }
}

fn state_of(peer: &Peer) -> &'static str {
    if peer.reachable {
        "connected"
    } else if peer.connections.is_empty() {
        "disconnected"
    } else {
        "connecting"
    }
}
