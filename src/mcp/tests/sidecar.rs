//! The start and the end of the sidecar, and the doctor.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SETTINGS, World, text};
use crate::limits;
use crate::mcp::{Exit, Output};

#[test]
fn calls_wait_for_the_registry_just_after_the_start() {
    let mut world = World::with(SETTINGS);
    world.tells(json!({"type": "ready", "payload": {"peer_id": null, "registry": "connecting"}}));
    let send = world.call("send", json!({"peer": "bob", "text": "x"}));
    let list = world.call("list_peers", json!({}));
    world.passes(Duration::from_secs(1));
    assert_eq!(world.sidecar, [] as [Value; 0]);
    world.tells(json!({"type": "registry", "payload": {"state": "connected", "peer_id": "me"}}));
    let sent = world.sidecar.pop().unwrap();
    assert_eq!(sent["payload"]["message"]["source_agent"], "me");
    assert_eq!(world.sidecar, [] as [Value; 0]);
    world.passes(limits::MCP_SETTLING_TIME);
    let asked = world.sidecar.pop().unwrap();
    assert_eq!(asked["type"], "stats");
    world.tells(json!({"type": "stats", "id": asked["id"], "payload": {"process": {}, "listed": ["carol", "bob"],
        "peers": [{"peer_id": "bob", "state": "connected", "since_seconds": 2.5, "round_trip_ms": 0.25,
            "path": {"local": {"kind": "host"}, "remote": {"kind": "relay"}}},
            {"peer_id": "dave", "state": "disconnected", "path": null, "round_trip_ms": null}]}}));
    let structured = world.result(list)["structuredContent"].clone();
    assert_eq!(
        structured["connected"],
        json!([{"peer": "bob", "path": "host to relay",
        "round_trip_ms": 0.25, "connected_seconds": 2.5}])
    );
    assert_eq!(
        structured["not_connected"],
        json!([{"peer": "dave", "state": "disconnected"},
        {"peer": "carol", "state": "listed"}])
    );
    assert_eq!(world.answer(send), None);

    // Nor do they wait for ever.
    let mut world = World::with(SETTINGS);
    world.call("send", json!({"peer": "bob", "text": "x"}));
    world.passes(limits::MCP_START_TIME);
    assert_eq!(world.sidecar.len(), 1);
}

#[test]
fn the_end_of_the_sidecar_is_told_and_it_is_started_again() {
    let mut world = World::new();
    world.comes("bob", "agent_prompt", "r", json!("kept"));
    let id = world.call("ask", json!({"peer": "bob", "text": "?"}));
    world.server.sidecar_ended(Exit::Code(3), world.now);
    world.collect();
    assert!(world.failure(id).contains("refused the API key"));
    let id = world.call("send", json!({"peer": "bob", "text": "?"}));
    assert!(world.failure(id).contains("started again in 0.5 s"));
    let id = world.call("status", json!({"check": false}));
    assert_eq!(world.result(id)["structuredContent"]["sidecar"], "ended");
    let id = world.call("inbox", json!({}));
    assert_eq!(
        world.result(id)["structuredContent"]["messages"][0]["payload"],
        "kept"
    );
    world.passes(limits::MCP_RESTART_WAIT.0);
    assert_eq!(world.orders, [Output::StartSidecar]);
    world.meets_bob();
    let id = world.call("reply", json!({"handle": "m1", "text": "a"}));
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    world.result(id);
}

#[test]
fn the_doctors_findings_are_told_in_short() {
    let mut world = World::new();
    let first = world.call("status", json!({}));
    let second = world.call("status", json!({}));
    assert_eq!(world.orders, [Output::StartDoctor]);
    let findings = "{\"verdict\":\"ok\",\"check\":\"udp\",\"message\":\"fine\"}\n\
        {\"verdict\":\"warn\",\"check\":\"nat\",\"subject\":null,\"message\":\"odd\",\"advice\":\"set X\"}\n";
    world.server.examined(Some(findings), world.now);
    world.collect();
    for id in [first, second] {
        let result = world.result(id);
        let told = text(&result);
        assert!(
            told.contains("- warn: nat: odd; set X\n1 checks found nothing wrong"),
            "{told}"
        );
        let structured = &result["structuredContent"];
        assert_eq!(
            structured["findings"],
            json!([{"verdict": "warn", "check": "nat", "message": "odd; set X"}])
        );
        assert_eq!(structured["peers_connected"], 1);
    }
}

#[test]
fn the_doctor_is_not_waited_for_for_ever() {
    let mut world = World::new();
    let id = world.call("status", json!({}));
    assert_eq!(world.orders, [Output::StartDoctor]);
    world.passes(limits::MCP_DOCTOR_TIME);
    assert!(world.failure(id).contains("not checked within 20 s"));
    assert_eq!(world.orders.pop(), Some(Output::StopDoctor));
}
