//! Goodbyes: what is said of them, and what is answered after them.

use std::time::Duration;

use super::world::World;
use crate::mesh::link::Datagram;
use crate::protocol::ipc::{ErrorCode, Event};

const MOMENT: Duration = Duration::from_millis(300);

#[test]
fn after_the_goodbye_nobody_is_connected_and_what_is_asked_is_refused() {
    let mut world = World::connected(80);
    let now = world.now;
    world.nodes[0].mesh.shut_down(now);
    world.after_input(0);
    world.list_peers(0);
    world.connect(0, "b");
    world.send(0, "b", 100, true);
    world.broadcast(0, 100, true);
    world.run_for(MOMENT);
    let lists = world.count(
        0,
        |event| matches!(event, Event::PeerList { peers, .. } if peers.is_empty()),
    );
    assert_eq!(lists, 1);
    let refused = world.count(
        0,
        |event| matches!(event, Event::Error { error, .. } if error.code == ErrorCode::ShuttingDown),
    );
    assert_eq!(refused, 3);
}

#[test]
fn a_goodbye_is_answered_with_one() {
    let mut world = World::connected(81);
    let now = world.now;
    world.nodes[1].mesh.shut_down(now);
    let mut answers = 0;
    while let Some(goodbye) = world.nodes[1].mesh.poll_transmit() {
        let datagram = Datagram {
            destination: goodbye.destination,
            source: goodbye.source,
            bytes: &goodbye.bytes,
        };
        world.nodes[0].mesh.handle_datagram(now, datagram);
        while let Some(answer) = world.nodes[0].mesh.poll_transmit() {
            assert_eq!(answer.bytes[0], goodbye.bytes[0]);
            answers += 1;
        }
    }
    assert_eq!(answers, 1);
}

#[test]
fn what_the_agent_has_taken_is_acknowledged_before_the_goodbye() {
    for count in 1..10 {
        let mut world = World::connected(82);
        for _ in 0..count {
            world.send(0, "b", 100, true);
        }
        world.run_until(MOMENT, "all are taken", |world| {
            world.ledger.deliveries == count
        });
        // Acknowledgements may still wait to be sent together.
        world.stop(1, true);
        world.run_for(MOMENT);
        assert_eq!(world.ledger.failed(), 0, "of {count}");
        world.ledger.check_settled();
    }
}

#[test]
fn what_comes_in_as_it_ends_is_reported_by_the_sender_and_not_delivered_as_well() {
    let mut world = World::connected(83);
    world.agent_stalls(1);
    for _ in 0..100 {
        world.send(0, "b", 20_000, true);
    }
    world.run_for(MOMENT);
    // Some of these wait for the agent, the others come in too late.
    world.nodes[1].mesh.refuse_messages();
    for _ in 0..100 {
        world.send(0, "b", 100, true);
    }
    world.run_for(MOMENT);
    let now = world.now;
    world.nodes[1].mesh.shut_down(now);
    world.after_input(1);
    let waiting = world.nodes[1].mesh.agent.waiting();
    let messages = waiting.filter(|event| matches!(event, Event::Message { .. }));
    assert_eq!(messages.count(), 0);
}

#[test]
fn before_the_goodbye_what_was_sent_may_be_acknowledged_and_the_rest_is_refused() {
    let mut world = World::connected(84);
    world.agent_stalls(1);
    for _ in 0..100 {
        world.send(0, "b", 20_000, true);
    }
    world.run_for(MOMENT);
    let now = world.now;
    world.nodes[0].mesh.stop_sending(now);
    world.after_input(0);
    assert!(world.nodes[0].mesh.has_unsettled());
    world.agent_resumes(1);
    world.run_for(MOMENT);
    assert!(!world.nodes[0].mesh.has_unsettled());
    let refused = world.ledger.failures_of(ErrorCode::ShuttingDown);
    assert!(refused > 0);
    assert_eq!(world.ledger.failed(), refused);
    assert_eq!(world.ledger.deliveries + refused, 100);
}
