//! Tests with processes that are stopped for a while, as a machine that sleeps stops them.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Agent, Node, Site};

/// The time for which a process is stopped, which is longer than its peer waits for it.
const STOPPED: Duration = Duration::from_secs(12);

/// The time within which messages have to flow again.
const AWAKE: Duration = Duration::from_secs(3);

/// Sends a message to another's agent.
fn say(from: &mut Agent, to: &str, payload: &str) {
    from.send(to, &json!({"type": "x", "payload": payload}));
}

/// Reads up to the message with this payload, and returns the types of the events before it.
fn kinds_before(agent: &mut Agent, payload: &str) -> Vec<String> {
    let kinds = RefCell::new(Vec::new());
    agent.until_within(2 * AWAKE, |event| {
        let is_last = event.kind() == "message" && event.message()["payload"] == payload;
        if !is_last {
            kinds.borrow_mut().push(event.kind().to_owned());
        }
        is_last
    });
    kinds.into_inner()
}

#[test]
fn a_process_that_was_stopped_goes_on_as_if_nothing_had_been() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let stopped = alice.sidecar.stop();
    bob.agent.until_peer("peer_disconnected", "alice");
    thread::sleep(STOPPED.saturating_sub(Duration::from_secs(5)));
    say(&mut bob.agent, "alice", "while it slept");
    drop(stopped);
    let awake = Instant::now();
    say(&mut alice.agent, "bob", "awake");

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
    let stopped = alice.sidecar.stop();
    thread::sleep(Duration::from_secs(4));
    drop(stopped);
    let says = |from: &mut Node, to: &mut Node| {
        say(&mut from.agent, &to.sidecar.name, &from.sidecar.name);
        let kinds = kinds_before(&mut to.agent, &from.sidecar.name);
        let went = "peer_disconnected".to_owned();
        assert!(!kinds.contains(&went), "{kinds:?}");
    };
    says(&mut alice, &mut bob);
    says(&mut bob, &mut alice);
}
