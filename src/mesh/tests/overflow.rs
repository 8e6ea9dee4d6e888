//! The overflow: who waits for whom when queues are full, what is refused, and how much is held.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::network::Weather;
use super::world::World;
use crate::mesh::connection::intervals::Intervals;
use crate::protocol::ipc::{ErrorCode, Event, Pressure, Success};

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);
const HEALED: Duration = Duration::from_secs(60);
/// Bytes of a message, and about what it costs.
const SIZE: usize = 20_000;

/// `a`, connected with others, which have room for a few messages each and for some 50 together.
fn world(seed: u64, names: &[&str]) -> World<FakeStack> {
    let mut world = World::new(seed, names);
    world.settings.queue_bytes = 256 * 1024;
    world.settings.overflow_bytes = 1024 * 1024;
    world.start_all();
    world.run_until_connected(SOON);
    world
}

/// How many messages to this peer the agent of `a` was told to have arrived.
fn delivered(world: &World<FakeStack>, target: &str) -> usize {
    world.count(0, |event| match event {
        Event::Ok {
            payload: Success::Sent { target_peer, .. },
            ..
        } => target_peer.as_str() == target,
        _ => false,
    })
}

/// How many messages to this peer were refused.
fn refused(world: &World<FakeStack>, target: &str) -> usize {
    world.count(0, |event| match event {
        Event::Error { error, .. } => {
            let is_meant = |peer: &crate::protocol::PeerId| peer.as_str() == target;
            error.code == ErrorCode::PeerStalled && error.target_peer.as_ref().is_some_and(is_meant)
        }
        _ => false,
    })
}

/// The number of the message that has failed.
fn failed_number(event: &Event) -> Option<u64> {
    match event {
        Event::Error { error, .. } => error.request_id.as_ref()?.parse().ok(),
        _ => None,
    }
}

/// How many messages of `a` wait for this peer.
fn waiting(world: &World<FakeStack>, target: &str) -> usize {
    let mut peers = world.nodes[0].mesh.peers.values();
    let peer = peers.find(|peer| peer.id.as_str() == target);
    peer.map_or(0, |peer| peer.session.queued().items())
}

fn send(world: &mut World<FakeStack>, target: &str, count: usize) {
    (0..count).for_each(|_| world.send(0, target, SIZE, true));
}

#[test]
fn what_a_full_queue_has_no_room_for_waits_in_the_overflow_and_nobody_else_waits() {
    let mut world = world(400, &["a", "b", "c"]);
    world.agent_stalls(1);
    send(&mut world, "b", 50);
    assert_eq!(world.nodes[0].agent.waiting_requests(), 0);
    for count in 1..=20 {
        world.send(0, "c", SIZE, true);
        let took = world.run_until(SOON, "it arrives", |world| delivered(world, "c") == count);
        assert!(took < Duration::from_millis(20), "{took:?}");
    }
    let high = |event: &Event| {
        matches!(
            event,
            Event::Pressure {
                state: Pressure::High,
                ..
            }
        )
    };
    assert_eq!(world.count(0, high), 1);
    world.agent_resumes(1);
    world.settle(HEALED);
    assert_eq!((delivered(&world, "b"), world.ledger.failed()), (50, 0));
}

#[test]
fn a_full_overflow_holds_the_agent_back_until_there_is_any_room() {
    let mut world = world(401, &["a", "b", "c"]);
    world.agent_stalls(1);
    send(&mut world, "b", 200);
    world.send(0, "c", SIZE, true);
    world.run_for(SOON);
    let held_back = world.nodes[0].agent.waiting_requests();
    assert!((100..150).contains(&held_back), "{held_back}");
    assert_eq!(delivered(&world, "c"), 0);
    world.agent_resumes(1);
    world.run_until(SOON, "some are read", |world| {
        world.nodes[0].agent.waiting_requests() < held_back
    });
    let (moving, _) = world.nodes[0].mesh.overflow.sums();
    assert!(moving > world.settings.overflow_bytes * 3 / 4, "{moving}");
    world.settle(HEALED);
    assert_eq!((world.ledger.deliveries, world.ledger.failed()), (201, 0));
}

#[test]
fn a_stalled_peer_is_refused_what_comes_until_it_moves_and_gets_the_rest_in_order() {
    let mut world = world(402, &["a", "b", "c"]);
    world.agent_stalls(1);
    send(&mut world, "b", 40);
    world.run_for(world.settings.send_stall + SOON);
    send(&mut world, "b", 10);
    world.run_for(MOMENT);
    assert_eq!(refused(&world, "b"), 10);
    world.agent_resumes(1);
    world.run_until(SOON, "it moves", |world| delivered(world, "b") > 0);
    // Its queue is still full.
    assert!(waiting(&world, "b") * SIZE > world.settings.queue_bytes);
    send(&mut world, "b", 10);
    world.settle(HEALED);
    assert_eq!((delivered(&world, "b"), refused(&world, "b")), (50, 10));
}

#[test]
fn peers_that_stall_share_the_room_aside_and_the_newest_of_the_surplus_are_refused() {
    let mut world = world(403, &["a", "b", "c", "d"]);
    world.agent_stalls(1);
    send(&mut world, "b", 50);
    world.run_for(world.settings.send_stall + SOON);
    // The overflow has been left to others.
    world.agent_stalls(2);
    send(&mut world, "c", 50);
    world.run_for(MOMENT);
    assert_eq!(world.nodes[0].agent.waiting_requests(), 0);
    assert_eq!(world.ledger.failed(), 0);
    let kept = waiting(&world, "b");
    world.run_for(world.settings.send_stall);
    let surplus = refused(&world, "c");
    assert!(surplus > 10, "{surplus}");
    assert_eq!((waiting(&world, "b"), refused(&world, "b")), (kept, 0));
    // What c's own queue has room for is kept.
    assert!(waiting(&world, "c") * SIZE > world.settings.queue_bytes * 3 / 4);
    let told = world.nodes[0].agent.events.iter();
    let told: Vec<u64> = told.filter_map(failed_number).collect();
    assert!(told.len() == surplus && told.is_sorted(), "{told:?}");
    world.agent_resumes(1);
    world.agent_resumes(2);
    world.settle(HEALED);
    assert_eq!(delivered(&world, "b"), 50);
    assert_eq!(delivered(&world, "c") + surplus, 50);
}

#[test]
fn a_peer_out_of_reach_keeps_nobody_waiting_and_what_it_has_too_much_is_refused() {
    let mut world = world(404, &["a", "b", "c"]);
    world.network.partition(0, 1);
    send(&mut world, "b", 20);
    world.run_for(Intervals::NORMAL.silent + SOON);
    assert_eq!(refused(&world, "b"), 0);
    send(&mut world, "b", 200);
    world.run_for(MOMENT);
    assert_eq!(world.nodes[0].agent.waiting_requests(), 0);
    let (moving, aside) = world.nodes[0].mesh.overflow.sums();
    assert_eq!(moving, 0);
    assert!(aside <= world.settings.overflow_bytes);
    assert!(aside + 2 * SIZE > world.settings.overflow_bytes, "{aside}");
    let refused = refused(&world, "b");
    world.send(0, "c", SIZE, true);
    world.run_until(MOMENT, "it arrives", |world| delivered(world, "c") == 1);
    world.network.heal(Weather::FAIR);
    world.settle(HEALED);
    assert_eq!(delivered(&world, "b") + refused, 220);
}

#[test]
fn a_peer_that_is_not_connected_yet_may_be_sent_more_than_its_queue_holds() {
    let mut world = World::new(405, &["a", "b"]);
    world.settings.queue_bytes = 256 * 1024;
    world.settings.overflow_bytes = 1024 * 1024;
    world.start_all();
    send(&mut world, "b", 50);
    assert_eq!(world.nodes[0].agent.waiting_requests(), 0);
    assert_eq!(waiting(&world, "b"), 50);
    world.settle(HEALED);
    assert_eq!(delivered(&world, "b"), 50);
}

#[test]
fn without_an_overflow_a_full_queue_holds_the_agent_back() {
    let mut world = World::new(406, &["a", "b", "c"]);
    world.settings.overflow_bytes = 0;
    world.start_all();
    world.run_until_connected(SOON);
    world.agent_stalls(1);
    send(&mut world, "b", 200);
    world.run_for(SOON);
    assert!(world.nodes[0].agent.waiting_requests() > 50);
    let (moving, _) = world.nodes[0].mesh.overflow.sums();
    assert!(moving <= SIZE + 1000, "{moving}");
    world.agent_resumes(1);
    world.settle(HEALED);
    assert_eq!(delivered(&world, "b"), 200);
}
