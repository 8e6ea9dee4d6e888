//! The topology of the mesh (contract part 3), without I/O: who is connected to whom. Our sidecars report
//! it; about others it is guessed, as the field's registry does, that all that are active are connected.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::call;
use crate::protocol::{PathKind, PeerId};
use crate::registry::directory::Directory;
use crate::registry::limits;
use crate::registry::reports::Reported;
use crate::registry::response::Response;
use crate::registry::store::Store;
use crate::registry::store::agents::{Agent, Health};
use crate::registry::unix_time::UnixTime;

#[derive(Serialize)]
struct Node<'a> {
    agent_id: &'a str,
    ip: &'a str,
    port: u16,
    hostname: &'a str,
    sidecar_peer_id: &'a str,
    mode: &'a str,
    skills_count: usize,
    health: Health,
    mesh_peers: Vec<&'a str>,
}

#[derive(Serialize)]
struct Edge<'a> {
    from_peer: &'a str,
    to_peer: &'a str,
    /// The kind of its path, as `from_peer` reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathKind>,
    /// Its round-trip time, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_ms: Option<f64>,
}

#[derive(Serialize)]
struct Topology<'a> {
    nodes: Vec<Node<'a>>,
    mesh_edges: Vec<Edge<'a>>,
    /// The peers that are online, whether they have agents or not, [`limits::TOLD_PEERS`] at most.
    peers: Vec<&'a PeerId>,
    /// The connections between them that are reported, [`limits::EDGES`] at most.
    peer_edges: Vec<Edge<'a>>,
}

/// Returns the topology.
pub(super) fn show(store: &mut Store, online: &Directory, now: UnixTime) -> Response {
    let agents = store.agents(now);
    let mesh_edges = edges_of_agents(&agents, online, now);
    let mut peers: HashMap<&str, Vec<&str>> = HashMap::new();
    for edge in &mesh_edges {
        let (from, to) = (edge.from_peer, edge.to_peer);
        peers.entry(from).or_default().push(to);
        peers.entry(to).or_default().push(from);
    }
    let nodes = agents.iter().map(|agent| Node {
        agent_id: &agent.agent_id,
        ip: &agent.ip,
        port: agent.port,
        hostname: &agent.hostname,
        sidecar_peer_id: &agent.sidecar_peer_id,
        mode: &agent.mode,
        skills_count: agent.capabilities.skills.len(),
        health: agent.health(now),
        mesh_peers: peers
            .get(agent.sidecar_peer_id.as_str())
            .cloned()
            .unwrap_or_default(),
    });
    call::json(&Topology {
        nodes: nodes.collect(),
        mesh_edges,
        peers: told_peers(online),
        peer_edges: reported_edges(online, &online.peers().map(PeerId::as_str).collect()),
    })
}

/// Returns the peers that are online in the order of their names, [`limits::TOLD_PEERS`] at most.
fn told_peers(online: &Directory) -> Vec<&PeerId> {
    let mut peers: Vec<&PeerId> = online.peers().collect();
    peers.sort_unstable();
    peers.truncate(limits::TOLD_PEERS);
    peers
}

/// Returns each reported connection between peers of these names once, as one of them reports it,
/// [`limits::EDGES`] at most.
fn reported_edges<'a>(online: &'a Directory, names: &HashSet<&str>) -> Vec<Edge<'a>> {
    let mut told = HashSet::new();
    let mut edges = Vec::new();
    for (from, reported) in online.reports() {
        if !names.contains(from.as_str()) {
            continue;
        }
        let known = |reported: &&Reported| names.contains(reported.peer.as_str());
        for reported in reported.iter().filter(known) {
            let to = &reported.peer;
            // Of two that report each other one's word is enough.
            let both = (from.min(to), from.max(to));
            if to != from && edges.len() < limits::EDGES && told.insert(both) {
                edges.push(Edge {
                    from_peer: from.as_str(),
                    to_peer: to.as_str(),
                    path: reported.path,
                    round_trip_ms: reported.round_trip_ms,
                });
            }
        }
    }
    edges
}

/// Returns each connection between the peers of agents once: those that are reported, and of the peers that
/// are active and report nothing each with each, [`limits::EDGES`] at most.
fn edges_of_agents<'a>(agents: &'a [Agent], online: &'a Directory, now: UnixTime) -> Vec<Edge<'a>> {
    let mut names: HashSet<&str> = HashSet::new();
    let mut silent: Vec<&str> = Vec::new();
    for agent in agents {
        let name = agent.sidecar_peer_id.as_str();
        let Some(peer) = PeerId::new(name).filter(|_| names.insert(name)) else {
            continue;
        };
        if agent.health(now) == Health::Active && online.report_of(&peer).is_none() {
            silent.push(name);
        }
    }
    let mut edges = reported_edges(online, &names);
    for (place, from) in silent.iter().enumerate() {
        let room = limits::EDGES.saturating_sub(edges.len());
        let others = silent.iter().skip(place + 1).take(room);
        edges.extend(others.map(|to| Edge {
            from_peer: from,
            to_peer: to,
            path: None,
            round_trip_ms: None,
        }));
    }
    edges
}
