//! Tests with peers that vanish, come back, or stand still for a while.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Node, Site};

/// Sends messages with these numbers; a thousand are less than a queue holds and more than may be
/// under way at once.
fn send_numbers(agent: &mut Agent, to: &str, numbers: std::ops::Range<u64>) {
    let filling = "x".repeat(600);
    for number in numbers {
        let message = json!({"type": "x", "payload": number, "filling": filling});
        agent.send(to, &message);
    }
}

/// Messages with these numbers come, once and in order, whatever else is told meanwhile.
fn await_numbers(agent: &mut Agent, from: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let event = agent.until_peer("message", from);
        assert_eq!(event.message()["payload"], number);
    }
}

#[test]
fn a_peer_that_is_killed_is_missed_after_5_seconds() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    bob.sidecar.kill();
    let killed = Instant::now();
    alice.agent.until_peer("peer_disconnected", "bob");
    let missed = killed.elapsed();
    assert!(missed < Duration::from_secs(7), "{missed:?}");
}

#[test]
fn a_peer_that_is_killed_and_started_again_at_once_is_met_anew() {
    let site = Site::new();
    let [mut alice, mut old] = site.meet(["alice", "bob"]);
    send_numbers(&mut alice.agent, "bob", 0..10);
    await_numbers(&mut old.agent, "alice", 0..10);
    old.sidecar.kill();
    // Each of these reaches the new process or is reported.
    for id in 0..100 {
        let message = json!({"type": "x", "payload": id});
        let payload = json!({"target_peer": "bob", "message": message});
        alice.agent.command(id, "send", &payload);
    }
    let restarted = Instant::now();
    let mut new = site.node("bob");
    let (mut delivered, mut lost) = (Vec::new(), Vec::new());
    let mut told = Vec::new();
    while delivered.len() + lost.len() < 100 || told.len() < 2 {
        let event = alice.agent.next();
        match event.kind() {
            "ok" => delivered.extend(event.id().cloned()),
            "error" => {
                assert_eq!(event.code(), "connection_lost", "{event:?}");
                lost.extend(event.id().cloned());
            }
            _ => told.push(event),
        }
    }
    let took = restarted.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(told[0].is("peer_disconnected", "bob"), "{told:?}");
    assert!(told[1].is("peer_connected", "bob"), "{told:?}");
    assert_eq!(told[1].payload().get("resumed"), None);
    let mut answered = [delivered.clone(), lost].concat();
    answered.sort_by_key(serde_json::Value::as_u64);
    assert_eq!(
        answered,
        (0..100).map(serde_json::Value::from).collect::<Vec<_>>()
    );
    for number in delivered {
        let event = new.agent.until_peer("message", "alice");
        assert_eq!(event.message()["payload"], number);
    }
    send_numbers(&mut alice.agent, "bob", 100..200);
    send_numbers(&mut new.agent, "alice", 0..100);
    await_numbers(&mut new.agent, "alice", 100..200);
    await_numbers(&mut alice.agent, "bob", 0..100);
}

#[test]
fn a_peer_that_ends_and_is_started_again_is_met_within_a_moment() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    for _ in 0..3 {
        bob.sidecar.signal(Signal::TERM);
        assert_eq!(bob.sidecar.exit_code(), 0);
        alice.agent.until_peer("peer_disconnected", "bob");
        let started = Instant::now();
        bob = site.node("bob");
        bob.await_peers(&["alice"]);
        alice.agent.until_peer("peer_connected", "bob");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        send_numbers(&mut alice.agent, "bob", 0..10);
        await_numbers(&mut bob.agent, "alice", 0..10);
    }
}

/// Messages are under way in both directions when bob stops, and further ones are sent meanwhile.
fn stand_still(alice: &mut Node, bob: &mut Node, time: Duration) {
    send_numbers(&mut alice.agent, "bob", 0..500);
    send_numbers(&mut bob.agent, "alice", 0..500);
    let stopped = bob.sidecar.stop();
    let since = Instant::now();
    send_numbers(&mut alice.agent, "bob", 500..1000);
    // What matters here is that time passes.
    std::thread::sleep(time.saturating_sub(since.elapsed()));
    drop(stopped);
    send_numbers(&mut bob.agent, "alice", 500..1000);
}

#[test]
fn a_peer_that_stood_still_for_3_seconds_has_not_been_away() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    stand_still(&mut alice, &mut bob, Duration::from_secs(3));
    let mut next = 0;
    while next < 1000 {
        let event = alice.agent.next();
        assert_eq!(event.kind(), "message", "{event:?}");
        assert_eq!(event.message()["payload"], next);
        next += 1;
    }
    await_numbers(&mut bob.agent, "alice", 0..1000);
}

#[test]
fn a_peer_that_stood_still_for_8_seconds_resumes_where_it_was() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    stand_still(&mut alice, &mut bob, Duration::from_secs(8));
    let mut told = Vec::new();
    let mut next = 0;
    while next < 1000 {
        let event = alice.agent.next();
        if event.kind() == "message" {
            assert_eq!(event.message()["payload"], next);
            next += 1;
        } else {
            told.push(event);
        }
    }
    assert!(told[0].is("peer_disconnected", "bob"), "{told:?}");
    assert!(told[1].is("peer_connected", "bob"), "{told:?}");
    assert_eq!(told[1].payload()["resumed"], true);
    await_numbers(&mut bob.agent, "alice", 0..1000);
    send_numbers(&mut alice.agent, "bob", 1000..1100);
    await_numbers(&mut bob.agent, "alice", 1000..1100);
}

#[test]
fn what_was_kept_for_a_peer_that_stood_still_too_long_is_reported_and_both_begin_anew() {
    let site = Site::new();
    let forgetful = site.setup("alice").set("RECOVERY_TIMEOUT", "0.5");
    let [mut alice, mut bob] = Node::meet([forgetful, site.setup("bob")]);
    let stopped = bob.sidecar.stop();
    for id in 0..100 {
        let message = json!({"type": "x", "payload": id, "request_id": id.to_string()});
        let payload = json!({"target_peer": "bob", "message": message});
        alice.agent.command(id, "send", &payload);
    }
    alice.agent.until_peer("peer_disconnected", "bob");
    let mut reported = Vec::new();
    while reported.len() < 100 {
        let error = alice.agent.next();
        assert!(
            ["connection_lost", "connect_failed"].contains(&error.code()),
            "{error:?}"
        );
        let id = error.id().unwrap().as_u64().unwrap();
        assert_eq!(error.payload()["request_id"], id.to_string());
        reported.push(id);
    }
    reported.sort_unstable();
    assert!(reported.into_iter().eq(0..100));

    drop(stopped);
    alice.agent.until_peer("peer_connected", "bob");
    send_numbers(&mut alice.agent, "bob", 1000..1100);
    send_numbers(&mut bob.agent, "alice", 1000..1100);
    await_numbers(&mut alice.agent, "bob", 1000..1100);
    // What was lost may have arrived after all, but before the rest, and once.
    let mut last = None;
    while last != Some(1099) {
        let event = bob.agent.until_peer("message", "alice");
        let number = event.message()["payload"].as_u64();
        assert!(number > last, "{number:?} after {last:?}");
        last = number;
    }
}
