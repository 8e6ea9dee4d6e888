//! How two sidecars get connected.

use std::time::Duration;

use super::world::World;

const SOON: Duration = Duration::from_secs(2);

#[test]
fn two_connect_exchange_messages_and_get_receipts() {
    let mut world = World::new(1, &["a", "b"]);
    world.start_all();
    let took = world.run_until_connected(SOON);
    assert!(took < Duration::from_millis(200), "{took:?}");
    for _ in 0..100 {
        world.send(0, "b", 100, true);
        world.send(1, "a", 5000, true);
        world.send(1, "a", 100, false);
    }
    world.settle(SOON);
    assert_eq!(world.ledger.deliveries, 300);
    assert_eq!(world.ledger.failures, 0);
}

#[test]
fn a_full_mesh_of_five_connects_on_a_bad_line() {
    let mut world = World::new(2, &["a", "b", "c", "d", "e"]);
    world.network.weather = super::network::Weather::FOUL;
    world.start_all();
    for from in 0..5 {
        world.broadcast(from, 3000, true);
    }
    world.run_until_connected(Duration::from_secs(20));
    for from in 0..5 {
        world.broadcast(from, 3000, true);
        world.broadcast(from, 100, false);
    }
    world.settle(Duration::from_secs(30));
    assert_eq!(world.ledger.failures, 0);
}

#[test]
fn one_seed_gives_one_run() {
    let digest = || {
        let mut world = World::new(3, &["a", "b", "c"]);
        world.network.weather = super::network::Weather::FOUL;
        world.start_all();
        world.send(0, "b", 10_000, true);
        world.run_for(Duration::from_secs(20));
        (world.steps, world.trace.digest())
    };
    assert_eq!(digest(), digest());
}
