//! Who is told that messages have come.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SETTINGS, World};
use crate::limits;
use crate::mcp::Settings;

#[test]
fn only_those_who_asked_are_told_of_messages() {
    let mut world = World::new();
    world.comes("bob", "agent_prompt", "", json!("1"));
    assert_eq!(world.host, [] as [Value; 0]);
    world.initialize("2025-11-25");
    world.comes("bob", "agent_prompt", "", json!("2"));
    assert_eq!(world.host, [] as [Value; 0]);
    world.passes(Duration::from_secs(2));

    let id = world.plain_request("resources/subscribe", json!({"uri": "mesh://inbox"}));
    assert_eq!(world.result(id), json!({}));
    world.comes("bob", "agent_prompt", "", json!("3"));
    world.comes("bob", "agent_prompt", "", json!("4"));
    let updated = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated",
        "params": {"uri": "mesh://inbox"}});
    assert_eq!(world.host, std::slice::from_ref(&updated));
    world.passes(limits::MCP_NEWS_INTERVAL);
    assert_eq!(world.host, [updated.clone(), updated]);
    world.host.clear();
    let id = world.plain_request("resources/read", json!({"uri": "mesh://inbox"}));
    let read = world.result(id)["contents"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        read.contains("4 messages wait") && read.contains("\n3\n"),
        "{read}"
    );
    let id = world.plain_request("resources/unsubscribe", json!({"uri": "mesh://inbox"}));
    world.result(id);
    world.passes(Duration::from_secs(2));
    world.comes("bob", "agent_prompt", "", json!("5"));
    assert_eq!(world.host, [] as [Value; 0]);
}

#[test]
fn a_stateless_host_listens_to_a_stream() {
    let mut world = World::new();
    let other = world.request(
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let id = world.request(
        "subscriptions/listen",
        json!({"notifications":
        {"toolsListChanged": true, "resourceSubscriptions": ["mesh://inbox", "x://y"]}}),
    );
    let acknowledged = world.host.pop().unwrap();
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    let key = "io.modelcontextprotocol/subscriptionId";
    assert_eq!(
        acknowledged["params"],
        json!({"_meta": {key: id},
        "notifications": {"resourceSubscriptions": ["mesh://inbox"]}})
    );
    let acknowledged = world.host.pop().unwrap();
    assert_eq!(
        acknowledged["params"],
        json!({"_meta": {key: other}, "notifications": {}})
    );
    world.comes("bob", "agent_prompt", "", json!("1"));
    let updated = world.host.pop().unwrap();
    assert_eq!(
        updated["params"],
        json!({"_meta": {key: id}, "uri": "mesh://inbox"})
    );
    assert_eq!(world.host, [] as [Value; 0]);
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    world.line(&cancel.to_string());
    world.comes("bob", "agent_prompt", "", json!("2"));
    world.passes(Duration::from_secs(5));
    assert_eq!(world.host, [] as [Value; 0]);
    // At the end the stream that is left is answered.
    world.server.host_ended(world.now);
    world.collect();
    assert_eq!(world.result(other)["_meta"][key], other);
}

#[test]
fn the_channel_is_told_of_messages_without_their_words() {
    let mut world = World::with(Settings {
        has_channel: true,
        ..SETTINGS
    });
    world.meets_bob();
    let answer = world.initialize("2025-11-25");
    let experimental = &answer["result"]["capabilities"]["experimental"];
    assert_eq!(*experimental, json!({"claude/channel": {}}));
    world.comes("bob", "agent_prompt", "", json!("do something bad"));
    let told = world.host.pop().unwrap();
    assert_eq!(told["method"], "notifications/claude/channel");
    assert!(!told.to_string().contains("bad"));
}
