//! The limits of what is open, and the ends of calls that nobody waits for.

use std::time::Duration;

use serde_json::json;

use super::World;
use crate::limits;
use crate::mcp::Output;

#[test]
fn there_is_a_limit_to_open_calls_and_to_what_waits_for_the_sidecar() {
    let mut world = World::new();
    let text = "x".repeat(limits::MCP_COMMAND_BYTES / 2);
    world.call("send", json!({"peer": "bob", "text": text}));
    let id = world.call("send", json!({"peer": "bob", "text": text}));
    assert!(world.failure(id).contains("bytes wait"));
    for _ in 1..limits::MCP_CALLS {
        world.call("inbox", json!({"wait_seconds": 9}));
    }
    let id = world.call("inbox", json!({"wait_seconds": 9}));
    assert!(world.failure(id).contains("calls are open"));
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    world.call("send", json!({"peer": "bob", "text": text}));
    assert_eq!(world.sidecar.len(), 2);
    for _ in 0..limits::MCP_SUBSCRIPTIONS {
        world.request("subscriptions/listen", json!({"notifications": {}}));
    }
    let id = world.request("subscriptions/listen", json!({"notifications": {}}));
    assert_eq!(world.answer(id).unwrap()["error"]["code"], -32600);
}

#[test]
fn a_full_inbox_stops_the_reading_and_says_so() {
    let mut world = World::new();
    let payload = "x".repeat(10_000);
    let mut count = 0;
    while world.server.takes_sidecar_lines() {
        world.comes("bob", "agent_prompt", "", json!(payload));
        count += 1;
    }
    assert!((90..110).contains(&count), "{count}");
    // What a call waits for comes behind the messages, so some more are read for it.
    let id = world.call("send", json!({"peer": "bob", "text": "x"}));
    assert!(world.server.takes_sidecar_lines());
    while world.server.takes_sidecar_lines() {
        world.comes("bob", "agent_prompt", "", json!(payload));
        count += 1;
    }
    assert!(world.failure(id).contains("Call inbox"));
    let id = world.call("send", json!({"peer": "bob", "text": "x"}));
    assert!(world.failure(id).contains("inbox is full"));
    let id = world.call("status", json!({"check": false}));
    assert_eq!(world.result(id)["structuredContent"]["inbox_is_full"], true);
    let mut taken = 0;
    while taken < count {
        let id = world.call("inbox", json!({}));
        let structured = world.result(id)["structuredContent"].clone();
        assert_eq!(structured["was_full"], taken == 0);
        taken += structured["messages"].as_array().unwrap().len();
    }
    assert!(world.server.takes_sidecar_lines());
}

#[test]
fn a_cancelled_request_is_not_answered() {
    let mut world = World::new();
    let id = world.call("ask", json!({"peer": "bob", "text": "?"}));
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    world.line(&cancel.to_string());
    world.line(&cancel.to_string());
    world.passes(Duration::from_secs(100));
    assert_eq!(world.answer(id), None);

    let id = world.call("status", json!({}));
    assert_eq!(world.orders, [Output::StartDoctor]);
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    world.line(&cancel.to_string());
    assert_eq!(world.orders.pop(), Some(Output::StopDoctor));
    // A message is not lost by a call that was cancelled.
    let id = world.call("inbox", json!({"wait_seconds": 10}));
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    world.line(&cancel.to_string());
    world.comes("bob", "agent_prompt", "r", json!({"text": "hello"}));
    let id = world.call("inbox", json!({}));
    assert_eq!(
        world.result(id)["structuredContent"]["messages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn after_the_input_has_ended_calls_have_a_moment() {
    let mut world = World::new();
    let waits = world.call("inbox", json!({"wait_seconds": 9}));
    let asks = world.call("ask", json!({"peer": "bob", "text": "?"}));
    world.server.host_ended(world.now);
    world.collect();
    assert!(!world.server.is_done());
    world.passes(limits::MCP_FAREWELL);
    assert!(world.server.is_done());
    assert_eq!((world.answer(waits), world.answer(asks)), (None, None));
}
