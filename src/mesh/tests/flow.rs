//! Full queues: who is slowed, what is refused, and how much memory that takes.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::world::{MAX_MESSAGE_BYTES, World};
use crate::limits;
use crate::protocol::ipc::{ErrorCode, Event, Pressure, Success};

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);
/// How late the transport acknowledges a packet that comes alone.
const LATE: Duration = Duration::from_millis(200);

fn is_pressure(event: &Event) -> bool {
    matches!(
        event,
        Event::Pressure {
            state: Pressure::High,
            ..
        }
    )
}

#[test]
fn an_agent_that_stops_reading_slows_the_sending_agent_and_loses_nothing() {
    let mut world = World::connected(40);
    world.agent_stalls(1);
    for _ in 0..400 {
        world.send(0, "b", 20_000, true);
    }
    world.run_for(SOON);
    assert!(!world.nodes[0].mesh.wants_requests());
    let queued = world.settings.queue_bytes;
    let taken = 400 - world.nodes[0].agent.waiting_requests();
    // In the sender's queue, the peer's window, and the stalled agent's writer.
    assert!(taken * 20_000 <= 3 * queued, "{taken} messages accepted");
    assert_eq!(world.count(0, is_pressure), 1);
    world.agent_resumes(1);
    world.settle(Duration::from_secs(20));
    assert_eq!(world.ledger.deliveries, 400);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn messages_of_the_largest_size_pass_whatever_the_window() {
    let mut world = World::new(41, &["a", "b"]);
    world.settings.queue_bytes = 64 * 1024;
    world.start_all();
    world.run_until_connected(MOMENT);
    for _ in 0..20 {
        world.send(0, "b", MAX_MESSAGE_BYTES, true);
        world.send(0, "b", 10, true);
    }
    world.settle(Duration::from_secs(20));
    assert_eq!(world.ledger.deliveries, 40);
}

/// Sizes that take every number of the fake stack's packets around what is useful, and beyond.
fn sizes() -> impl Iterator<Item = usize> {
    (28..62)
        .map(|packets| packets * 1100 - 50)
        .chain([41_000, 100_000, 101_000])
}

#[test]
fn messages_of_no_size_wait_for_an_acknowledgement_of_the_transport() {
    for target in ["b", "z"] {
        for size in sizes() {
            let mut world = World::with_foreign(53, &["a", "b"], &["z"]);
            world.start_all();
            world.run_until_connected(SOON);
            (0..20).for_each(|_| world.send(0, target, size, false));
            let took = world.run_until(SOON * 10, "all arrive", |world| {
                world.ledger.deliveries == 20
            });
            assert!(took < LATE, "20 of {size} bytes to {target}: {took:?}");
        }
    }
}

#[test]
fn a_message_alone_waits_for_no_acknowledgement_of_the_transport() {
    for target in ["b", "z"] {
        for size in sizes() {
            let mut world = World::with_foreign(54, &["a", "b"], &["z"]);
            world.start_all();
            world.run_until_connected(SOON);
            let began = world.now;
            for count in 1..=10 {
                world.send(0, target, size, false);
                world.run_until(SOON * 10, "it arrives", |world| {
                    world.ledger.deliveries == count
                });
            }
            let took = world.now - began;
            assert!(took < LATE, "10 of {size} bytes to {target}: {took:?}");
        }
    }
}

#[test]
fn many_small_messages_to_another_make_wait_for_no_late_acknowledgement() {
    for more in 0..3 {
        let mut world = World::with_foreign(55, &["a"], &["z"]);
        world.start_all();
        world.run_until_connected(SOON);
        let count = 3 * limits::UNSETTLED_MESSAGES + more;
        (0..count).for_each(|_| world.send(0, "z", 100, false));
        let (mut longest, mut before) = (Duration::ZERO, 0);
        while before < count as u64 {
            let took = world.run_until(SOON, "more arrive", |world| {
                world.ledger.deliveries > before
            });
            longest = longest.max(took);
            before = world.ledger.deliveries;
        }
        assert!(longest < LATE, "{longest:?} without a message, {more} more");
    }
}

#[test]
fn a_peer_that_takes_nothing_is_refused_and_the_others_flow() {
    let mut world = World::new(42, &["a", "b", "c"]);
    world.start_all();
    world.run_until_connected(MOMENT);
    world.agent_stalls(1);
    for _ in 0..300 {
        world.send(0, "b", 20_000, true);
        world.send(0, "c", 20_000, true);
    }
    world.run_for(world.settings.send_stall + SOON);
    assert_eq!(world.nodes[0].agent.waiting_requests(), 0);
    // Its channel is open all the same.
    world.connect(0, "b");
    world.run_for(MOMENT);
    let connected = |event: &Event| {
        matches!(
            event,
            Event::Ok {
                payload: Success::Connected { .. },
                ..
            }
        )
    };
    assert_eq!(world.count(0, connected), 1);
    let refused = world.ledger.failures_of(ErrorCode::PeerStalled);
    assert!(refused > 100, "{refused} refused");
    let to_c = world.count(0, |event| {
        matches!(event, Event::Ok { payload, .. } if format!("{payload:?}").contains("\"c\""))
    });
    assert_eq!(to_c, 300);
    world.agent_resumes(1);
    world.settle(Duration::from_secs(20));
    world.send(0, "b", 100, true);
    world.settle(SOON);
    assert_eq!(world.ledger.deliveries + refused, 601);
}

#[test]
fn many_senders_to_one_stalled_agent_take_bounded_memory() {
    let mut world = World::new(43, &["a", "b", "c", "d", "e"]);
    world.start_all();
    world.run_until_connected(MOMENT);
    world.agent_stalls(0);
    for from in 1..5 {
        for _ in 0..100 {
            world.send(from, "a", 20_000, true);
        }
    }
    world.run_for(SOON);
    let inbox = world.nodes[0].mesh.agent.message_bytes();
    assert!(
        inbox <= 4 * world.settings.queue_bytes + 4 * MAX_MESSAGE_BYTES,
        "{inbox} bytes"
    );
    world.agent_resumes(0);
    world.settle(Duration::from_secs(20));
    assert_eq!(world.ledger.deliveries, 400);
}

#[test]
fn what_an_agent_left_unread_goes_to_the_next() {
    let mut world = World::connected(44);
    world.agent_stalls(1);
    for _ in 0..50 {
        world.send(0, "b", 5_000, true);
    }
    world.run_for(SOON);
    assert_eq!(world.ledger.deliveries, 0);
    world.agent_leaves(1);
    world.run_for(SOON);
    world.send(0, "b", 5_000, true);
    world.agent_arrives(1);
    world.settle(SOON);
    assert_eq!(world.ledger.deliveries, 51);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn failures_that_an_agent_has_not_read_are_told_to_the_next() {
    let mut world = World::connected(45);
    world.stop(1, false);
    world.send(0, "b", 100, true);
    world.broadcast(0, 100, true);
    world.broadcast(0, 100, false);
    world.run_for(SOON);
    world.agent_leaves(0);
    world.run_for(world.settings.recovery_timeout + SOON * 4);
    world.agent_arrives(0);
    world.run_for(SOON);
    assert_eq!(world.ledger.failed(), 3);
    world.ledger.check_settled();
}

#[test]
fn an_agent_that_reads_late_is_told_each_state_once() {
    let mut world = World::new(46, &["a", "b", "c"]);
    world.start_all();
    world.run_until_connected(MOMENT);
    world.agent_stalls(0);
    // More changes of state than are kept for an agent that does not read.
    for round in 0..1500 {
        let peer = 1 + round % 2;
        world.restart(peer, true);
        world.run_for(Duration::from_millis(20));
    }
    world.agent_resumes(0);
    world.settle(Duration::from_secs(20));
}

#[test]
fn only_with_the_registry_gone_is_a_sent_message_kept_for_the_connect_timeout() {
    let mut world = World::new(47, &["a", "b"]);
    world.start(0);
    world.run_for(MOMENT);
    world.stop_registry(false);
    world.send(0, "b", 100, true);
    world.connect(0, "b");
    world.run_for(world.settings.connect_timeout - SOON);
    assert_eq!(world.ledger.failed(), 0);
    world.run_for(SOON + MOMENT);
    assert_eq!(world.ledger.failed(), 1);
    world.ledger.check_settled();
}

#[test]
fn a_peer_that_has_gone_is_forgotten_once_its_messages_are_taken() {
    let mut world = World::connected(48);
    world.agent_stalls(1);
    for _ in 0..100 {
        world.send(0, "b", 1000, false);
    }
    world.run_for(MOMENT);
    world.stop(0, true);
    world.run_for(world.settings.recovery_timeout * 2);
    world.agent_resumes(1);
    world.run_for(SOON);
    assert_eq!(world.ledger.deliveries, 100);
    assert!(world.nodes[1].mesh.peers.is_empty());
}

#[test]
fn a_sender_that_is_started_anew_again_and_again_fills_no_more_than_its_share() {
    let mut world = World::connected(49);
    world.agent_stalls(1);
    for round in 0..40 {
        for _ in 0..100 {
            world.send(0, "b", 20_000, false);
        }
        world.run_for(SOON);
        let mesh = &world.nodes[1].mesh;
        let waiting = mesh.agent.message_bytes();
        assert!(
            waiting <= mesh.inbox_limit() + MAX_MESSAGE_BYTES,
            "{waiting} bytes after {round} restarts"
        );
        world.restart(0, round % 2 == 0);
        world.run_for(MOMENT);
    }
    let before = world.ledger.failed();
    world.send(0, "b", 20_000, true);
    world.run_for(MOMENT);
    world.agent_resumes(1);
    world.settle(Duration::from_secs(60));
    assert_eq!(world.ledger.failed(), before);
}

#[test]
fn broadcasts_that_wait_for_many_peers_stop_requests_before_they_are_many() {
    const COUNT: usize = 2300;
    let mut world = World::new(52, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    world.start_all();
    world.run_until_connected(SOON);
    let others = 1..world.nodes.len();
    others.clone().for_each(|place| world.agent_stalls(place));
    (0..COUNT).for_each(|_| world.broadcast(0, 100, true));
    world.run_for(SOON);
    let waiting = world.nodes[0].mesh.broadcasts.deliveries();
    let most = limits::BROADCAST_DELIVERIES + others.len();
    assert!(waiting <= most, "{waiting} deliveries wait");
    assert!(world.nodes[0].agent.waiting_requests() > 0);
    others.for_each(|place| world.agent_resumes(place));
    world.settle(Duration::from_secs(60));
    assert_eq!(world.ledger.deliveries, 8 * COUNT as u64);
}

#[test]
fn broadcasts_without_an_id_reach_all_others_though_one_takes_nothing() {
    const COUNT: usize = 2300;
    let mut world = World::new(56, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    world.start_all();
    world.run_until_connected(SOON);
    world.agent_stalls(1);
    (0..COUNT).for_each(|_| world.broadcast(0, 100, false));
    world.run_until(SOON, "all others have all", |world| {
        world.ledger.deliveries == 7 * COUNT as u64
    });
    world.agent_resumes(1);
    world.settle(Duration::from_secs(60));
    assert_eq!(world.ledger.deliveries, 8 * COUNT as u64);
}

/// A message that is mostly what surrounds it, in queues and on its way.
const TINY: &str = r#"{"type":"send","payload":{"target_peer":"b","message":{"type":"x"}}}"#;

/// Has `a` send tiny messages to `b`, whose agent reads nothing.
fn send_tiny(world: &mut World<FakeStack>, count: usize) {
    world.run_until_connected(MOMENT);
    world.agent_stalls(1);
    for _ in 0..count {
        world.write_line(0, TINY);
    }
    world.run_for(SOON);
}

/// All of the tiny messages arrive, over the same connection.
fn expect_tiny(world: &mut World<FakeStack>, count: usize) {
    world.agent_resumes(1);
    world.settle(Duration::from_secs(60));
    let peer = world.nodes[1].mesh.peers.values().next().unwrap();
    assert_eq!(peer.received.messages, count as u64);
    assert_eq!(peer.restarts, 0);
}

#[test]
fn tiny_messages_fill_a_queue_by_what_they_cost_and_are_told_by_their_bytes() {
    const COUNT: usize = 12_000;
    let mut world = World::new(50, &["a", "b"]);
    world.start_all();
    send_tiny(&mut world, COUNT);
    assert!(!world.nodes[0].mesh.wants_requests());
    let peer = world.nodes[0].mesh.peers.values().next().unwrap();
    let queued = peer.session.queued();
    let room = world.settings.queue_bytes + world.settings.overflow_bytes;
    assert!(queued.items() <= 1 + room / limits::ITEM_COST_BYTES);
    assert!(queued.bytes() < room / 8);
    let told = |event: &Event| match event {
        Event::Pressure { queued_bytes, .. } => *queued_bytes <= queued.bytes(),
        _ => false,
    };
    assert_eq!(world.count(0, told), 1);
    expect_tiny(&mut world, COUNT);
}

#[test]
fn a_window_full_of_tiny_messages_takes_bounded_memory_and_ends_nothing() {
    const COUNT: usize = 14_000;
    let mut world = World::new(51, &["a", "b"]);
    world.settings.queue_bytes = MAX_MESSAGE_BYTES;
    world.start_all();
    // Only the window limits this sender, and that counts bytes on the wire.
    world.nodes[0].mesh.settings.queue_bytes = 64 * 1024 * 1024;
    send_tiny(&mut world, COUNT);
    let inbox = world.nodes[1].mesh.peers.values().next().unwrap().inbox;
    assert!(inbox.items() < COUNT / 2, "{inbox:?}");
    let on_the_wire = r#"{"type":"x"}"#.len();
    assert_eq!(inbox.bytes(), inbox.items() * on_the_wire);
    expect_tiny(&mut world, COUNT);
}
