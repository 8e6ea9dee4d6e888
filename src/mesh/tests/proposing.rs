//! Between a side's hello on a new connection and the answer to it: what the old connection still
//! carries must not count.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::world::World;
use crate::protocol::ipc::Event;

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);

/// `b` has said hello on a connection beside the one in use. The hello is lost; it goes out again
/// after a second.
fn proposed(mut world: World<FakeStack>) -> World<FakeStack> {
    world.replace_connection(1, 0);
    world.run_until(SOON, "hello said", |world| {
        let mut connections = world.nodes[1].mesh.connections_of(world.name(0));
        connections.any(|(_, other)| other.handshake.sent && !other.is_ready())
    });
    world.lose_datagrams(1, 0);
    world
}

fn answers(world: &World<FakeStack>, place: usize) -> usize {
    world.count(place, |event| matches!(event, Event::Ok { .. }))
}

/// The old connection is not ended before the new one is taken: nobody is told of anything.
fn settle_unnoticed(world: &mut World<FakeStack>) {
    world.settle(SOON);
    for place in 0..2 {
        let lost = world.count(place, |event| {
            matches!(event, Event::PeerDisconnected { .. })
        });
        assert_eq!(lost, 0);
    }
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn no_acknowledgement_overtakes_the_hello_that_tells_less() {
    let mut world = World::connected(90);
    world.agent_stalls(1);
    for _ in 0..9 {
        world.send(0, "b", 500, true);
    }
    world.run_for(MOMENT);
    let mut world = proposed(world);
    // The hello has told that none of the messages was taken. Now all of them are.
    world.agent_resumes(1);
    world.run_for(MOMENT);
    assert_eq!(world.ledger.deliveries, 9);
    assert_eq!(answers(&world, 0), 0);
    world.send(0, "b", 500, true);
    settle_unnoticed(&mut world);
    assert_eq!(answers(&world, 0), 10);
}

#[test]
fn messages_on_the_old_connection_are_left_to_be_repeated_on_the_new_one() {
    let mut world = proposed(World::connected(91));
    world.send(0, "b", 500, true);
    world.run_for(MOMENT);
    assert_eq!(world.ledger.deliveries, 0);
    settle_unnoticed(&mut world);
    assert_eq!(world.ledger.deliveries, 1);
}

#[test]
fn acknowledgements_on_the_old_connection_are_left_to_the_hello_of_the_new_one() {
    let mut world = World::connected(92);
    world.agent_stalls(0);
    world.send(1, "a", 500, true);
    world.run_for(MOMENT);
    let mut world = proposed(world);
    world.agent_resumes(0);
    world.run_for(MOMENT);
    assert_eq!((world.ledger.deliveries, answers(&world, 1)), (1, 0));
    settle_unnoticed(&mut world);
    assert_eq!(answers(&world, 1), 1);
}
