//! More peers than there is room for.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::world::World;
use crate::limits;
use crate::mesh::MeshMode;
use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorCode, Event};
use crate::protocol::signaling::{Extension, Incoming, Signal};

const SOON: Duration = Duration::from_secs(2);

/// Sidecars of these names, of which the first has room for so many peers.
fn with_room(seed: u64, names: &[&str], mode: MeshMode, room: usize) -> World<FakeStack> {
    let mut world = World::new(seed, names);
    world.settings.mode = mode;
    let usual = world.settings.max_peers;
    world.settings.max_peers = room;
    world.start(0);
    world.settings.max_peers = usual;
    world
}

fn connected_to(world: &World<FakeStack>) -> Vec<String> {
    let reachable = world.nodes[0].mesh.reachable();
    reachable.map(ToString::to_string).collect()
}

#[test]
fn a_peer_that_said_goodbye_holds_no_place() {
    let mut world = with_room(700, &["a", "b", "c"], MeshMode::Full, 1);
    world.start(1);
    world.run_for(SOON);
    assert_eq!(connected_to(&world), ["b"]);
    world.stop(1, true);
    world.start(2);
    world.run_for(SOON);
    assert_eq!(connected_to(&world), ["c"]);
    world.send(0, "c", 100, true);
    world.run_for(SOON);
    assert_eq!((world.ledger.deliveries, world.ledger.failed()), (1, 0));
    // It is forgotten in the end.
    world.run_for(world.settings.recovery_timeout * 2);
    assert_eq!(world.nodes[0].mesh.peers.len(), 1);
    assert!(world.nodes[0].mesh.resting.is_empty());
}

#[test]
fn one_that_said_goodbye_and_for_which_something_waits_keeps_its_place() {
    let mut world = with_room(701, &["a", "b", "c"], MeshMode::Full, 1);
    world.start(1);
    world.run_for(SOON);
    world.stop(1, true);
    world.send(0, "b", 100, true);
    world.start(2);
    world.run_for(SOON);
    assert_eq!(connected_to(&world), [""; 0]);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn in_lazy_mode_the_peer_that_is_idle_longest_gives_way_and_its_session_goes_on() {
    let mut world = with_room(702, &["a", "b", "c", "d"], MeshMode::Lazy, 2);
    (1..4).for_each(|place| world.start(place));
    for (target, place) in [("b", 1), ("c", 2)] {
        world.send(0, target, 100, true);
        world.run_for(SOON);
        world.send(place, "a", 100, true);
        world.run_for(SOON);
    }
    assert_eq!(connected_to(&world), ["b", "c"]);
    // What was said last counts, not who came first.
    world.send(0, "b", 100, true);
    world.run_for(SOON);
    world.send(0, "d", 100, true);
    world.run_for(SOON);
    assert_eq!(connected_to(&world), ["b", "d"]);
    assert_eq!(world.ledger.failed(), 0);
    // The one that gave way does not come back of itself.
    world.run_for(limits::ROOM_IDLE * 2);
    assert_eq!(connected_to(&world), ["b", "d"]);
    // When either has something to say the session goes on.
    world.send(2, "a", 100, true);
    world.run_for(SOON);
    assert_eq!(connected_to(&world), ["c", "d"], "b has given way");
    world.send(0, "b", 100, true);
    world.run_for(SOON);
    assert_eq!((world.ledger.deliveries, world.ledger.failed()), (8, 0));
    let b = PeerId::new("b").unwrap();
    assert_eq!(world.nodes[0].mesh.peers[&b].restarts, 1, "it was resumed");
    world.ledger.check_settled();
}

#[test]
fn many_peers_in_little_room_lose_nothing() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let mut world = with_room(703, &names, MeshMode::Lazy, 3);
    (1..7).for_each(|place| world.start(place));
    world.run_for(SOON);
    for round in 0..60 {
        let other = 1 + world.random.usize(0..6);
        if round % 3 == 0 {
            world.send(other, "a", 100, true);
        } else {
            world.send(0, names[other], 100, true);
        }
        let pause = world.random.u64(0..4_000);
        world.run_for(Duration::from_millis(pause));
    }
    world.run_for(world.settings.recovery_timeout);
    assert_eq!(world.ledger.failures_of(ErrorCode::ConnectionLost), 0);
    let refused = world.ledger.failures_of(ErrorCode::TooManyPeers);
    assert_eq!(world.ledger.failed(), refused);
    assert_eq!(world.ledger.deliveries + refused, 60);
    assert!(refused < 20, "{refused}");
    world.ledger.check_settled();
}

#[test]
fn a_refused_offer_is_told_at_once() {
    let mut world = with_room(704, &["a", "b", "c"], MeshMode::Full, 1);
    world.start(1);
    world.run_for(SOON);
    world.start(2);
    world.run_for(SOON);
    assert_eq!(connected_to(&world), ["b"]);
    world.send(2, "a", 100, true);
    world.connect(2, "a");
    world.run_for(SOON);
    let is_refused = |event: &Event| matches!(event, Event::Error { error, .. } if error.code == ErrorCode::TooManyPeers);
    assert_eq!(world.count(2, is_refused), 2);
    // It is tried again, less and less often, and the place is had once it is free.
    world.stop(1, true);
    world.run_for(limits::OFFER_BACKOFF.1 * 2);
    assert_eq!(connected_to(&world), ["c"]);
}

#[test]
fn only_those_who_understand_a_refusal_are_told() {
    let mut world = with_room(705, &["a", "b"], MeshMode::Full, 1);
    world.start(1);
    world.run_for(SOON);
    let conn = Some("c1".to_owned());
    for (ours, conn, is_told) in [
        (true, conn.clone(), true),
        (false, conn, false),
        (true, None, false),
    ] {
        let frame = Incoming::Relay {
            sender: PeerId::new("stranger").unwrap(),
            target: None,
            signal: Signal::Offer { sdp: String::new() },
            extension: Extension {
                ours,
                conn,
                ..Extension::default()
            },
        };
        let now = world.now;
        let mesh = &mut world.nodes[0].mesh;
        mesh.handle_frame(now, frame);
        assert_eq!(mesh.poll_frame().is_some(), is_told, "{ours}");
    }
}

#[test]
fn a_refusal_of_an_offer_that_was_never_made_changes_nothing() {
    let mut world = World::connected(706);
    for conn in [None, Some("c1".to_owned())] {
        for sender in ["b", "x"] {
            let frame = Incoming::Relay {
                sender: PeerId::new(sender).unwrap(),
                target: None,
                signal: Signal::Candidate {
                    candidate: String::new(),
                },
                extension: Extension {
                    ours: true,
                    conn: conn.clone(),
                    session: None,
                    refused: Some("too_many_peers".to_owned()),
                },
            };
            let now = world.now;
            world.nodes[0].mesh.handle_frame(now, frame);
            world.after_input(0);
        }
    }
    world.send(0, "b", 100, true);
    world.settle(SOON);
    assert_eq!(world.ledger.failed(), 0);
}
