//! Tests of backpressure: a reader that does not read slows its writers, within bounded memory, and in the
//! end does not hinder anybody else.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Agent, DEADLINE, Event, Node, Sidecar, Site, Transport, Writer, on_each_transport,
};

on_each_transport!(
    a_reader_that_does_not_read_stalls_and_then_gets_all_that_was_accepted,
    a_slow_reader_slows_the_writer_and_loses_nothing,
    a_reader_that_is_slow_all_the_time_does_not_count_as_stalled,
    two_agents_that_both_write_before_they_read_are_not_stuck_for_ever,
    an_agent_that_asks_and_does_not_read_is_held_back,
);

/// The memory that a sidecar may take while its queues are full.
const MEMORY: u64 = 40_000_000;

/// A `send` of about 16 KiB whose id and payload are `number`.
fn line(to: &str, number: u64) -> String {
    let filling = "x".repeat(16_000);
    let message = json!({"type": "x", "payload": number, "filling": filling});
    let payload = json!({"target_peer": to, "message": message});
    json!({"type": "send", "id": number, "payload": payload}).to_string() + "\n"
}

fn write_lines(mut writer: Writer, to: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        writer.write_all(line(to, number).as_bytes()).unwrap();
    }
}

fn a_reader_that_does_not_read_stalls_and_then_gets_all_that_was_accepted(transport: Transport) {
    // 100 MB.
    const MESSAGES: u64 = 6250;
    let site = Site::over(transport);
    let setup = |name| site.setup(name).set("SEND_STALL_SECONDS", "1");
    let [mut alice, mut bob, mut carol] = Node::meet(["alice", "bob", "carol"].map(setup));
    let mut writer = alice.agent.writer();
    let writing = thread::spawn(move || {
        write_lines(writer.another(), "bob", 0..MESSAGES);
        writer
            .write_all(line("carol", MESSAGES).as_bytes())
            .unwrap();
    });
    let high = alice.agent.until_peer("pressure", "bob");
    assert_eq!(high.payload()["state"], "high");
    assert!(high.payload()["queued_bytes"].as_u64() >= Some(1_000_000));

    // After a second the rest is refused at once, so others can be reached again.
    let mut refused = BTreeSet::new();
    loop {
        let event = alice.agent.next();
        let id = event.id().and_then(Value::as_u64);
        if id == Some(MESSAGES) {
            assert_eq!(event.payload()["target_peer"], "carol");
            break;
        }
        if event.kind() == "ok" {
            // What the socket of bob's agent has room for counts as taken.
            continue;
        }
        assert_eq!(event.code(), "peer_stalled", "{event:?}");
        assert_eq!(event.payload()["target_peer"], "bob");
        refused.extend(id);
        if refused.len() % 100 == 0 {
            assert_bounded([&alice.sidecar, &bob.sidecar]);
        }
    }
    carol.agent.until_peer("message", "alice");
    let payload = json!({"message": {"type": "to all"}});
    let answer = alice.agent.ask("broadcast", &payload);
    let stalled = json!({"peer_id": "bob", "code": "peer_stalled"});
    assert_eq!(
        answer.payload(),
        &json!({"delivered": ["carol"], "failed": [stalled]})
    );
    writing.join().unwrap();
    let accepted: Vec<_> = (0..MESSAGES).filter(|id| !refused.contains(id)).collect();
    assert!(refused.len() > 5000, "{} were refused", refused.len());

    // Bob's agent reads on. What is accepted from now on arrives as well.
    for number in accepted {
        let event = bob.agent.until_peer("message", "alice");
        assert_eq!(event.message()["payload"], number);
    }
    let normal = alice.agent.until_peer("pressure", "bob");
    assert_eq!(normal.payload()["state"], "normal");
    alice.agent.write(line("bob", MESSAGES));
    let event = bob.agent.until_peer("message", "alice");
    assert_eq!(event.message()["payload"], MESSAGES);
}

fn assert_bounded(sidecars: [&Sidecar; 2]) {
    for sidecar in sidecars {
        let resident = sidecar.resident_bytes();
        assert!(resident < MEMORY, "{resident} bytes in {}", sidecar.name);
    }
}

fn a_slow_reader_slows_the_writer_and_loses_nothing(transport: Transport) {
    const MESSAGES: u64 = 500;
    let site = Site::over(transport);
    let [mut alice, bob] = site.meet(["alice", "bob"]);
    let writer = alice.agent.writer();
    let writing = thread::spawn(move || write_lines(writer, "bob", 0..MESSAGES));
    let Node { agent, sidecar } = bob;
    let (pause, paused) = mpsc::channel();
    let reading = thread::spawn(move || read_with_pauses(agent, MESSAGES, &pause));
    let mut receipts = 0;
    while receipts < MESSAGES {
        let event = alice.agent.next();
        if event.kind() == "ok" {
            assert_eq!(event.id(), Some(&json!(receipts)));
            receipts += 1;
        }
        if paused.try_recv().is_ok() {
            assert_bounded([&alice.sidecar, &sidecar]);
        }
    }
    reading.join().unwrap();
    writing.join().unwrap();
}

fn a_reader_that_is_slow_all_the_time_does_not_count_as_stalled(transport: Transport) {
    const MESSAGES: u64 = 200;
    const PAUSE: Duration = Duration::from_millis(100);
    let site = Site::over(transport);
    let setup = |name| site.setup(name).set("SEND_STALL_SECONDS", "3");
    let [mut alice, bob] = Node::meet(["alice", "bob"].map(setup));
    write_lines(alice.agent.writer(), "bob", 0..MESSAGES);
    // 32 KB a second, for several times as long as it takes to count as stalled.
    let mut reader = bob.agent.reader();
    let mut chunk = [0; 3200];
    let mut read = Vec::new();
    for _ in 0..120 {
        let count = reader.read(&mut chunk).unwrap();
        read.extend_from_slice(&chunk[..count]);
        thread::sleep(PAUSE);
    }
    assert!(!alice.sidecar.log().contains("takes nothing"));
    alice.agent.line(line("bob", MESSAGES).trim());
    let mut lines = BufReader::new(read.as_slice().chain(&reader)).lines();
    for number in 0..=MESSAGES {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["payload"]["message"]["payload"], number);
    }
    let last = json!(MESSAGES);
    let told = alice.agent.all_until(|event| event.id() == Some(&last));
    assert!(told.iter().any(|event| event.is("pressure", "bob")));
    let answers: Vec<_> = told.iter().filter_map(Event::id).collect();
    assert_eq!(answers.len() as u64, 1 + MESSAGES);
    assert!(told.iter().all(|event| event.kind() != "error"));
}

fn read_with_pauses(mut agent: Agent, messages: u64, pause: &mpsc::Sender<()>) {
    for number in 0..messages {
        let event = agent.until_peer("message", "alice");
        assert_eq!(event.message()["payload"], number);
        if number % 50 == 0 {
            thread::sleep(Duration::from_millis(20));
            let _ = pause.send(());
        }
    }
}

fn two_agents_that_both_write_before_they_read_are_not_stuck_for_ever(transport: Transport) {
    let site = Site::over(transport);
    let setup = |name| site.setup(name).set("SEND_STALL_SECONDS", "1");
    let [alice, bob] = Node::meet(["alice", "bob"].map(setup));
    let pairs = [(alice, "bob"), (bob, "alice")];
    let talks = pairs.map(|(node, peer)| thread::spawn(move || write_then_read(node, peer)));
    // Whoever is through first stays until the other is.
    let _nodes = talks.map(|talk| talk.join().unwrap());
}

/// Reads until all is answered on both sides.
fn write_then_read(mut node: Node, peer: &str) -> Node {
    // More than all buffers hold.
    write_lines(node.agent.writer(), peer, 0..500);
    let (mut answers, mut peer_is_done) = (0, false);
    while answers < 500 || !peer_is_done {
        let event = node.agent.next();
        if event.id().is_some() {
            answers += 1;
            if answers == 500 {
                node.agent.send(peer, &json!({"type": "done"}));
            }
        } else if event.kind() == "message" {
            peer_is_done |= event.message()["type"] == "done";
        }
    }
    node
}

fn an_agent_that_asks_and_does_not_read_is_held_back(transport: Transport) {
    const COMMANDS: u64 = 40_000;
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let mut writer = alice.agent.writer();
    writer.set_timeout(Duration::from_millis(500));
    let (held_back, is_held_back) = mpsc::channel();
    let writing = thread::spawn(move || {
        for number in 0..COMMANDS {
            let line = json!({"type": "send", "id": number}).to_string() + "\n";
            let mut rest = line.as_bytes();
            while !rest.is_empty() {
                match writer.write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        let _ = held_back.send(number);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    let written = is_held_back.recv_timeout(DEADLINE).unwrap();
    assert!(written < COMMANDS / 2, "{written}");
    assert_bounded([&alice.sidecar; 2]);
    for number in 0..COMMANDS {
        let error = alice.agent.next();
        assert_eq!(error.code(), "bad_command");
        assert_eq!(error.id(), Some(&json!(number)));
    }
    writing.join().unwrap();
    assert_bounded([&alice.sidecar; 2]);
}
