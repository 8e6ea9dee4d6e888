//! Statistics: collects the numbers that `stats` and the metrics tell.

use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::protocol::ipc::RegistryState;
use crate::protocol::{PathKind, PeerId};

use super::Mesh;
pub(crate) use super::base::histogram::Histogram;
use super::base::totals::{Count, Drops, ReceiptTimes};
use super::connection::{Connection, Role};
use super::link::Linker;
use super::peer::Peer;
pub(crate) use super::peer::State;

/// The numbers of one moment. It owns all that it tells, so another thread can write it.
#[derive(Debug, Serialize)]
pub(crate) struct Statistics {
    pub(crate) process: Process,
    pub(crate) peers: Vec<PeerStatistics>,
    /// Those that the registry has listed.
    listed: Vec<PeerId>,
    #[serde(skip)]
    pub(crate) receipts: ReceiptTimes,
}

#[derive(Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) version: &'static str,
    pub(crate) uptime_seconds: f64,
    pub(crate) peer_id: Option<PeerId>,
    /// The SHA-256 fingerprint of our certificate.
    pub(crate) fingerprint: String,
    /// `connected`, `connecting` or `refused`.
    pub(crate) registry: &'static str,
    /// How many peers are in each state.
    pub(crate) peers: PeerCounts,
    /// Messages accepted from the agent and not known to have arrived.
    pub(crate) queued_messages: usize,
    /// Their bytes.
    pub(crate) queued_bytes: usize,
    /// The part of these bytes that is in the overflow.
    pub(crate) overflow_bytes: usize,
    /// Bytes that have arrived and were not taken by the agent.
    pub(crate) inbox_bytes: usize,
    pub(crate) sent: Count,
    pub(crate) received: Count,
    /// Connections that took the place of another.
    pub(crate) restarts: u64,
    /// Losses by cause.
    pub(crate) drops: Drops,
}

#[derive(Debug, Serialize, Default)]
pub(crate) struct PeerCounts {
    pub(crate) connected: usize,
    pub(crate) connecting: usize,
    pub(crate) disconnected: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct PeerStatistics {
    pub(crate) peer_id: PeerId,
    pub(crate) state: State,
    /// For how many seconds it has been in this state.
    pub(crate) since_seconds: f64,
    role: Option<&'static str>,
    /// Whether the peer is one of ours, so that there is a session with it.
    session: bool,
    /// Whether it has proven on this connection that it knows the secret of the mesh.
    proven: bool,
    /// The SHA-256 fingerprint of its certificate.
    fingerprint: Option<String>,
    pub(crate) path: Option<PathStatistics>,
    pub(crate) round_trip_ms: Option<f64>,
    pub(crate) sent: Count,
    pub(crate) received: Count,
    pub(crate) queued_bytes: usize,
    pub(crate) inbox_bytes: usize,
    pub(crate) restarts: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PathStatistics {
    pub(crate) kind: PathKind,
    local: LocalEnd,
    remote: End,
}

#[derive(Debug, Serialize)]
struct LocalEnd {
    #[serde(flatten)]
    end: End,
    /// The name of its interface; `null` for an address on a relay.
    interface: Option<String>,
    /// `physical`, `tunnel`, `bridge`, `loopback` or `unknown`; `null` for an address on a relay.
    interface_kind: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct End {
    /// `host`, `srflx`, `prflx` or `relay`.
    kind: &'static str,
    address: SocketAddr,
}

impl Statistics {
    /// Returns the payload of `stats`.
    pub(crate) fn to_json(&self) -> Box<RawValue> {
        // Numbers and strings always have a JSON form.
        serde_json::value::to_raw_value(self).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

impl<K: Linker> Mesh<K> {
    /// Collects the numbers of this moment.
    pub(crate) fn statistics(&self, now: Instant) -> Statistics {
        let mut counts = PeerCounts::default();
        let mut queued = (0, 0);
        for peer in self.peers.values() {
            match peer.state {
                State::Connected => counts.connected += 1,
                State::Connecting => counts.connecting += 1,
                State::Disconnected => counts.disconnected += 1,
            }
            let waiting = peer.session.queued();
            queued = (queued.0 + waiting.items(), queued.1 + waiting.bytes());
        }
        let peers = self.peers.values();
        Statistics {
            process: Process {
                version: env!("CARGO_PKG_VERSION"),
                uptime_seconds: now.saturating_duration_since(self.started).as_secs_f64(),
                peer_id: self.own.clone(),
                fingerprint: self.linker.fingerprint(),
                registry: match self.roster.state() {
                    RegistryState::Connected => "connected",
                    RegistryState::Disconnected => "connecting",
                    RegistryState::Refused => "refused",
                },
                peers: counts,
                queued_messages: queued.0,
                queued_bytes: queued.1,
                overflow_bytes: self.overflow.bytes(),
                inbox_bytes: self.agent.message_bytes(),
                sent: self.totals.sent,
                received: self.totals.received,
                restarts: self.totals.restarts,
                drops: Drops {
                    events_left_out: self.agent.left_out(),
                    ..self.totals.drops
                },
            },
            peers: peers.map(|peer| self.statistics_of(now, peer)).collect(),
            listed: self.roster.listed().cloned().collect(),
            receipts: self.totals.receipts.clone(),
        }
    }

    fn statistics_of(&self, now: Instant, peer: &Peer) -> PeerStatistics {
        let current = self.current_of(&peer.id);
        PeerStatistics {
            peer_id: peer.id.clone(),
            state: peer.state,
            since_seconds: now.saturating_duration_since(peer.since).as_secs_f64(),
            role: current.map(|current| match current.role {
                Role::Offerer => "offerer",
                Role::Answerer => "answerer",
            }),
            session: peer.speaks_sessions,
            proven: self.settings.trust.secret.is_some()
                && current.is_some_and(|current| current.speaks_sessions),
            fingerprint: current.and_then(|current| current.fingerprint.clone()),
            path: current.and_then(|current| self.path_of(current)),
            round_trip_ms: current
                .and_then(|current| current.round_trip)
                .map(|round_trip| round_trip.as_secs_f64() * 1000.0),
            sent: peer.sent,
            received: peer.received,
            queued_bytes: peer.session.queued().bytes(),
            inbox_bytes: peer.inbox.bytes(),
            restarts: peer.restarts,
        }
    }

    fn path_of(&self, connection: &Connection<K::Link>) -> Option<PathStatistics> {
        let path = connection.path?;
        let interface = self.interfaces.get(&path.local.ip());
        let (local, remote) = connection.kinds_of(path);
        Some(PathStatistics {
            kind: PathKind::of(local, remote),
            local: LocalEnd {
                end: End {
                    kind: local,
                    address: path.local,
                },
                interface: interface.map(|(name, _)| name.clone()),
                interface_kind: interface.map(|(_, kind)| kind.name()),
            },
            remote: End {
                kind: remote,
                address: path.remote,
            },
        })
    }
}

/// Makes the numbers of a sidecar with so many connected peers, of all kinds of paths.
#[cfg(test)]
pub(crate) fn example(peers: usize) -> Statistics {
    use std::time::Duration;
    let count = |messages, bytes| Count { messages, bytes };
    let kinds = [("host", "host"), ("host", "srflx"), ("relay", "host")];
    let peer = |number: usize| {
        let (local, remote) = kinds[number % kinds.len()];
        let end = |kind| End {
            kind,
            address: SocketAddr::from(([192, 0, 2, 1], 5000)),
        };
        PeerStatistics {
            peer_id: PeerId::new(&format!("peer-{number}")).unwrap(),
            state: State::Connected,
            since_seconds: 1.0,
            role: Some("offerer"),
            session: true,
            proven: true,
            fingerprint: None,
            path: Some(PathStatistics {
                kind: PathKind::of(local, remote),
                local: LocalEnd {
                    end: end(local),
                    interface: Some("eth0".to_owned()),
                    interface_kind: Some("physical"),
                },
                remote: end(remote),
            }),
            round_trip_ms: Some(number as f64),
            sent: count(1, 100),
            received: count(2, 200),
            queued_bytes: 3,
            inbox_bytes: 4,
            restarts: 5,
        }
    };
    let mut receipts = ReceiptTimes::default();
    receipts.agent.observe(Duration::from_millis(250));
    receipts.agent.observe(Duration::from_millis(250));
    Statistics {
        process: Process {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: 60.0,
            peer_id: PeerId::new("own"),
            fingerprint: String::new(),
            registry: "connected",
            peers: PeerCounts {
                connected: peers,
                ..PeerCounts::default()
            },
            queued_messages: 1,
            queued_bytes: 2,
            overflow_bytes: 0,
            inbox_bytes: 5,
            sent: count(11, 1100),
            received: count(7, 700),
            restarts: 2,
            drops: Drops {
                failed_messages: 1,
                unusable_messages: 2,
                stray_datagrams: 3,
                ignored_offers: 4,
                ignored_candidates: 5,
                ignored_frames: 6,
                events_left_out: 7,
                untrusted_peers: 8,
            },
        },
        peers: (0..peers).map(peer).collect(),
        listed: Vec::new(),
        receipts,
    }
}
