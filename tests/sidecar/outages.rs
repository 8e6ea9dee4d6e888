//! Tests with a registry that comes late, goes, and comes back.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::registry::RunningRegistry;
use crate::scripted_registry::quiet_address;
use crate::support::{Agent, Event, Node, Place, Setup};

#[test]
fn sidecars_that_wait_for_the_registry_all_meet_when_it_starts() {
    let place = Place::new();
    let address = quiet_address();
    let names = ["a", "b", "c", "d"];
    let sidecars = names.map(|name| Setup::new(name, place.join(name)).registry(address).start());
    let mut nodes = sidecars.map(|sidecar| Node {
        agent: sidecar.agent(),
        sidecar,
    });
    let _registry = RunningRegistry::succeed(address);
    for node in &mut nodes {
        node.await_peers(&names);
    }
}

/// Reads the messages of one sender up to the message `last`. Returns the other events, and the longest gap.
fn read_numbers(agent: &mut Agent, last: u64) -> (Vec<Event>, Duration) {
    let mut others = Vec::new();
    let mut gap = Duration::ZERO;
    let mut before = Instant::now();
    let mut next = 0;
    while next <= last {
        let event = agent.next();
        if event.kind() == "message" {
            assert_eq!(event.message()["payload"], next);
            next += 1;
            gap = gap.max(before.elapsed());
            before = Instant::now();
        } else {
            others.push(event);
        }
    }
    (others, gap)
}

#[test]
fn messages_flow_on_while_the_registry_is_killed_and_started_again() {
    const MESSAGES: u64 = 1500;
    let place = Place::new();
    let address = quiet_address();
    let mut registry = RunningRegistry::succeed(address);
    let setup = |name: &str| Setup::new(name, place.join(name)).registry(address);
    let [mut alice, mut bob] = Node::meet(["alice", "bob"].map(setup));

    let mut writer = alice.agent.writer();
    let writing = thread::spawn(move || {
        let start = Instant::now();
        for number in 0..MESSAGES {
            // 500 a second.
            let due = start + Duration::from_millis(2) * u32::try_from(number).unwrap();
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let payload =
                json!({"target_peer": "bob", "message": {"type": "x", "payload": number}});
            let line = json!({"type": "send", "payload": payload}).to_string() + "\n";
            writer.write_all(line.as_bytes()).unwrap();
        }
    });
    let reading = thread::spawn(move || {
        let (others, gap) = read_numbers(&mut bob.agent, MESSAGES - 1);
        (bob, others, gap)
    });
    registry.stop();
    alice.agent.until_registry("disconnected");
    let _registry = RunningRegistry::succeed(address);
    let back = alice
        .agent
        .all_until(|event| event.kind() == "registry" && event.payload()["state"] == "connected");
    writing.join().unwrap();
    let (mut bob, others, gap) = reading.join().unwrap();
    println!("lost 0 of {MESSAGES}, longest gap {gap:?}");
    let is_about_registry = |event: &Event| event.kind() == "registry";
    assert!(others.iter().all(is_about_registry), "{others:?}");
    assert!(back.iter().all(is_about_registry), "{back:?}");

    // A newcomer meets both, and they still have the connection of before.
    let mut carol = Node::start(setup("carol"));
    carol.await_peers(&["alice", "bob"]);
    alice.await_peers(&["carol"]);
    bob.await_peers(&["carol"]);
    for (agent, peer) in [(&mut alice.agent, "bob"), (&mut bob.agent, "alice")] {
        let stats = agent.ask("stats", &json!({}));
        let peers = stats.payload()["peers"].as_array().unwrap();
        let of_peer = peers.iter().find(|stats| stats["peer_id"] == peer).unwrap();
        assert_eq!(of_peer["restarts"], 0, "{of_peer}");
    }
}
