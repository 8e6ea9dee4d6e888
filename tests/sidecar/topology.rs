//! Tests of what sidecars report of their connections, and what the registry makes of it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::registry::PATIENCE;
use crate::support::{Node, Site};

/// The registry's edges between the agents `a`, `b` and `c`, in order.
fn edges(site: &Site) -> Vec<String> {
    let topology = site.registry.asker("").get("/api/hub/network/topology");
    let edges = topology["mesh_edges"].as_array().unwrap().iter();
    let mut edges: Vec<String> = edges
        .map(|edge| {
            let mut ends = [&edge["from_peer"], &edge["to_peer"]].map(|end| end.as_str().unwrap());
            ends.sort_unstable();
            ends.join("-")
        })
        .collect();
    edges.sort();
    edges
}

fn await_edges(site: &Site, expected: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    while edges(site) != expected {
        assert!(Instant::now() < deadline, "{:?} stay", edges(site));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A site with agents `a`, `b` and `c`, whose sidecars connect when something is sent.
fn site() -> Site {
    let site = Site::new();
    for name in ["a", "b", "c"] {
        let agent = json!({"agent_id": name, "hostname": "h", "sidecar_peer_id": name});
        site.registry.asker("").post("/api/registry/agents", &agent);
    }
    site
}

fn send(from: &mut Node, to: &str) {
    let payload = json!({"target_peer": to, "message": {"type": "ping"}});
    let answer = from.agent.ask("send", &payload);
    assert_eq!(answer.payload()["receipt"], "agent", "{answer:?}");
}

#[test]
fn the_topology_follows_the_connections() {
    let site = site();
    let start = |name| Node::start(site.setup(name).set("MESH", "lazy"));
    let [mut a, _b, c] = ["a", "b", "c"].map(start);
    await_edges(&site, &[]);
    send(&mut a, "b");
    await_edges(&site, &["a-b"]);
    send(&mut a, "c");
    await_edges(&site, &["a-b", "a-c"]);
    drop(c);
    await_edges(&site, &["a-b"]);
}

#[test]
fn the_topology_tells_paths_and_round_trips_of_sidecars_without_agents_too() {
    let site = Site::new();
    let _nodes = site.meet(["a", "b"]);
    let deadline = Instant::now() + PATIENCE;
    let edge = loop {
        let topology = site.registry.asker("").get("/api/hub/network/topology");
        if let Some(edge) = topology["peer_edges"].get(0)
            && edge["round_trip_ms"].is_number()
        {
            assert_eq!(topology["peers"], json!(["a", "b"]));
            assert_eq!(topology["mesh_edges"], json!([]), "there are no agents");
            break edge.clone();
        }
        assert!(Instant::now() < deadline, "not told: {topology}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(edge["path"], "host");
    let mut ends = [&edge["from_peer"], &edge["to_peer"]].map(|end| end.as_str().unwrap());
    ends.sort_unstable();
    assert_eq!(ends, ["a", "b"]);
    assert!((0.0..1000.0).contains(&edge["round_trip_ms"].as_f64().unwrap()));
}

#[test]
fn what_is_not_reported_is_guessed() {
    let site = site();
    let setup = |name| site.setup(name).set("MESH", "lazy");
    let _nodes = ["a", "b", "c"].map(|name| Node::start(setup(name).set("REPORT_TOPOLOGY", "off")));
    assert_eq!(edges(&site), ["a-b", "a-c", "b-c"]);
}
