//! Statistics: collects the numbers that `stats` tells.

use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::protocol::PeerId;
use crate::protocol::ipc::RegistryState;

use super::Mesh;
use super::base::totals::Count;
use super::connection::Role;
use super::link::Linker;
use super::peer::{Peer, State};

#[derive(Serialize)]
struct Statistics<'a> {
    process: Process<'a>,
    peers: Vec<PeerStatistics<'a>>,
    /// Those that the registry has listed.
    listed: Vec<&'a PeerId>,
}

#[derive(Serialize)]
struct Process<'a> {
    version: &'static str,
    uptime_seconds: f64,
    peer_id: Option<&'a PeerId>,
    /// `connected`, `connecting` or `refused`.
    registry: &'static str,
    /// How many peers are in each state.
    peers: PeerCounts,
    /// Bytes accepted from the agent and not known to have arrived.
    queued_bytes: usize,
    /// Bytes that have arrived and were not taken by the agent.
    inbox_bytes: usize,
    sent: Count,
    received: Count,
    /// Losses by cause.
    drops: Drops,
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
    ignored_offers: u64,
    ignored_candidates: u64,
    ignored_frames: u64,
    events_left_out: u64,
}

#[derive(Serialize)]
struct PeerStatistics<'a> {
    peer_id: &'a PeerId,
    state: State,
    /// For how many seconds it has been in this state.
    since_seconds: f64,
    role: Option<&'static str>,
    /// Whether the peer is one of ours, so that there is a session with it.
    session: bool,
    path: Option<PathStatistics<'a>>,
    round_trip_ms: Option<f64>,
    sent: Count,
    received: Count,
    queued_bytes: usize,
    inbox_bytes: usize,
    restarts: u64,
}

#[derive(Serialize)]
struct PathStatistics<'a> {
    local: LocalEnd<'a>,
    remote: End,
}

#[derive(Serialize)]
struct LocalEnd<'a> {
    #[serde(flatten)]
    end: End,
    /// The name of its interface; `null` for an address on a relay.
    interface: Option<&'a str>,
    /// `physical`, `tunnel`, `bridge`, `loopback` or `unknown`; `null` for an address on a relay.
    interface_kind: Option<&'static str>,
}

#[derive(Serialize)]
struct End {
    /// `host`, `srflx`, `prflx` or `relay`.
    kind: &'static str,
    address: SocketAddr,
}

impl<K: Linker> Mesh<K> {
    /// Returns the payload of `stats`.
    pub(super) fn statistics(&self, now: Instant) -> Box<RawValue> {
        let mut counts = PeerCounts::default();
        for peer in self.peers.values() {
            match peer.state {
                State::Connected => counts.connected += 1,
                State::Connecting => counts.connecting += 1,
                State::Disconnected => counts.disconnected += 1,
            }
        }
        let peers = self.peers.values();
        let statistics = Statistics {
            process: Process {
                version: env!("CARGO_PKG_VERSION"),
                uptime_seconds: now.saturating_duration_since(self.started).as_secs_f64(),
                peer_id: self.own.as_ref(),
                registry: match self.roster.state() {
                    RegistryState::Connected => "connected",
                    RegistryState::Disconnected => "connecting",
                    RegistryState::Refused => "refused",
                },
                peers: counts,
                queued_bytes: peers
                    .clone()
                    .map(|peer| peer.session.queued().bytes())
                    .sum(),
                inbox_bytes: self.agent.message_bytes(),
                sent: self.totals.sent,
                received: self.totals.received,
                drops: Drops {
                    failed_messages: self.totals.failed_messages,
                    unusable_messages: self.totals.unusable_messages,
                    stray_datagrams: self.totals.stray_datagrams,
                    ignored_offers: self.totals.ignored_offers,
                    ignored_candidates: self.totals.ignored_candidates,
                    ignored_frames: self.totals.ignored_frames,
                    events_left_out: self.agent.left_out(),
                },
            },
            peers: peers.map(|peer| self.statistics_of(now, peer)).collect(),
            listed: self.roster.listed().collect(),
        };
        // Numbers and strings always have a JSON form.
        serde_json::value::to_raw_value(&statistics).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    fn statistics_of<'a>(&'a self, now: Instant, peer: &'a Peer) -> PeerStatistics<'a> {
        let current = self.current_of(&peer.id);
        PeerStatistics {
            peer_id: &peer.id,
            state: peer.state,
            since_seconds: now.saturating_duration_since(peer.since).as_secs_f64(),
            role: current.map(|current| match current.role {
                Role::Offerer => "offerer",
                Role::Answerer => "answerer",
            }),
            session: peer.speaks_sessions,
            path: current.and_then(|current| {
                let path = current.path?;
                let interface = self.interfaces.get(&path.local.ip());
                Some(PathStatistics {
                    local: LocalEnd {
                        end: End {
                            kind: current.kind_of_local(path.local),
                            address: path.local,
                        },
                        interface: interface.map(|(name, _)| name.as_str()),
                        interface_kind: interface.map(|(_, kind)| kind.name()),
                    },
                    remote: End {
                        kind: current.kind_of_remote(path.remote),
                        address: path.remote,
                    },
                })
            }),
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
}
