//! Tests of one agent on the IPC socket: its lines, and that there is one at a time.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use chatixia_sidecar::protocol::ipc::Limits;
use chatixia_sidecar::runtime::ipc::{self, Settings};

use crate::support::{Agent, Directory, LIMITS, Served, error_event};

#[test]
fn lines_arrive_in_order_however_they_are_cut() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (generation, _events) = served.connected();

    agent.write("{\"type\":\"list_peers\",\"id\":1}\n{\"type\":\"stats\",\"id\":2}\r\n\n\r\n  \n");
    assert_eq!(served.take_requests(2), ["list_peers #1", "stats #2"]);
    for byte in b"{\"type\":\"connect\",\"payload\":{\"target_peer_id\":\"bob\"}}\n" {
        agent.write([*byte]);
    }
    assert_eq!(served.take_requests(1), ["connect bob"]);
    agent.write("{\"type\":\"list_peers\",\"id\":\"half");
    agent.write(" a line\"}\n{\"type\":\"stats\"}");
    drop(agent);
    assert_eq!(
        served.requests_to_the_end(generation),
        ["list_peers #\"half a line\"", "stats"]
    );
}

#[test]
fn bad_lines_are_rejected_in_their_place() {
    let directory = Directory::new();
    let limits = Limits {
        message_bytes: 1000,
        line_bytes: 100_000,
    };
    let bound = ipc::bind(Settings::new(directory.socket())).unwrap();
    let served = Served::start(bound, limits);
    let mut agent = Agent::connect(&directory.socket());
    let (generation, _events) = served.connected();

    agent.write("{\"type\":\"list_peers\",\"id\":1}\n");
    agent.write(vec![b'x'; 1_000_000]);
    agent.write("\n{\"type\":\"list_peers\",\"id\":2}\n");
    agent.write(b"\xff\xfe{}\n{\"type\":1}\nnonsense\n{\"type\":\"nonsense\"}\n");
    agent.write("{\"type\":\"send\",\"payload\":{}}\n{\"type\":\"list_peers\",\"id\":3}\n");
    agent.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        served.requests_to_the_end(generation),
        [
            "list_peers #1",
            "line_too_long",
            "list_peers #2",
            "bad_json",
            "bad_command",
            "bad_json",
            "unknown_command",
            "bad_command",
            "list_peers #3",
        ]
    );
}

#[test]
fn many_lines_make_small_batches() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (generation, _events) = served.connected();
    let writer = thread::spawn(move || {
        agent.write("{\"type\":\"list_peers\"}\n".repeat(10_000));
        agent
    });
    let mut count = 0;
    while count < 10_000 {
        let batch = served.requests.recv().unwrap();
        assert_eq!(batch.generation, generation);
        assert!((1..=256).contains(&batch.requests.len()));
        assert!(!batch.end);
        count += batch.requests.len();
    }
    writer.join().unwrap();
}

#[test]
fn a_second_agent_is_told_busy_and_closed() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut first = Agent::connect(&directory.socket());
    let (_, mut outlet) = served.connected();

    let mut second = Agent::connect(&directory.socket());
    second.write("{\"type\":\"list_peers\"}\n");
    let line = second.line().unwrap();
    assert!(
        line.contains("\"error\"") && line.contains("\"busy\""),
        "{line}"
    );
    assert_eq!(second.line(), None);

    outlet.hand_on(vec![error_event("still here")]);
    assert!(first.line().unwrap().contains("still here"));
    first.write("{\"type\":\"stats\"}\n");
    assert_eq!(served.take_requests(1), ["stats"]);
}

#[test]
fn a_crowd_is_told_busy_and_does_not_harm_the_agent() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (_, mut outlet) = served.connected();
    let mut crowd: Vec<Agent> = (0..50)
        .map(|_| Agent::connect(&directory.socket()))
        .collect();
    for guest in &mut crowd {
        assert!(guest.line().unwrap().contains("\"busy\""));
        assert_eq!(guest.line(), None);
    }
    outlet.hand_on(vec![error_event("still here")]);
    assert!(agent.line().unwrap().contains("still here"));
}

#[test]
fn an_agent_that_reconnects_at_once_is_never_told_busy() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    for round in 1..=300 {
        let (generation, mut outlet) = served.connected();
        assert_eq!(generation, round);
        outlet.hand_on(vec![error_event("welcome")]);
        assert!(agent.line().unwrap().contains("welcome"));
        agent.write("{\"type\":\"stats\"}\n");
        drop(agent);
        agent = Agent::connect(&directory.socket());
        assert_eq!(served.gone().0, generation);
        assert_eq!(served.requests_to_the_end(generation), ["stats"]);
    }
}

#[test]
fn an_agent_that_comes_a_little_before_the_other_goes_is_let_in() {
    let directory = Directory::new();
    let served = Served::with(Settings {
        reconnect_grace: Duration::from_secs(10),
        ..Settings::new(directory.socket())
    });
    let first = Agent::connect(&directory.socket());
    let _events = served.connected();
    let mut second = Agent::connect(&directory.socket());
    second.write("{\"type\":\"stats\"}\n");
    drop(first);
    assert_eq!(served.gone().0, 1);
    let (generation, mut outlet) = served.connected();
    assert_eq!(generation, 2);
    assert!(served.requests_to_the_end(1).is_empty());
    assert_eq!(served.take_requests(1), ["stats"]);
    outlet.hand_on(vec![error_event("welcome")]);
    assert!(second.line().unwrap().contains("welcome"));
}

#[test]
fn an_agent_that_has_left_before_it_was_seen_is_heard() {
    let directory = Directory::new();
    let bound = ipc::bind(Settings::new(directory.socket())).unwrap();
    let mut agent = Agent::connect(&directory.socket());
    agent.write("{\"type\":\"stats\"}\n{\"type\":\"list_peers\"}");
    drop(agent);
    let served = Served::start(bound, LIMITS);
    let (generation, _events) = served.connected();
    assert_eq!(served.gone().0, generation);
    assert_eq!(
        served.requests_to_the_end(generation),
        ["stats", "list_peers"]
    );
}

#[test]
fn a_half_closed_agent_gets_its_answers() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    agent.write("{\"type\":\"stats\"}\n");
    agent.stream.shutdown(Shutdown::Write).unwrap();
    let (generation, mut outlet) = served.connected();
    assert_eq!(served.requests_to_the_end(generation), ["stats"]);

    outlet.hand_on(vec![error_event("first")]);
    assert!(agent.line().unwrap().contains("first"));
    outlet.hand_on(vec![error_event("last")]);
    drop(outlet);
    assert!(agent.line().unwrap().contains("last"));
    assert_eq!(agent.line(), None);
    let (gone, mut unsent) = served.gone();
    assert_eq!(gone, generation);
    assert!(unsent.next().is_none());
}

#[test]
fn the_agent_stays_connected_through_a_shutdown_until_it_is_dropped() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (generation, mut outlet) = served.connected();
    agent.write("{\"type\":\"stats\"}\n");
    served.handle.shutdown();
    assert!(directory.names().is_empty());
    // What it wrote before counts, and there is no more.
    assert_eq!(served.requests_to_the_end(generation), ["stats"]);
    // What it writes now nobody reads, but nothing fails before it has been told the last.
    agent.write("{\"type\":\"stats\"}\n");
    outlet.hand_on(vec![error_event("goodbye")]);
    drop(outlet);
    assert!(agent.line().unwrap().contains("goodbye"));
    assert_eq!(agent.line(), None);
    assert_eq!(served.gone().0, generation);
    // All threads have ended.
    assert!(served.notices.recv().is_err());
    assert!(served.requests.recv().is_err());
}
