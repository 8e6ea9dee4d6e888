//! Paths that swallow full packets, and peers that only seem to be behind one.

use std::time::Duration;

use super::real_stack::{exchange, world};
use crate::limits;

const CONNECTED: Duration = Duration::from_secs(15);

/// A tunnel is too narrow, and its router does not say so: checks and the handshake pass.
#[test]
fn a_path_that_swallows_full_packets_is_used_with_smaller_ones() {
    for (seed, largest) in [900, 1000, 1100].into_iter().enumerate() {
        for both in [false, true] {
            let mut world = world(seed as u64, &["a", "b"], &[]);
            world.network.largest = largest;
            world.start_all();
            world.run_until_connected(CONNECTED);
            world.run_for(Duration::from_secs(2));
            let target = world.name(1).to_string();
            world.send(0, &target, 20_000, true);
            let mut count = 1;
            if both {
                let target = world.name(0).to_string();
                world.send(1, &target, 20_000, true);
                count += 1;
            }
            world.run_until(Duration::from_secs(10), "delivered", |world| {
                world.ledger.deliveries == count
            });
            assert_eq!(world.ledger.failed(), 0);
            exchange(&mut world, 4);
            // The other direction finds out for itself.
            world.settle(Duration::from_secs(10));
        }
    }
}

/// It has noticed nothing, and would end the connection that works in favour of a new one.
#[test]
fn one_of_another_make_that_pauses_keeps_its_connection() {
    let mut world = world(3, &["a"], &["z"]);
    world.start_all();
    world.run_until_connected(CONNECTED);
    let made = world.nodes[0].mesh.next_connection;
    world.foreign_at(1).is_stalled = true;
    world.send(0, "z", 20_000, true);
    world.run_for(Duration::from_secs(10));
    let z = world.name(1).clone();
    let current = world.nodes[0].mesh.current_of(&z).unwrap();
    assert!(current.swallowing.is_certain(), "it takes nothing");
    world.foreign_at(1).is_stalled = false;
    world.run_for(2 * limits::LIST_REFRESH);
    assert_eq!(world.nodes[0].mesh.next_connection, made);
    world.settle(CONNECTED);
    assert_eq!(world.ledger.deliveries, 1);
    assert_eq!(world.ledger.failed(), 0);
}
