//! The tools that `MCP_ALLOW` leaves out, and the arguments of those that are there.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SETTINGS, World, text};
use crate::limits;
use crate::mcp::{Settings, Tool};

#[test]
fn tools_that_are_not_allowed_are_not_there() {
    let mut world = World::with(Settings {
        allowed: vec![Tool::Ask],
        ..SETTINGS
    });
    world.meets_bob();
    let answer = world.initialize("2025-11-25");
    assert_eq!(answer["result"]["capabilities"], json!({"tools": {}}));
    let id = world.plain_request("tools/list", json!({}));
    assert_eq!(world.result(id)["tools"].as_array().unwrap().len(), 1);
    let id = world.plain_request("tools/call", json!({"name": "inbox"}));
    assert_eq!(world.answer(id).unwrap()["error"]["code"], -32602);
    for method in ["resources/list", "resources/subscribe"] {
        let id = world.plain_request(method, json!({"uri": "mesh://inbox"}));
        assert_eq!(
            world.answer(id).unwrap()["error"]["code"],
            -32601,
            "{method}"
        );
    }
    // Nobody will read what comes, so it does not fill anything.
    for _ in 0..300 {
        world.comes("bob", "agent_prompt", "", json!("x".repeat(10_000)));
    }
    assert!(world.server.takes_sidecar_lines());
}

#[test]
fn an_answer_that_is_too_long_is_cut_where_nobody_may_read_the_inbox() {
    let mut world = World::with(Settings {
        allowed: vec![Tool::Ask],
        ..SETTINGS
    });
    world.meets_bob();
    let long = "x".repeat(256 * 1024);
    for _ in 0..20 {
        let id = world.call("ask", json!({"peer": "bob", "text": "?"}));
        let message = &world.sidecar.last().unwrap()["payload"]["message"];
        let request_id = message["request_id"].as_str().unwrap().to_owned();
        world.done(json!({"target_peer": "bob", "receipt": "agent"}));
        world.comes("bob", "agent_response", &request_id, json!(long));
        let result = world.result(id);
        let structured = &result["structuredContent"];
        let left_out = long.len() - limits::MCP_RESULT_BYTES;
        assert_eq!(structured["bytes_left_out"], left_out);
        assert_eq!(structured["handle"], Value::Null);
        assert_eq!(structured["waiting_messages"], 0);
        let told = text(&result);
        assert!(
            told.contains(&format!("{left_out} bytes of it are left out")),
            "{told}"
        );
        assert!(!told.contains("call inbox"), "{told}");
    }
    let id = world.call(
        "ask",
        json!({"peer": "bob", "text": "?", "timeout_seconds": 1}),
    );
    world.passes(Duration::from_secs(1));
    assert!(world.failure(id).contains("is not kept"));
}

#[test]
fn arguments_that_are_wrong_are_told_to_the_model() {
    let mut world = World::new();
    for (tool, arguments, told) in [
        ("send", json!({}), "\"peer\""),
        ("send", json!({"peer": "bob"}), "either text or json"),
        (
            "send",
            json!({"peer": "bob", "text": "a", "json": {}}),
            "not both",
        ),
        ("send", json!({"peer": 7, "text": "a"}), "a text"),
        ("send", json!({"peer": "bob", "json": []}), "an object"),
        (
            "send",
            json!({"peer": "bob", "txt": "a"}),
            "peer, text, json, type",
        ),
        (
            "ask",
            json!({"peer": "bob", "text": "a", "timeout_seconds": -1}),
            "seconds",
        ),
        ("inbox", json!({"wait_seconds": 1e9}), "seconds"),
        ("status", json!({"check": "yes"}), "true or false"),
        ("reply", json!({"handle": "m9", "text": "a"}), "no message"),
        ("list_peers", json!({"x\ny": 1}), "it takes nothing"),
    ] {
        let id = world.call(tool, arguments.clone());
        let failure = world.failure(id);
        assert!(failure.contains(told), "{tool} {arguments}: {failure}");
    }
    assert_eq!(world.sidecar, [] as [Value; 0]);
    for params in [
        json!({}),
        json!({"name": "x"}),
        json!({"name": "ask", "arguments": []}),
        json!({"name": 7}),
    ] {
        let id = world.request("tools/call", params);
        assert_eq!(world.answer(id).unwrap()["error"]["code"], -32602);
    }
}
