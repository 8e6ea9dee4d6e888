//! Tests of backpressure on the IPC socket, and of what is left when an agent hangs up.

use std::io::Write;
use std::time::Duration;

use chatixia_sidecar::limits;
use chatixia_sidecar::runtime::ipc::{Notice, Settings};
use crossbeam_channel::TrySendError;

use crate::support::{Agent, DEADLINE, Directory, LIMITS, Served, event, mark_of};

#[test]
fn events_come_whole_and_in_order_and_are_counted() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (_, events) = served.connected();
    let reader = std::thread::spawn(move || {
        for mark in 0..500 {
            let line = agent.line().unwrap();
            assert!(line.contains(&format!("\"request_id\":\"{mark}\"")));
            assert!(line.ends_with("}}}"), "the line is whole");
        }
        agent
    });
    for batch in 0..50 {
        // From 10 B to 500 KB.
        let size = 10 * (batch + 1) * if batch % 10 == 0 { 1000 } else { 1 };
        let events_of = (batch * 10..batch * 10 + 10).map(|mark| event(mark, size));
        events.send(events_of.collect()).unwrap();
    }
    let mut written = 0;
    while written < 500 {
        match served.notice() {
            Notice::Written { events, .. } => written += events,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(written, 500);
    reader.join().unwrap();
}

#[test]
fn an_agent_that_never_reads_holds_up_a_bounded_amount_and_all_of_it_comes_back() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let agent = Agent::connect(&directory.socket());
    let (_, events) = served.connected();
    let mut given = 0;
    loop {
        let batch = (given..given + 10)
            .map(|mark| event(mark, 10_000))
            .collect();
        match events.send_timeout(batch, Duration::from_millis(500)) {
            Ok(()) => given += 10,
            Err(_) => break,
        }
        assert!(given < 1000, "10 MB are under way");
    }
    drop(agent);
    let mut written = 0;
    let unsent = loop {
        match served.notice() {
            Notice::Written { events, .. } => written += events,
            Notice::AgentGone { unsent, .. } => break unsent,
            other => panic!("{other:?}"),
        }
    };
    // What is sent before the notice is looked at is not lost either.
    let late = events.try_send(vec![event(given, 1)]);
    assert!(!matches!(late, Err(TrySendError::Disconnected(_))));
    if late.is_ok() {
        given += 1;
    }
    let marks: Vec<usize> = unsent.map(|event| mark_of(&event)).collect();
    assert_eq!(marks, (written..given).collect::<Vec<_>>());
    assert!(!marks.is_empty());
}

#[test]
fn an_agent_whose_requests_are_not_taken_is_held_up() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (generation, _events) = served.connected();
    let line = format!(
        "{{\"type\":\"send\",\"payload\":{{\"target_peer\":\"bob\",\"message\":{{\"type\":\"{}\"}}}}}}\n",
        "x".repeat(10_000)
    );
    agent
        .stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut sent = Vec::new();
    while sent.len() < 100_000_000 {
        match agent.stream.write(line.as_bytes()) {
            Ok(count) if count == line.len() => sent.extend_from_slice(line.as_bytes()),
            Ok(count) => {
                sent.extend_from_slice(&line.as_bytes()[..count]);
                break;
            }
            Err(_) => break,
        }
    }
    assert!(sent.len() < 3_000_000, "{} bytes under way", sent.len());

    let whole = sent.len() / line.len();
    drop(agent);
    let requests = served.requests_to_the_end(generation);
    assert_eq!(requests.iter().filter(|r| *r == "send bob").count(), whole);
}

#[test]
fn a_hangup_is_told_although_requests_wait_and_they_stay_valid_and_in_order() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut first = Agent::connect(&directory.socket());
    let (generation, _events) = served.connected();
    first.write("{\"type\":\"stats\"}\n".repeat(2000));
    drop(first);
    assert_eq!(served.gone().0, generation);

    let mut second = Agent::connect(&directory.socket());
    second.write("{\"type\":\"list_peers\"}\n");
    let (next, _events) = served.connected();
    assert_eq!(served.requests_to_the_end(generation), vec!["stats"; 2000]);
    let batch = served.requests.recv_timeout(DEADLINE).unwrap();
    assert_eq!(batch.generation, next);
}

#[test]
fn agents_that_come_and_go_while_requests_wait_are_bounded() {
    let directory = Directory::new();
    let served = Served::with(Settings {
        // So that they are let in when there is room, not at the next look at the file.
        file_check: 2 * DEADLINE,
        ..Settings::new(directory.socket(), LIMITS)
    });
    let agents = 12;
    for _ in 0..agents {
        Agent::connect(&directory.socket()).write("{\"type\":\"stats\"}\n".repeat(1000));
    }
    // Two batches are in the channel, four readers wait, the rest is not let in.
    for _ in 0..limits::IPC_DRAINING {
        drop(served.connected());
        served.gone();
    }
    assert!(
        served
            .notices
            .recv_timeout(Duration::from_millis(600))
            .is_err()
    );
    for generation in 1..=agents {
        assert_eq!(served.requests_to_the_end(generation).len(), 1000);
    }
}

#[test]
fn an_agent_that_only_stops_reading_for_good_is_gone() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let agent = Agent::connect(&directory.socket());
    let (generation, events) = served.connected();
    agent.stream.shutdown(std::net::Shutdown::Read).unwrap();
    events.send(vec![event(0, 1)]).unwrap();
    let (gone, unsent) = served.gone();
    assert_eq!(gone, generation);
    assert_eq!(unsent.count(), 1);
    assert!(served.requests_to_the_end(generation).is_empty());
}
