//! Tests with two processes under one name, at once or one after the other.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{DEADLINE, Node, Site};

/// Sends messages one after the other, each when the one before it is answered, until the peer's agent
/// has taken ten in a row. All are answered.
fn send_until_all_arrive(from: &mut Node, to: &str) {
    let deadline = Instant::now() + DEADLINE;
    let mut in_a_row = 0;
    for number in 0.. {
        assert!(
            Instant::now() < deadline,
            "messages to {to} go on to be lost"
        );
        let message = json!({"type": "x", "payload": number});
        let payload = json!({"target_peer": to, "message": message});
        let answer = from.agent.ask("send", &payload);
        in_a_row = match (answer.kind(), answer.code()) {
            ("ok", _) => in_a_row + 1,
            (_, "connection_lost") => 0,
            _ => panic!("{answer:?}"),
        };
        if in_a_row == 10 {
            return;
        }
    }
}

#[test]
fn a_name_that_passes_to_other_processes_is_answered() {
    let site = Site::new();
    let [mut bob, mut first] = site.meet(["bob", "alice"]);
    send_until_all_arrive(&mut bob, "alice");
    let mut second = Node::start(site.setup_at("alice", "second"));
    bob.agent.until_peer("peer_disconnected", "alice");
    second.agent.until_peer("peer_connected", "bob");
    // The one that has lost its place does not take it back, but says why.
    let lost = first.agent.until_registry("disconnected");
    let reason = lost.payload()["reason"].as_str().unwrap();
    assert!(reason.contains("another sidecar uses our name"), "{reason}");
    send_until_all_arrive(&mut bob, "alice");
    second.sidecar.signal(Signal::TERM);
    assert_eq!(second.sidecar.exit_code(), 0);
    let mut third = Node::start(site.setup_at("alice", "third"));
    third.agent.until_peer("peer_connected", "bob");
    send_until_all_arrive(&mut bob, "alice");
    send_until_all_arrive(&mut third, "bob");
    let answer = bob
        .agent
        .ask("broadcast", &json!({"message": {"type": "x"}}));
    assert_eq!(
        answer.payload(),
        &json!({"delivered": ["alice"], "failed": []})
    );
}

#[test]
fn a_sidecar_without_an_agent_whose_name_is_taken_ends() {
    let site = Site::new();
    let [_bob, first] = site.meet(["bob", "alice"]);
    let Node { agent, mut sidecar } = first;
    drop(agent);
    let _second = Node::start(site.setup_at("alice", "second"));
    assert_eq!(sidecar.exit_code(), 0);
}
