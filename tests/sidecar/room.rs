//! Tests of more peers than `MAX_PEERS`.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Node, Site};

/// Far less than `CONNECT_TIMEOUT` and `RECOVERY_TIMEOUT`.
const SOON: Duration = Duration::from_secs(5);

/// Sends with an id, and gives the code of the error, if that is the answer.
fn send(agent: &mut Agent, to: &str) -> Option<String> {
    let payload = json!({"target_peer": to, "message": {"type": "x"}});
    let answer = agent.ask("send", &payload);
    (answer.kind() == "error").then(|| answer.code().to_owned())
}

#[test]
fn who_offers_where_there_is_no_room_hears_why_at_once() {
    let site = Site::new();
    let mut alice = Node::start(site.setup("alice").set("MAX_PEERS", "1"));
    let _bob = site.node("bob");
    alice.agent.until_peer("peer_connected", "bob");
    let mut carol = site.node("carol");
    carol
        .agent
        .command(1, "connect", &json!({"target_peer_id": "alice"}));
    let answer = carol
        .agent
        .until_within(SOON, |event| event.id() == Some(&json!(1)));
    assert_eq!(answer.code(), "too_many_peers", "{answer:?}");
    let message = answer.payload()["message"].as_str().unwrap();
    assert!(message.contains("alice") && message.contains("MAX_PEERS"));
}

#[test]
fn who_said_goodbye_holds_no_place() {
    let site = Site::new();
    let mut alice = Node::start(site.setup("alice").set("MAX_PEERS", "1"));
    let bob = site.node("bob");
    alice.agent.until_peer("peer_connected", "bob");
    bob.sidecar.signal(Signal::TERM);
    alice.agent.until_peer("peer_disconnected", "bob");
    let _carol = site.node("carol");
    alice
        .agent
        .until_within(SOON, |event| event.is("peer_connected", "carol"));
}

#[test]
fn in_lazy_mode_who_is_idle_longest_gives_way_and_comes_back_with_its_session() {
    let site = Site::new();
    let lazy = |name: &str| site.setup(name).set("MESH", "lazy");
    let mut alice = Node::start(lazy("alice").set("MAX_PEERS", "2"));
    let [mut bob, _carol, _dave] = ["bob", "carol", "dave"].map(|name| Node::start(lazy(name)));
    for name in ["bob", "carol", "dave"] {
        assert_eq!(send(&mut alice.agent, name), None, "{name}");
    }
    let list = alice.agent.ask("list_peers", &json!({}));
    assert_eq!(list.payload(), &json!({"peers": ["carol", "dave"]}));
    bob.agent.until_peer("peer_disconnected", "alice");
    assert_eq!(send(&mut alice.agent, "bob"), None);
    let back = bob.agent.until_peer("peer_connected", "alice");
    assert_eq!(back.payload()["resumed"], true);
}
