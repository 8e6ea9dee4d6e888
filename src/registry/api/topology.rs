//! The topology of the mesh (contract part 3), without I/O: who is connected to whom. Our sidecars report
//! it; about others it is guessed, as the field's registry does, that all that are active are connected.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::call;
use crate::protocol::PeerId;
use crate::registry::directory::Directory;
use crate::registry::limits;
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

#[derive(Serialize, Debug, PartialEq, Eq)]
struct Edge<'a> {
    from_peer: &'a str,
    to_peer: &'a str,
}

#[derive(Serialize)]
struct Topology<'a> {
    nodes: Vec<Node<'a>>,
    mesh_edges: Vec<Edge<'a>>,
}

/// Returns the topology.
pub(super) fn show(store: &mut Store, online: &Directory, now: UnixTime) -> Response {
    let agents = store.agents(now);
    let edges = edges(&agents, online, now);
    let mut peers: HashMap<&str, Vec<&str>> = HashMap::new();
    for edge in &edges {
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
        mesh_edges: edges,
    })
}

/// A peer that has an agent.
struct Known<'a> {
    name: &'a str,
    is_active: bool,
    /// The peers that it is connected to, if it reports them.
    reported: Option<&'a [PeerId]>,
}

/// Returns each connection between the peers of agents once, [`limits::EDGES`] at most.
fn edges<'a>(agents: &'a [Agent], online: &'a Directory, now: UnixTime) -> Vec<Edge<'a>> {
    let mut known: Vec<Known<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for agent in agents {
        let name = agent.sidecar_peer_id.as_str();
        let Some(peer) = PeerId::new(name).filter(|_| !places.contains_key(name)) else {
            continue;
        };
        places.insert(name, known.len());
        known.push(Known {
            name,
            is_active: agent.health(now) == Health::Active,
            reported: online.report_of(&peer),
        });
    }
    let mut edges = Vec::new();
    let mut told = HashSet::new();
    let reporting = known.iter().enumerate();
    let reporting = reporting.filter_map(|(place, peer)| Some((place, peer, peer.reported?)));
    for (place, peer, reported) in reporting {
        for other in reported {
            let Some((other_place, other)) = places
                .get(other.as_str())
                .and_then(|at| Some((*at, known.get(*at)?)))
            else {
                continue;
            };
            // Of two that report each other one's word is enough.
            let both = (place.min(other_place), place.max(other_place));
            if other_place != place && edges.len() < limits::EDGES && told.insert(both) {
                edges.push(Edge {
                    from_peer: peer.name,
                    to_peer: other.name,
                });
            }
        }
    }
    let guessed: Vec<&Known<'_>> = known
        .iter()
        .filter(|peer| peer.is_active && peer.reported.is_none())
        .collect();
    for (place, peer) in guessed.iter().enumerate() {
        let room = limits::EDGES.saturating_sub(edges.len());
        let others = guessed.iter().skip(place + 1).take(room);
        edges.extend(others.map(|other| Edge {
            from_peer: peer.name,
            to_peer: other.name,
        }));
    }
    edges
}
