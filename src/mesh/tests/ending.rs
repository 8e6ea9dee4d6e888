//! Goodbyes: what is said of them, and what is answered after them.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::world::World;
use crate::mesh::link::Datagram;
use crate::protocol::ipc::{ErrorCode, Event};

const MOMENT: Duration = Duration::from_millis(300);

fn connected(seed: u64) -> World<FakeStack> {
    let mut world = World::new(seed, &["a", "b"]);
    world.start_all();
    world.run_until_connected(MOMENT);
    world
}

#[test]
fn after_the_goodbye_nobody_is_connected_and_what_is_asked_is_refused() {
    let mut world = connected(80);
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
    let mut world = connected(81);
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
