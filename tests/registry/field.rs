//! The calls of agents in the field (contract part 3), as a transcript over real sockets.

use serde_json::{Value, json};

use super::support::{Asker, RunningRegistry, listed_options, open_options};

#[test]
fn an_agent_registers_is_found_and_leaves() {
    let registry = RunningRegistry::start(listed_options(&["alice", "bob"]));
    let (alice, bob) = (registry.asker("alice"), registry.asker("bob"));
    let registration = json!({
        "agent_id": "alice", "hostname": "host", "sidecar_peer_id": "alice-sidecar",
        "capabilities": {"skills": ["add", "say hi"], "mcp_servers": [], "goals_count": 2,
            "mode": "interactive"},
        "unknown": 1,
    });
    let answer = alice.post("/api/registry/agents", &registration);
    assert_eq!(answer, json!({"status": "ok"}));

    let agents = bob.get("/api/registry/agents");
    assert_eq!(agents.as_array().unwrap().len(), 1);
    let agent = &agents[0];
    let mut expected = registration.clone();
    let fields = expected.as_object_mut().unwrap();
    fields.remove("unknown");
    fields.insert("ip".to_owned(), json!(""));
    fields.insert("port".to_owned(), json!(8000));
    fields.insert("status".to_owned(), json!("active"));
    fields.insert("mode".to_owned(), json!("interactive"));
    fields.insert("health".to_owned(), json!("active"));
    for time in ["registered_at", "last_heartbeat"] {
        let text = agent[time].as_str().unwrap();
        assert!(text.ends_with('Z') && text.contains('T'), "{text}");
        fields.insert(time.to_owned(), json!(text));
    }
    assert_eq!(*agent, expected);
    assert_eq!(bob.get("/api/registry/agents/alice"), expected);
    assert_eq!(bob.get("/api/registry/route?skill=say%20hi"), expected);
    assert_eq!(bob.get("/api/registry/route?skill=say+hi"), expected);
    let none = bob.get("/api/registry/route?skill=fly");
    assert!(none["error"].is_string());
    assert_eq!(none["skill"], "fly");

    let not_found = json!({"error": "not found"});
    assert_eq!(bob.get("/api/registry/agents/nobody"), not_found);
    assert_eq!(bob.ask("DELETE", "/api/registry/agents/alice", None).0, 403);
    let deleted = alice.ask("DELETE", "/api/registry/agents/alice", None);
    assert_eq!(deleted, (200, json!({"status": "ok"})));
    let again = alice.ask("DELETE", "/api/registry/agents/alice", None);
    assert_eq!(again, (200, not_found));
}

#[test]
fn a_heartbeat_registers_and_keeps_what_was_told() {
    let registry = RunningRegistry::start(listed_options(&["alice"]));
    let alice = registry.asker("alice");
    let beat = json!({"agent_id": "alice", "skill_names": ["add"], "uptime_seconds": 3.5});
    let answer = alice.post("/api/hub/heartbeat", &beat);
    assert_eq!(answer, json!({"status": "ok", "pending_tasks": []}));
    let agent = alice.get("/api/registry/agents/alice");
    assert_eq!(agent["capabilities"]["skills"], json!(["add"]));
    assert_eq!(agent["sidecar_peer_id"], "alice-sidecar", "the key's peer");

    let more = json!({"agent_id": "alice", "hostname": "h", "ip": "10.0.0.1", "port": 9,
        "status": "busy", "mode": "m", "goals_count": 4, "skills_count": 1});
    alice.post("/api/hub/heartbeat", &more);
    alice.post("/api/hub/heartbeat", &json!({"agent_id": "alice"}));
    let agent = alice.get("/api/registry/agents/alice");
    assert_eq!(agent["hostname"], "h");
    assert_eq!(agent["ip"], "10.0.0.1");
    assert_eq!(agent["port"], 9);
    assert_eq!(agent["status"], "busy");
    assert_eq!(agent["capabilities"]["goals_count"], 4);
    assert_eq!(agent["capabilities"]["skills"], json!(["add"]));
}

#[test]
fn without_a_key_there_is_nothing_unless_the_registry_is_open() {
    let listed = RunningRegistry::start(listed_options(&["alice"]));
    let open = RunningRegistry::start(open_options());
    let (stranger, anybody) = (listed.asker(""), open.asker(""));
    let agent = json!({"agent_id": "x", "hostname": "h", "sidecar_peer_id": "x-sidecar"});
    for (method, path, body) in [
        ("POST", "/api/registry/agents", Some(&agent)),
        ("GET", "/api/registry/agents", None),
        ("GET", "/api/registry/agents/x", None),
        ("GET", "/api/registry/route?skill=s", None),
        ("GET", "/api/hub/network/topology", None),
        ("GET", "/api/hub/tasks/all", None),
        ("POST", "/api/hub/heartbeat", Some(&agent)),
        ("DELETE", "/api/registry/agents/x", None),
        ("POST", "/api/pairing/generate-code", None),
        ("GET", "/api/pairing/pending", None),
        ("GET", "/api/pairing/all", None),
    ] {
        assert_eq!(stranger.ask(method, path, body).0, 401, "{method} {path}");
        assert_eq!(anybody.ask(method, path, body).0, 200, "{method} {path}");
    }
}

#[test]
fn agents_of_one_key_do_not_take_the_place_of_anothers() {
    let registry = RunningRegistry::start(listed_options(&["alice", "bob"]));
    let (alice, bob) = (registry.asker("alice"), registry.asker("bob"));
    let agent = |name: &str| json!({"agent_id": name, "hostname": "h", "sidecar_peer_id": "x"});
    // In the field's guide agents are named otherwise than the peers of their keys.
    alice.post("/api/registry/agents", &agent("laptop"));
    let shown = bob.get("/api/registry/agents/laptop");
    assert_eq!(shown["sidecar_peer_id"], "alice-sidecar");
    for name in ["laptop", "alice"] {
        let stolen = bob.ask("POST", "/api/registry/agents", Some(&agent(name)));
        assert_eq!(stolen.0, 403, "{name}");
    }
}

/// The edges of the topology as pairs of names in order.
fn edges(asker: &Asker) -> Vec<(String, String)> {
    let topology = asker.get("/api/hub/network/topology");
    let name = |name: &Value| name.as_str().unwrap().to_owned();
    let edges = topology["mesh_edges"].as_array().unwrap().iter();
    let edges = edges.map(|edge| {
        let (from, to) = (name(&edge["from_peer"]), name(&edge["to_peer"]));
        (from.clone().min(to.clone()), from.max(to))
    });
    let mut edges: Vec<_> = edges.collect();
    edges.sort();
    edges
}

#[test]
fn the_topology_has_the_reported_edges_and_guesses_the_others() {
    let registry = RunningRegistry::open();
    let anybody = registry.asker("");
    for name in ["a", "b", "c", "d", "e"] {
        let agent = json!({"agent_id": name, "hostname": "h", "mode": "m",
            "sidecar_peer_id": format!("{name}-sidecar"), "capabilities": {"skills": ["s"]}});
        anybody.post("/api/registry/agents", &agent);
    }
    let pair = |a: &str, b: &str| (format!("{a}-sidecar"), format!("{b}-sidecar"));
    assert_eq!(edges(&anybody).len(), 10, "all with each other");

    // What is read from the answer to `register` was sent after the report was taken.
    let report = |name: &str, peers: Value| {
        let mut client = registry.registered(&format!("{name}-sidecar"));
        let frame = json!({"type": "heartbeat", "peer_id": client.peer,
            "payload": {"mesh_peers": peers}});
        client.send(&frame.to_string());
        client.register();
        client
    };
    let _a = report("a", json!(["b-sidecar", "c-sidecar", "stranger"]));
    let b = report("b", json!(["a-sidecar"]));
    let _c = report("c", json!([]));
    let expected = [pair("a", "b"), pair("a", "c"), pair("d", "e")];
    assert_eq!(edges(&anybody), expected);
    let topology = anybody.get("/api/hub/network/topology");
    assert_eq!(
        topology["nodes"][0],
        json!({"agent_id": "a", "ip": "", "port": 8000, "hostname": "h",
            "sidecar_peer_id": "a-sidecar", "mode": "m", "skills_count": 1, "health": "active",
            "mesh_peers": ["b-sidecar", "c-sidecar"]})
    );

    drop(b);
    registry
        .registered("f")
        .await_others(&["a-sidecar", "c-sidecar"]);
    let expected = [
        pair("a", "b"),
        pair("a", "c"),
        pair("b", "d"),
        pair("b", "e"),
        pair("d", "e"),
    ];
    assert_eq!(edges(&anybody), expected, "b's own word is gone");
}

#[test]
fn a_page_of_any_origin_may_ask() {
    let registry = RunningRegistry::open();
    let preflight = registry.exchange(
        b"OPTIONS /api/hub/tasks HTTP/1.1\r\nOrigin: https://hub.example\r\n\
          Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-api-key\r\n\r\n",
    );
    assert!(preflight.starts_with("HTTP/1.1 204 "), "{preflight}");
    for header in [
        "Origin: *",
        "Methods: GET, POST, DELETE",
        "Headers: content-type, x-api-key",
    ] {
        let header = format!("\r\nAccess-Control-Allow-{header}");
        assert!(preflight.contains(&header), "{preflight}");
    }
    for path in ["/health", "/nothing", "/api/registry/agents"] {
        let answer = registry.exchange(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
        assert!(
            answer.contains("\r\nAccess-Control-Allow-Origin: *\r\n"),
            "{answer}"
        );
    }
}
