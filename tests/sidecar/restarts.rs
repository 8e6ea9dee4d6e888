//! Tests with processes and agents that end and begin again and again while messages are under way.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Agent, Event, Site, Writer};

/// Sends numbered messages whose ids are their numbers, about a thousand a second.
fn write_slowly(mut writer: Writer, numbers: std::ops::Range<u64>) -> JoinHandle<()> {
    thread::spawn(move || {
        for number in numbers {
            let message = json!({"type": "x", "payload": number});
            let payload = json!({"target_peer": "bob", "message": message});
            let line = json!({"type": "send", "id": number, "payload": payload});
            writer.write_all(format!("{line}\n").as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
    })
}

/// The fate of each message: the numbers of those that arrived, and of those that are lost.
/// Each is answered once.
fn read_answers(agent: &mut Agent, messages: u64) -> [BTreeSet<u64>; 2] {
    let [mut arrived, mut lost] = [BTreeSet::new(), BTreeSet::new()];
    while ((arrived.len() + lost.len()) as u64) < messages {
        let event = agent.next();
        let Some(number) = event.id().and_then(Value::as_u64) else {
            continue;
        };
        let among = match event.code() {
            "" => &mut arrived,
            "connection_lost" => &mut lost,
            other => panic!("{other}: {event:?}"),
        };
        assert!(among.insert(number), "{number} was answered twice");
    }
    assert!(arrived.is_disjoint(&lost));
    [arrived, lost]
}

fn number_of(event: &Event) -> Option<u64> {
    (event.kind() == "message").then(|| event.message()["payload"].as_u64().unwrap())
}

#[test]
fn every_message_to_a_process_that_ends_and_begins_again_arrives_once_or_is_reported() {
    const MESSAGES: u64 = 4000;
    let site = Site::new();
    let [mut alice, bob] = site.meet(["alice", "bob"]);
    let open_files = alice.sidecar.open_files();
    let writing = write_slowly(alice.agent.writer(), 0..MESSAGES);
    let answering = thread::spawn(move || {
        let answers = read_answers(&mut alice.agent, MESSAGES);
        (alice, answers)
    });
    let mut received: Vec<u64> = Vec::new();
    let mut bob = bob;
    for round in 0..8 {
        let mut numbers = Vec::new();
        while numbers.len() < 100 {
            numbers.extend(number_of(&bob.agent.next()));
        }
        if round % 2 == 0 {
            bob.sidecar.kill();
        } else {
            bob.sidecar.signal(Signal::TERM);
        }
        // What is in the socket is the agent's, even when the sidecar is no more.
        while let Some(event) = bob.agent.next_or_end() {
            numbers.extend(number_of(&event));
        }
        received.append(&mut numbers);
        bob = site.node("bob");
    }
    let reading = thread::spawn(move || {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&(MESSAGES - 1)) {
            numbers.extend(number_of(&bob.agent.next()));
        }
        (bob, numbers)
    });
    writing.join().unwrap();
    let (alice, [arrived, lost]) = answering.join().unwrap();
    let (_bob, mut numbers) = reading.join().unwrap();
    received.append(&mut numbers);
    assert!(
        received.is_sorted_by(|a, b| a < b),
        "out of order or twice: {received:?}"
    );
    let received: BTreeSet<_> = received.into_iter().collect();
    let vanished: Vec<_> = arrived.difference(&received).collect();
    assert!(vanished.is_empty(), "{vanished:?}");
    println!("{} of {MESSAGES} were reported as lost", lost.len());
    assert_eq!(alice.sidecar.open_files(), open_files);
}

#[test]
fn messages_stay_in_order_while_agents_come_and_go() {
    const MESSAGES: u64 = 3000;
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let open_files = bob.sidecar.open_files();
    let writing = write_slowly(alice.agent.writer(), 0..MESSAGES);
    let mut last = None;
    while last != Some(MESSAGES - 1) {
        for _ in 0..100 {
            let number = number_of(&bob.agent.until(|event| event.kind() == "message"));
            assert!(number > last, "{number:?} after {last:?}");
            last = number;
            if last == Some(MESSAGES - 1) {
                break;
            }
        }
        if last != Some(MESSAGES - 1) {
            // What the socket holds goes with it.
            bob.agent = Agent::connect(&bob.sidecar.socket);
        }
    }
    writing.join().unwrap();
    let [arrived, lost] = read_answers(&mut alice.agent, MESSAGES);
    assert_eq!((arrived.len() as u64, lost.len()), (MESSAGES, 0));
    assert_eq!(bob.sidecar.open_files(), open_files);
}
