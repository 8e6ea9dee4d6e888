//! Whom a peer is connected to, as its heartbeats tell it (contract part 5).

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits;
use crate::protocol::{PathKind, PeerId};

/// A connection that a peer reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reported {
    /// The other end.
    pub(super) peer: PeerId,
    /// The kind of the path in use, if the peer tells it.
    pub(super) path: Option<PathKind>,
    /// The round-trip time in milliseconds, if the peer tells it.
    pub(super) round_trip_ms: Option<f64>,
}

/// The payload of a heartbeat of a sidecar of ours.
#[derive(Deserialize)]
struct Heartbeat<'a> {
    #[serde(borrow)]
    mesh_peers: Vec<Cow<'a, str>>,
    #[serde(default, borrow)]
    mesh_paths: Option<&'a RawValue>,
}

/// An element of `mesh_paths`.
#[derive(Deserialize)]
struct ReportedPath<'a> {
    #[serde(borrow)]
    peer_id: Cow<'a, str>,
    path: Option<PathKind>,
    round_trip_ms: Option<f64>,
}

impl Heartbeat<'_> {
    /// Returns the paths by the names of their peers. What cannot be used is as if it were not told.
    fn paths(&self) -> HashMap<String, (Option<PathKind>, Option<f64>)> {
        let paths = self.mesh_paths.map(RawValue::get).unwrap_or("[]");
        let paths: Vec<ReportedPath<'_>> = serde_json::from_str(paths).unwrap_or_default();
        let paths = paths.into_iter().take(limits::REPORTED_PEERS);
        let usable = |time: &f64| (0.0..=limits::REPORTED_ROUND_TRIP_MS).contains(time);
        paths
            .map(|path| {
                let round_trip = path.round_trip_ms.filter(usable);
                (path.peer_id.into_owned(), (path.path, round_trip))
            })
            .collect()
    }
}

/// Returns the peers that the payload of a heartbeat reports, if it does, as far as there is room for them.
pub(super) fn reported(payload: &RawValue) -> Option<Vec<Reported>> {
    let heartbeat = serde_json::from_str::<Heartbeat<'_>>(payload.get()).ok()?;
    let paths = heartbeat.paths();
    let mut room = limits::REPORT_BYTES;
    let names = heartbeat.mesh_peers.iter().take(limits::REPORTED_PEERS);
    let fitting = names.map_while(|name| {
        room = room.checked_sub(name.len())?;
        let (path, round_trip_ms) = paths.get(name.as_ref()).copied().unwrap_or_default();
        Some(PeerId::new(name).map(|peer| Reported {
            peer,
            path,
            round_trip_ms,
        }))
    });
    Some(fitting.flatten().collect())
}
