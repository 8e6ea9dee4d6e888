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
fn a_name_that_passes_to_another_process_and_back_is_answered() {
    let site = Site::new();
    let [mut bob, mut first] = site.meet(["bob", "alice"]);
    send_until_all_arrive(&mut bob, "alice");
    // Both take the name from each other as long as both run.
    let mut second = Node::start(site.setup_at("alice", "second"));
    bob.agent.until_peer("peer_disconnected", "alice");
    second.agent.until_peer("peer_connected", "bob");
    second.sidecar.signal(Signal::TERM);
    assert_eq!(second.sidecar.exit_code(), 0);
    send_until_all_arrive(&mut bob, "alice");
    send_until_all_arrive(&mut first, "bob");
    let answer = bob
        .agent
        .ask("broadcast", &json!({"message": {"type": "x"}}));
    assert_eq!(
        answer.payload(),
        &json!({"delivered": ["alice"], "failed": []})
    );
}
