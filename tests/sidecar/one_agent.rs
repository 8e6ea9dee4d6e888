//! Tests that there is one agent at a time: how a second one fares, and what happens while there is none.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Agent, Node, Place, Setup, Site, Transport, on_each_transport};

on_each_transport!(
    without_linger_it_ends_with_its_agent_and_peers_are_told,
    commands_of_an_agent_that_has_left_still_count,
);

#[test]
fn a_second_agent_is_told_that_it_is_busy_and_closed() {
    let site = Site::new();
    let mut alice = site.node("alice");
    for _ in 0..3 {
        let mut second = Agent::connect(&alice.sidecar.socket);
        let refusal = second.next();
        assert_eq!((refusal.kind(), refusal.code()), ("error", "busy"));
        assert!(second.next_or_end().is_none());
    }
    let list = alice.agent.ask("list_peers", &json!({}));
    assert_eq!(list.kind(), "peer_list");
}

#[test]
fn an_agent_that_returns_at_once_is_served() {
    let site = Site::new();
    let mut alice = site.node("alice");
    for round in 0..20 {
        drop(alice.agent);
        alice.agent = Agent::greeted(&alice.sidecar.socket);
        alice.agent.command(round, "list_peers", &json!({}));
        assert_eq!(alice.agent.next().id(), Some(&json!(round)));
    }
}

fn without_linger_it_ends_with_its_agent_and_peers_are_told(transport: Transport) {
    let site = Site::over(transport);
    let lingerless = site.setup("alice").set("AGENT_LINGER", "0");
    let [mut alice, mut bob] = Node::meet([lingerless, site.setup("bob")]);
    drop(alice.agent);
    bob.agent.until_within(Duration::from_secs(2), |event| {
        event.is("peer_disconnected", "alice")
    });
    assert_eq!(alice.sidecar.exit_code(), 0);
    assert!(!site.place.names().contains(&"alice".to_owned()));
}

#[test]
fn it_waits_for_the_first_agent_and_lingers_as_long_as_it_was_told() {
    let site = Site::new();
    let mut never_had_one = site.setup("a").set("AGENT_LINGER", "0").start();
    let mut patient = Node::start(site.setup("b").set("AGENT_LINGER", "inf"));
    drop(patient.agent);
    let mut hasty = Node::start(site.setup("c").set("AGENT_LINGER", "0.5"));
    drop(hasty.agent);
    // One that comes back in time begins anew.
    drop(Agent::greeted(&hasty.sidecar.socket));
    let left = Instant::now();
    assert_eq!(hasty.sidecar.exit_code(), 0);
    assert!(left.elapsed() > Duration::from_millis(490));
    assert!(never_had_one.is_running());
    assert!(patient.sidecar.is_running());
    assert_eq!(
        Agent::greeted(&patient.sidecar.socket)
            .ask("list_peers", &json!({}))
            .kind(),
        "peer_list"
    );
}

#[test]
fn messages_that_came_while_no_agent_was_there_wait_in_order_for_the_next() {
    let site = Site::new();
    let [mut alice, bob] = site.meet(["alice", "bob"]);
    drop(bob.agent);
    bob.sidecar.await_log("the agent has gone");
    // More than all buffers on the way together, so that alice is held back as well.
    let filling = "x".repeat(4000);
    let mut writer = alice.agent.writer();
    let writing = thread::spawn(move || {
        for number in 0..1500 {
            let message = json!({"type": "x", "payload": number, "filling": filling});
            let payload = json!({"target_peer": "bob", "message": message});
            let line = json!({"type": "send", "payload": payload}).to_string() + "\n";
            writer.write_all(line.as_bytes()).unwrap();
        }
    });
    let high = alice.agent.until_peer("pressure", "bob");
    assert_eq!(high.payload()["state"], "high");
    let mut agent = bob.sidecar.agent();
    assert!(agent.next().is("peer_connected", "alice"));
    for number in 0..1500 {
        let event = agent.next();
        assert_eq!(event.message()["payload"], number);
    }
    writing.join().unwrap();
    let normal = alice.agent.until_peer("pressure", "bob");
    assert_eq!(normal.payload()["state"], "normal");
}

fn commands_of_an_agent_that_has_left_still_count(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    for number in 0..500 {
        alice
            .agent
            .send("bob", &json!({"type": "x", "payload": number}));
    }
    drop(alice.agent);
    for number in 0..500 {
        let event = bob.agent.until_peer("message", "alice");
        assert_eq!(event.message()["payload"], number);
    }
}

#[test]
fn a_failure_is_told_to_the_next_agent_if_the_one_it_concerns_has_left() {
    let place = Place::new();
    let sidecar = Setup::new("alice", place.join("s"))
        .registry(crate::scripted_registry::quiet_address())
        .set("CONNECT_TIMEOUT", "0.5")
        .start();
    let mut agent = sidecar.agent();
    let message = json!({"type": "x", "request_id": "r"});
    let payload = json!({"target_peer": "bob", "message": message});
    agent.command("mine", "send", &payload);
    agent.ask("list_peers", &json!({}));
    drop(agent);
    let mut agent = sidecar.agent();
    let error = agent.until(|event| event.kind() == "error");
    assert_eq!(error.id(), None, "{error:?}");
    assert_eq!(error.payload()["request_id"], "r");
    assert_eq!(error.payload()["target_peer"], "bob");
}
