//! Tests of how the sidecar ends when it is asked to.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::scripted_registry::{Script, ScriptedRegistry, SocketScript, TokenReply};
use crate::support::{Node, Place, Setup, Sidecar, Site, Transport, on_each_transport};

on_each_transport!(
    sigterm_and_sigint_end_it_with_0_and_peers_are_told_at_once,
    what_could_not_be_delivered_is_told_at_the_end,
    commands_that_wait_for_room_are_answered_at_the_end,
    commands_that_nobody_has_read_yet_are_answered_at_the_end,
    an_agent_that_does_not_read_does_not_delay_the_end,
    what_an_agent_said_last_is_said_before_the_goodbye,
    what_was_sent_to_one_that_ends_is_reported_as_it_was_delivered,
);

/// A signal ends it, whatever it is doing, within this time.
const TIME_TO_END: Duration = Duration::from_secs(2);

fn sigterm_and_sigint_end_it_with_0_and_peers_are_told_at_once(transport: Transport) {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::over(transport);
        let [mut alice, mut bob] = site.meet(["alice", "bob"]);
        alice.sidecar.signal(signal);
        // This is far less than it takes to notice the end by silence.
        bob.agent
            .until_within(TIME_TO_END, |event| event.is("peer_disconnected", "alice"));
        assert_eq!(
            alice
                .agent
                .next_or_end()
                .map(|event| event.text().to_owned()),
            None
        );
        let left = site.place.names();
        assert!(
            !left.contains(&"alice".to_owned()),
            "the path is free by then"
        );
        let (status, _) = alice.sidecar.end_within(TIME_TO_END);
        assert_eq!(status.code(), Some(0));
        let list = bob.agent.ask("list_peers", &json!({}));
        assert_eq!(list.payload(), &json!({"peers": []}));
    }
}

fn what_could_not_be_delivered_is_told_at_the_end(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, bob] = Node::meet([site.setup("alice"), lingering(&site, "bob")]);
    drop(bob.agent);
    bob.sidecar.await_log("the agent has gone");
    let message = json!({"type": "x", "request_id": "r"});
    let payload = json!({"target_peer": "bob", "message": message});
    alice.agent.command(1, "send", &payload);
    alice.agent.command(2, "list_peers", &json!({}));
    alice.agent.until(|event| event.kind() == "peer_list");
    alice.sidecar.signal(Signal::TERM);
    let error = alice.agent.next();
    assert_eq!(error.id(), Some(&json!(1)), "{error:?}");
    assert!(
        ["shutting_down", "connection_lost"].contains(&error.code()),
        "{error:?}"
    );
    assert_eq!(error.payload()["request_id"], "r");
    assert_eq!(error.payload()["target_peer"], "bob");
    assert!(alice.agent.next_or_end().is_none());
}

/// A sidecar that stays when its agent leaves.
fn lingering(site: &Site, name: &str) -> Setup {
    site.setup(name).set("AGENT_LINGER", "30")
}

/// Alice, whose queue has room for one long message, and Bob, who has no agent to take any.
fn stuck_pair(site: &Site) -> (Node, Sidecar) {
    let small = site
        .setup("alice")
        .set("MAX_MESSAGE_BYTES", "1024")
        .set("QUEUE_BYTES", "1024")
        .set("OVERFLOW_BYTES", "0");
    let [alice, bob] = Node::meet([small, lingering(site, "bob")]);
    drop(bob.agent);
    bob.sidecar.await_log("the agent has gone");
    (alice, bob.sidecar)
}

/// The line that sends Bob a long message.
fn long_message(id: u64) -> String {
    let message = json!({"type": "x", "payload": "x".repeat(900)});
    let payload = json!({"target_peer": "bob", "message": message});
    json!({"type": "send", "id": id, "payload": payload}).to_string() + "\n"
}

fn commands_that_wait_for_room_are_answered_at_the_end(transport: Transport) {
    let site = Site::over(transport);
    let (mut alice, _bob) = stuck_pair(&site);
    let lines: String = (1..=4).map(long_message).collect();
    // In one piece, so that all of it has been read when the queue is full after the second.
    alice.agent.write(lines);
    alice.agent.until_peer("pressure", "bob");
    alice.sidecar.signal(Signal::TERM);
    let mut answered = Vec::new();
    while let Some(event) = alice.agent.next_or_end() {
        if event.kind() == "error" {
            answered.push(event.id().and_then(Value::as_u64).unwrap());
        }
    }
    assert_eq!(answered, [1, 2, 3, 4]);
}

fn commands_that_nobody_has_read_yet_are_answered_at_the_end(transport: Transport) {
    let site = Site::over(transport);
    let (mut alice, _bob) = stuck_pair(&site);
    // As many as the way to the event loop and the socket have room for.
    let mut writer = alice.agent.writer();
    writer.set_timeout(Duration::from_millis(500));
    let written = (1..=10_000)
        .take_while(|id| writer.write_all(long_message(*id).as_bytes()).is_ok())
        .count() as u64;
    assert!((100..10_000).contains(&written), "{written}");
    alice.sidecar.signal(Signal::TERM);
    let mut answered = Vec::new();
    while let Some(event) = alice.agent.next_or_end() {
        answered.extend(event.id().and_then(Value::as_u64));
    }
    assert!(
        answered.iter().copied().eq(1..=written),
        "{written}: {answered:?}"
    );
    let (status, _) = alice.sidecar.end_within(TIME_TO_END);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn it_ends_in_time_before_any_agent_and_in_whatever_state_the_registry_is() {
    let scripts = [
        Script::faultless(),
        Script::with_tokens(&[TokenReply::Hang]),
        Script::with_tokens(&[TokenReply::Status(503)]),
        Script::with_sockets(&[SocketScript::HangUpgrade]),
        Script::with_sockets(&[SocketScript::Stall]),
    ];
    for script in scripts {
        let place = Place::new();
        let what = format!("{script:?}");
        let registry = ScriptedRegistry::start(script);
        let mut sidecar = Setup::new("alice", place.join("s"))
            .registry(registry.address)
            .start();
        registry.wait_for(Some);
        sidecar.await_log("UDP socket on");
        sidecar.signal(Signal::TERM);
        let (status, log) = sidecar.end_within(TIME_TO_END);
        assert_eq!(status.code(), Some(0), "{what}: {log}");
        assert!(place.names().is_empty());
    }
}

fn an_agent_that_does_not_read_does_not_delay_the_end(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let filling = "x".repeat(10_000);
    for _ in 0..100 {
        let message = json!({"type": "x", "payload": filling});
        alice.agent.send("bob", &message);
    }
    // When the first has come, bob's writer is at work on the rest.
    bob.agent.until_peer("message", "alice");
    bob.sidecar.signal(Signal::TERM);
    let (status, _) = bob.sidecar.end_within(TIME_TO_END);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_socket_that_another_made_its_own_is_left_alone() {
    let site = Site::new();
    let mut alice = site.node("alice");
    std::fs::remove_file(&alice.sidecar.socket).unwrap();
    std::fs::write(&alice.sidecar.socket, "mine").unwrap();
    alice.sidecar.signal(Signal::TERM);
    assert_eq!(alice.sidecar.exit_code(), 0);
    let left = std::fs::read_to_string(&alice.sidecar.socket).unwrap();
    assert_eq!(left, "mine");
}

fn what_an_agent_said_last_is_said_before_the_goodbye(transport: Transport) {
    let site = Site::over(transport);
    let mut bob = site.node("bob");
    for round in 0..8 {
        let setup = site.setup("alice").set("AGENT_LINGER", "0");
        let mut alice = Node::start(setup);
        alice.await_peers(&["bob"]);
        for number in 0..100 {
            let payload = json!({"message": {"type": "last words", "payload": number}});
            let line = json!({"type": "broadcast", "payload": payload});
            alice.agent.line(line.to_string());
        }
        if round % 2 == 0 {
            alice.sidecar.signal(Signal::TERM);
        } else {
            drop(alice.agent);
        }
        let mut events = bob
            .agent
            .all_until(|event| event.is("peer_disconnected", "alice"));
        events.retain(|event| event.kind() == "message");
        let numbers = events.iter().map(|event| &event.message()["payload"]);
        assert!(numbers.eq(&(0..100).map(|number| json!(number)).collect::<Vec<_>>()));
        assert_eq!(alice.sidecar.exit_code(), 0);
    }
}

fn what_was_sent_to_one_that_ends_is_reported_as_it_was_delivered(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let line = |id: u64| {
        let message = json!({"type": "x", "request_id": id.to_string()});
        let payload = json!({"target_peer": "bob", "message": message});
        json!({"type": "send", "id": id, "payload": payload}).to_string() + "\n"
    };
    // More than is delivered before the signal.
    let lines: String = (0..20_000).map(line).collect();
    let mut writer = alice.agent.writer();
    let writing = std::thread::spawn(move || writer.write_all(lines.as_bytes()));
    bob.agent.until_peer("message", "alice");
    bob.sidecar.signal(Signal::TERM);
    let mut delivered = 1;
    while let Some(event) = bob.agent.next_or_end() {
        delivered += u64::from(event.kind() == "message");
    }
    let told = alice
        .agent
        .all_until(|event| event.is("peer_disconnected", "bob"));
    let acknowledged = told.iter().filter(|event| event.kind() == "ok").count() as u64;
    assert_eq!(acknowledged, delivered);
    let (status, _) = bob.sidecar.end_within(TIME_TO_END);
    assert_eq!(status.code(), Some(0));
    alice.sidecar.signal(Signal::TERM);
    while alice.agent.next_or_end().is_some() {}
    let _ = writing.join();
}

#[test]
fn a_lock_that_a_stranger_holds_delays_neither_start_nor_end_for_long() {
    let place = Place::new();
    let directory = std::fs::File::open(place.join(".")).unwrap();
    directory.lock().unwrap();
    let began = std::time::Instant::now();
    let mut sidecar = Setup::new("alice", place.join("s")).start();
    sidecar.await_socket();
    sidecar.signal(Signal::TERM);
    let (status, log) = sidecar.end_within(TIME_TO_END);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(began.elapsed() < TIME_TO_END);
}
