//! Tests of backpressure on the IPC socket, and of what is left when an agent hangs up.

use std::io::Write;
use std::time::Duration;

use chatixia_sidecar::limits;
use chatixia_sidecar::runtime::ipc::{Notice, Settings};

use crate::support::{Agent, DEADLINE, Directory, Served, event, mark_of};

#[test]
fn events_come_whole_and_in_order_and_are_counted() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (_, mut outlet) = served.connected();
    let reader = std::thread::spawn(move || {
        for mark in 0..500 {
            let line = agent.line().unwrap();
            assert!(line.contains(&format!("\"request_id\":\"{mark}\"")));
            assert!(line.ends_with("}}}"), "the line is whole");
        }
        agent
    });
    let mut written = 0;
    for batch in 0..50 {
        while outlet.is_full() {
            written += served.report(&mut outlet, DEADLINE).unwrap();
        }
        // From 10 B to 500 KB.
        let size = 10 * (batch + 1) * if batch % 10 == 0 { 1000 } else { 1 };
        let events_of = (batch * 10..batch * 10 + 10).map(|mark| event(mark, size));
        written += outlet.hand_on(events_of.collect()).written;
    }
    while written < 500 {
        written += served.report(&mut outlet, DEADLINE).unwrap();
    }
    assert_eq!(written, 500);
    reader.join().unwrap();
}

#[test]
fn a_small_event_is_in_the_socket_at_once_while_the_writer_has_nothing() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (_, mut outlet) = served.connected();
    for mark in 0..3 {
        assert_eq!(outlet.hand_on(vec![event(mark, 10)]).written, 1);
        let line = agent.line().unwrap();
        assert!(line.contains(&format!("\"request_id\":\"{mark}\"")));
    }
    // What is large is the writer's, and nothing overtakes it.
    assert_eq!(outlet.hand_on(vec![event(3, 100_000)]).written, 0);
    assert_eq!(outlet.hand_on(vec![event(4, 10)]).written, 0);
    let mut written = 0;
    while written < 2 {
        written += served.report(&mut outlet, DEADLINE).unwrap();
    }
    assert_eq!(outlet.hand_on(vec![event(5, 10)]).written, 1);
    for mark in 3..6 {
        let line = agent.line().unwrap();
        assert!(line.contains(&format!("\"request_id\":\"{mark}\"")));
    }
    assert!(served.notices.is_empty(), "nobody is told twice");
}

#[test]
fn an_agent_that_never_reads_holds_up_a_bounded_amount_and_all_of_it_comes_back() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let agent = Agent::connect(&directory.socket());
    let (_, mut outlet) = served.connected();
    let (mut given, mut written) = (0, 0);
    'full: loop {
        while outlet.is_full() {
            match served.report(&mut outlet, Duration::from_millis(500)) {
                Some(events) => written += events,
                None => break 'full,
            }
        }
        let batch = (given..given + 10).map(|mark| event(mark, 10_000));
        written += outlet.hand_on(batch.collect()).written;
        given += 10;
        assert!(given < 1000, "10 MB are under way");
    }
    drop(agent);
    let unsent = loop {
        match served.notice() {
            Notice::Written { events, .. } => written += events,
            Notice::AgentGone { unsent, .. } => break unsent,
            other => panic!("{other:?}"),
        }
    };
    // What is handed on before the notice is looked at is not lost either.
    if !outlet.is_full() {
        let late = outlet.hand_on(vec![event(given, 1)]);
        assert!(late.refused.is_empty());
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
        ..Settings::new(directory.socket())
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
    let (generation, mut outlet) = served.connected();
    agent.stream.shutdown(std::net::Shutdown::Read).unwrap();
    assert_eq!(outlet.hand_on(vec![event(0, 1)]).written, 0);
    let (gone, unsent) = served.gone();
    assert_eq!(gone, generation);
    assert_eq!(unsent.count(), 1);
    assert!(served.requests_to_the_end(generation).is_empty());
}
