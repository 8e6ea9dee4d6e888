//! What an agent wants of a peer that cannot be reached at the moment.

use std::time::Duration;

use super::world::World;
use crate::mesh::peer::Peer;
use crate::protocol::ipc::{ErrorCode, Event};
use crate::protocol::signaling::Signal;

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);

type FakeWorld = World<super::fake_link::FakeStack>;

/// How `a` sees `b`.
fn peer(world: &FakeWorld) -> &Peer {
    &world.nodes[0].mesh.peers[world.name(1)]
}

fn count_connect_failures(world: &FakeWorld) -> usize {
    world.count(0, |event| {
        matches!(
            event,
            Event::Error { id: Some(_), error } if error.code == ErrorCode::ConnectFailed
        )
    })
}

/// Two that are connected; of these only `a` will offer again.
fn pair(seed: u64) -> FakeWorld {
    let mut world = World::new(seed, &["a", "b"]);
    world.settings.recovery_timeout = Duration::from_secs(3600);
    world.start(1);
    world.run_for(MOMENT);
    world.start(0);
    world.run_until_connected(MOMENT);
    world.registry.script = Box::new(|relayed| {
        let is_lost = relayed.from == 1 && matches!(relayed.signal, Signal::Offer { .. });
        let relayed = (!is_lost).then_some((Duration::ZERO, relayed));
        relayed.into_iter().collect()
    });
    world
}

fn run_until_far_from_the_next_try(world: &mut FakeWorld) {
    world.run_until(Duration::from_secs(3000), "a long wait", |world| {
        let soonest = world.now + Duration::from_secs(5);
        !peer(world).has_attempt() && peer(world).retry.at > Some(soonest)
    });
}

#[test]
fn a_connect_fails_at_its_own_deadline_while_what_was_sent_is_kept_for_longer() {
    for is_silent in [true, false] {
        let mut world = pair(100);
        match is_silent {
            true => world.network.partition(0, 1),
            false => world.stop(1, true),
        }
        world.run_until(SOON * 4, "missed", |world| !peer(world).reachable);
        assert_eq!(peer(&world).current.is_some(), is_silent);
        world.send(0, "b", 100, true);
        world.connect(0, "b");
        world.run_for(SOON);
        world.connect(0, "b");
        let timeout = world.settings.connect_timeout;
        world.run_for(timeout - SOON - MOMENT);
        assert_eq!(count_connect_failures(&world), 0);
        world.run_for(MOMENT + MOMENT);
        assert_eq!(count_connect_failures(&world), 1);
        world.run_for(SOON);
        assert_eq!(count_connect_failures(&world), 2);
        assert!(!peer(&world).session.is_idle(), "the message is kept");
    }
}

#[test]
fn a_connect_is_not_failed_before_its_deadline_with_what_was_wanted_earlier() {
    let mut world = World::new(101, &["a", "b"]);
    world.network.partition(0, 1);
    world.start_all();
    world.run_for(MOMENT);
    world.send(0, "b", 100, false);
    let timeout = world.settings.connect_timeout;
    world.run_for(timeout - SOON);
    world.connect(0, "b");
    world.run_for(SOON + SOON);
    assert_eq!(count_connect_failures(&world), 0);
    world.run_for(timeout);
    assert_eq!(count_connect_failures(&world), 1);
}

#[test]
fn a_new_wish_does_not_wait_for_the_backoff_of_the_attempts_before_it() {
    for connects in [true, false] {
        let mut world = pair(102);
        world.stop(1, true);
        run_until_far_from_the_next_try(&mut world);
        world.start(1);
        match connects {
            true => world.connect(0, "b"),
            false => world.send(0, "b", 100, true),
        }
        world.run_until_connected(SOON);
    }
}
