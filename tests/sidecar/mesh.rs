//! Tests with several peers: which connections there are between them.

use serde_json::json;

use crate::support::{Agent, Node, Site};

fn peers_of(agent: &mut Agent) -> Vec<String> {
    let list = agent.ask("list_peers", &json!({}));
    let mut peers: Vec<String> = serde_json::from_value(list.payload()["peers"].clone()).unwrap();
    peers.sort();
    peers
}

#[test]
fn five_that_start_together_are_all_connected_with_each_other() {
    let site = Site::new();
    let names = ["a", "b", "c", "d", "e"];
    let mut nodes = site.meet(names);
    for node in &mut nodes {
        let others = names.iter().filter(|name| **name != node.sidecar.name);
        assert!(peers_of(&mut node.agent).iter().eq(others));
    }
    for node in &mut nodes {
        let message = json!({"type": "agent_status", "source_agent": node.sidecar.name});
        let line = json!({"type": "broadcast", "payload": {"message": message}});
        node.agent.line(line.to_string());
    }
    for node in &mut nodes {
        // A message of each of the others, once.
        let mut senders = Vec::new();
        while senders.len() < 4 {
            let event = node.agent.until(|event| event.kind() == "message");
            let sender = event.payload()["from_peer"].as_str().unwrap();
            assert_eq!(event.message()["source_agent"], sender);
            senders.push(sender.to_owned());
        }
        senders.sort();
        senders.dedup();
        assert_eq!(senders.len(), 4);
    }
}

#[test]
fn a_lazy_mesh_connects_when_something_is_sent_or_asked_for() {
    let site = Site::new();
    let [mut alice, mut bob, mut carol] =
        ["alice", "bob", "carol"].map(|name| Node::start(site.setup(name).set("MESH", "lazy")));
    let payload = json!({"target_peer": "bob", "message": {"type": "first"}});
    let answer = alice.agent.ask("send", &payload);
    assert_eq!(answer.payload()["receipt"], "agent", "{answer:?}");
    let events = bob.agent.all_until(|event| event.kind() == "message");
    assert!(
        events
            .iter()
            .any(|event| event.is("peer_connected", "alice"))
    );
    assert_eq!(peers_of(&mut alice.agent), ["bob"]);
    assert_eq!(peers_of(&mut bob.agent), ["alice"]);
    assert!(peers_of(&mut carol.agent).is_empty());

    let answer = carol
        .agent
        .ask("connect", &json!({"target_peer_id": "alice"}));
    assert_eq!(answer.kind(), "ok", "{answer:?}");
    assert_eq!(peers_of(&mut carol.agent), ["alice"]);
}

#[test]
fn messages_of_both_sides_that_meet_for_the_first_time_all_arrive() {
    let site = Site::new();
    let [mut alice, mut bob] =
        ["alice", "bob"].map(|name| Node::start(site.setup(name).set("MESH", "lazy")));
    for number in 0..100 {
        let message = json!({"type": "x", "payload": number});
        alice.agent.send("bob", &message);
        bob.agent.send("alice", &message);
    }
    for (agent, peer) in [(&mut alice.agent, "bob"), (&mut bob.agent, "alice")] {
        for number in 0..100 {
            let event = agent.until_peer("message", peer);
            assert_eq!(event.message()["payload"], number);
        }
    }
}

#[test]
fn no_more_peers_are_taken_than_allowed() {
    let site = Site::new();
    let small = site.setup("alice").set("MAX_PEERS", "1");
    let [mut alice, _bob] = Node::meet([small, site.setup("bob")]);
    let _carol = site.node("carol");
    let payload = json!({"target_peer": "carol", "message": {"type": "x"}});
    let error = alice.agent.ask("send", &payload);
    assert_eq!(error.code(), "too_many_peers", "{error:?}");
    assert_eq!(peers_of(&mut alice.agent), ["bob"]);
}
