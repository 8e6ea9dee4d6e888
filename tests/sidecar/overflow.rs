//! Tests of the overflow: a peer that takes nothing keeps nobody else waiting, and gets all that was accepted for
//! it, in order, once it goes on.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Agent, Event, Node, Site, Transport, on_each_transport};

on_each_transport!(
    four_mebibytes_for_a_stopped_peer_keep_nobody_waiting_and_arrive_when_it_goes_on,
    a_hundred_mebibytes_for_a_stopped_peer_take_bounded_memory_and_are_delivered_or_refused,
);

/// Bytes that the pushing sidecar may take of memory. Unoptimized it is larger from the start.
const MEMORY: u64 = if cfg!(debug_assertions) { 36 } else { 24 } * 1024 * 1024;

/// Half of the round trips with a healthy peer have to be this short: each of its messages half of that.
const USUAL_ROUND_TRIP: Duration = Duration::from_millis(40);

/// The time that a round trip or an answer may take now and then, when this machine has other things to do.
const RARE_ROUND_TRIP: Duration = Duration::from_millis(500);

/// A message of about 16 KiB.
fn filling() -> String {
    "x".repeat(16_000)
}

/// The line of a `send` to bob, without an id.
fn push(number: usize, filling: &str) -> String {
    let message = json!({"type": "pushed", "payload": number, "request_id": number.to_string(), "filling": filling});
    let payload = json!({"target_peer": "bob", "message": message});
    json!({"type": "send", "payload": payload}).to_string() + "\n"
}

/// Measures what others notice of a peer's trouble.
#[derive(Default)]
struct Watch {
    /// Of messages to the healthy peer and its answers.
    round_trips: Vec<Duration>,
    /// From a question to the sidecar to its answer.
    answers: Vec<Duration>,
    /// The most memory that the sidecar took.
    resident: u64,
    /// The events that came meanwhile and that nothing was asked for.
    told: Vec<Event>,
}

impl Watch {
    /// Sends a message to carol, who answers it, and asks the sidecar for its peers and numbers.
    fn look(&mut self, alice: &mut Node, carol: &mut Agent) {
        let started = Instant::now();
        alice.agent.send("carol", &json!({"type": "ping"}));
        carol.until_peer("message", "alice");
        carol.send("alice", &json!({"type": "pong"}));
        self.until(alice, |event| event.is("message", "carol"));
        self.round_trips.push(started.elapsed());
        for kind in ["list_peers", "stats"] {
            let started = Instant::now();
            alice.agent.command(kind, kind, &json!({}));
            self.until(alice, |event| event.id() == Some(&kind.into()));
            self.answers.push(started.elapsed());
        }
    }

    /// Reads up to an event, and measures the sidecar's memory at each.
    fn until(&mut self, node: &mut Node, is_wanted: impl Fn(&Event) -> bool) {
        loop {
            let event = node.agent.next();
            self.resident = self.resident.max(node.sidecar.resident_bytes());
            if is_wanted(&event) {
                return;
            }
            self.told.push(event);
        }
    }

    fn was_told(&self, kind: &str, peer: &str) -> bool {
        self.told.iter().any(|event| event.is(kind, peer))
    }

    /// Nobody had to wait, and it took little memory.
    fn check(mut self) {
        for times in [&mut self.round_trips, &mut self.answers] {
            times.sort_unstable();
            let [median, late] = [times.len() / 2, times.len() * 99 / 100].map(|at| times[at]);
            assert!(median < USUAL_ROUND_TRIP, "{median:?}");
            assert!(late < RARE_ROUND_TRIP, "{late:?}");
        }
        assert!(self.resident < MEMORY, "{} bytes", self.resident);
    }
}

fn four_mebibytes_for_a_stopped_peer_keep_nobody_waiting_and_arrive_when_it_goes_on(
    transport: Transport,
) {
    const MESSAGES: usize = 256;
    let site = Site::over(transport);
    let [mut alice, mut bob, mut carol] = site.meet(["alice", "bob", "carol"]);
    let mut watch = Watch::default();
    let stopped = bob.sidecar.stop();
    let filling = filling();
    for number in 0..MESSAGES {
        alice.agent.write(push(number, &filling));
        if number % 8 == 7 {
            watch.look(&mut alice, &mut carol.agent);
        }
    }
    assert!(watch.was_told("pressure", "bob"));
    while !watch.was_told("peer_disconnected", "bob") {
        watch.look(&mut alice, &mut carol.agent);
    }
    for _ in 0..100 {
        watch.look(&mut alice, &mut carol.agent);
    }
    drop(stopped);
    for number in 0..MESSAGES {
        let event = bob.agent.until_peer("message", "alice");
        assert_eq!(event.message()["payload"], number);
    }
    let normal =
        |event: &Event| event.is("pressure", "bob") && event.payload()["state"] == "normal";
    watch.until(&mut alice, normal);
    assert!(watch.told.iter().all(|event| event.kind() != "error"));
    watch.check();
}

fn a_hundred_mebibytes_for_a_stopped_peer_take_bounded_memory_and_are_delivered_or_refused(
    transport: Transport,
) {
    const MESSAGES: usize = 6400;
    let site = Site::over(transport);
    let setup = |name| site.setup(name).set("SEND_STALL_SECONDS", "1");
    let [mut alice, mut bob, mut carol] = Node::meet(["alice", "bob", "carol"].map(setup));
    let stopped = bob.sidecar.stop();
    let mut writer = alice.agent.writer();
    let writing = thread::spawn(move || {
        let filling = filling();
        for number in 0..MESSAGES {
            writer.write_all(push(number, &filling).as_bytes()).unwrap();
        }
        writer
            .write_all(b"{\"type\":\"list_peers\",\"id\":\"written\"}\n")
            .unwrap();
    });
    let mut watch = Watch::default();
    watch.until(&mut alice, |event| event.id() == Some(&json!("written")));
    writing.join().unwrap();
    for _ in 0..100 {
        watch.look(&mut alice, &mut carol.agent);
    }
    let refused: BTreeSet<usize> = watch
        .told
        .iter()
        .filter(|event| event.kind() == "error")
        .map(|event| {
            assert_eq!(event.code(), "peer_stalled");
            let request_id = event.payload()["request_id"].as_str();
            request_id.and_then(|text| text.parse().ok()).unwrap()
        })
        .collect();
    let accepted = (0..MESSAGES).filter(|number| !refused.contains(number));
    assert!(accepted.clone().count() * 16_000 > 8_000_000);
    drop(stopped);
    for number in accepted {
        let event = bob.agent.until_peer("message", "alice");
        assert_eq!(event.message()["payload"], Value::from(number));
    }
    watch.check();
}
