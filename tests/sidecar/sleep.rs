//! Tests with processes that are stopped for a while, as a machine that sleeps stops them.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Site};

/// How long a process is stopped: for longer than its peer waits for it.
const STOPPED: Duration = Duration::from_secs(12);

/// How long messages may take to flow again.
const AWAKE: Duration = Duration::from_secs(3);

/// Reads up to the message with this payload, and returns the types of the events before it.
fn kinds_before(agent: &mut Agent, payload: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    let deadline = Instant::now() + 2 * AWAKE;
    loop {
        assert!(Instant::now() < deadline, "only {kinds:?}");
        let event = agent.next();
        if event.kind() == "message" && event.message()["payload"] == payload {
            return kinds;
        }
        kinds.push(event.kind().to_owned());
    }
}

#[test]
fn a_process_that_was_stopped_goes_on_as_if_nothing_had_been() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    alice.sidecar.signal(Signal::STOP);
    bob.agent.until_peer("peer_disconnected", "alice");
    thread::sleep(STOPPED.saturating_sub(Duration::from_secs(5)));
    bob.agent
        .send("alice", &json!({"type": "x", "payload": "while it slept"}));
    alice.sidecar.signal(Signal::CONT);
    let awake = Instant::now();
    alice
        .agent
        .send("bob", &json!({"type": "x", "payload": "awake"}));

    let at_alice = kinds_before(&mut alice.agent, "while it slept");
    let at_bob = kinds_before(&mut bob.agent, "awake");
    let took = awake.elapsed();
    assert!(took < AWAKE, "{took:?}");
    let went = |kinds: &[String]| kinds.iter().any(|kind| kind == "peer_disconnected");
    assert!(!went(&at_alice), "{at_alice:?}");
    assert!(at_bob.contains(&"peer_connected".to_owned()), "{at_bob:?}");
    // Both agree, and stay connected.
    for (node, peer) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        let peers = node.agent.ask("list_peers", &json!({}));
        assert_eq!(peers.payload()["peers"], json!([peer]));
    }
    alice.sidecar.await_log("awake again after");
}

#[test]
fn a_process_that_was_stopped_for_a_moment_is_missed_by_nobody() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    alice.sidecar.signal(Signal::STOP);
    thread::sleep(Duration::from_secs(4));
    alice.sidecar.signal(Signal::CONT);
    for (from, to, name) in [("alice", "bob", 0), ("bob", "alice", 1)] {
        let [sender, receiver] = if name == 0 {
            [&mut alice, &mut bob]
        } else {
            [&mut bob, &mut alice]
        };
        let awake = json!({"type": "x", "payload": from});
        sender.agent.send(to, &awake);
        let kinds = kinds_before(&mut receiver.agent, from);
        assert!(
            !kinds.contains(&"peer_disconnected".to_owned()),
            "{kinds:?}"
        );
    }
}
