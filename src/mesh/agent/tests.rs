//! Tests of the queue to the agent, step by step.

use super::*;
use crate::protocol::ipc::{ErrorCode, RegistryState};

const AGENT: Generation = 1;

fn connected(peer: &str) -> Event {
    let peer_id = PeerId::new(peer).unwrap();
    Event::PeerConnected {
        peer_id,
        resumed: false,
    }
}

fn disconnected(peer: &str) -> Event {
    let peer_id = PeerId::new(peer).unwrap();
    Event::PeerDisconnected { peer_id }
}

#[test]
fn changes_left_out_are_told_in_one_go_and_none_is_told_twice() {
    let mut queue = AgentQueue::default();
    let greeting = connected("self");
    queue.connected(AGENT, std::iter::once(greeting), std::iter::empty());
    while queue.has_room() {
        queue.push_state(connected("a"));
        queue.push_state(disconnected("a"));
    }
    queue.push_state(connected("b"));
    let registry = Event::Registry {
        state: RegistryState::Connected,
        peer_id: None,
        reason: None,
    };
    queue.push_state(registry);
    assert!(queue.left_out() > 0);
    // There is room again, but what was left out has to be told first.
    let mut events = queue.take_events(1000);
    queue.push_state(disconnected("b"));
    queue.push_state(connected("b"));
    while !queue.wants_summary() {
        events.extend(queue.take_events(1000));
    }
    let reachable = [PeerId::new("b").unwrap()].into();
    queue.summarize(&reachable);
    events.extend(queue.take_events(usize::MAX));
    let mut told = BTreeSet::new();
    let mut registries = 0;
    for event in &events {
        match event {
            Event::PeerConnected { peer_id, .. } => assert!(told.insert(peer_id.clone())),
            Event::PeerDisconnected { peer_id } => assert!(told.remove(peer_id)),
            Event::Registry { .. } => registries += 1,
            _ => panic!("unexpected: {event:?}"),
        }
    }
    assert_eq!(registries, 1);
    told.remove(&PeerId::new("self").unwrap());
    assert_eq!(told, reachable);
}

fn command(generation: Generation) -> Origin {
    let id = None;
    Origin::Command { generation, id }
}

/// Makes an error with this text, about no message in particular.
fn error(text: &str) -> ErrorReport {
    ErrorReport::new(ErrorCode::ConnectionLost, text)
}

fn errors(events: &[Event]) -> Vec<&str> {
    let errors = events.iter().filter_map(|event| match event {
        Event::Error { error, .. } => Some(error.message.as_str()),
        _ => None,
    });
    errors.collect()
}

#[test]
fn only_failures_of_messages_are_told_to_the_next_agent() {
    let mut queue = AgentQueue::default();
    queue.connected(
        AGENT,
        std::iter::once(connected("self")),
        std::iter::empty(),
    );
    queue.fail_message(&command(AGENT), error("the writer has it"));
    let in_writer = queue.take_events(usize::MAX).split_off(1);
    queue.written(AGENT, 1);
    queue.fail(&command(AGENT), error("bad line"));
    queue.fail_message(&command(AGENT), error("waits"));
    queue.gone(AGENT, in_writer);
    queue.fail(&command(AGENT), error("late answer"));
    queue.fail_message(&command(AGENT), error("late"));
    queue.connected(
        AGENT + 1,
        std::iter::once(connected("self")),
        std::iter::empty(),
    );
    queue.fail(&command(AGENT), error("later answer"));
    queue.fail_message(&command(AGENT), error("later"));
    queue.fail(&command(AGENT + 1), error("own"));
    let told = queue.take_events(usize::MAX);
    let expected = ["the writer has it", "waits", "late", "later", "own"];
    assert_eq!(errors(&told), expected);
}

#[test]
fn large_answers_that_nobody_reads_stop_requests_as_many_small_ones_do() {
    let statistics = || {
        let text = format!("\"{}\"", "x".repeat(100_000));
        let payload = serde_json::value::RawValue::from_string(text).unwrap();
        Event::Stats { id: None, payload }
    };
    let mut queue = AgentQueue::default();
    queue.connected(
        AGENT,
        std::iter::once(connected("self")),
        std::iter::empty(),
    );
    let mut count = 0;
    while queue.has_room() {
        queue.inform(AGENT, false, statistics());
        count += 1;
    }
    assert!(count * 100_000 <= limits::AGENT_EVENT_BYTES + 100_000);
    queue.take_events(usize::MAX);
    assert!(queue.has_room());
}
