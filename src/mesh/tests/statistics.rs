//! What `stats` tells of states.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::world::World;
use crate::mesh::MeshMode;
use crate::protocol::ipc::{Event, RegistryState};

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);

/// What `a` is answered now.
fn statistics(world: &mut World<super::fake_link::FakeStack>) -> Value {
    world.ask_statistics(0);
    world.run_for(Duration::from_millis(1));
    let mut events = world.nodes[0].agent.events.iter().rev();
    let payload = events.find_map(|event| match event {
        Event::Stats { payload, .. } => Some(payload),
        _ => None,
    });
    serde_json::from_str(payload.unwrap().get()).unwrap()
}

/// The state of `a`'s only peer, and for how long it has been in it.
fn state(world: &mut World<super::fake_link::FakeStack>) -> (String, f64) {
    let statistics = statistics(world);
    let peer = &statistics["peers"][0];
    let state = peer["state"].as_str().unwrap().to_owned();
    (state, peer["since_seconds"].as_f64().unwrap())
}

#[test]
fn each_state_is_told_with_the_time_since_it_began() {
    let mut world = World::connected(110);
    world.run_for(SOON);
    let (connected, since) = state(&mut world);
    assert_eq!(connected, "connected");
    assert!((2.0..2.5).contains(&since), "{since}");

    // A replacement is no change of state.
    world.replace_connection(0, 1);
    world.run_for(SOON);
    let (connected, since) = state(&mut world);
    assert_eq!(connected, "connected");
    assert!((4.0..4.5).contains(&since), "{since}");

    world.network.partition(0, 1);
    world.run_until(SOON * 4, "missed", |world| {
        world.nodes[0].mesh.reachable().next().is_none()
    });
    world.run_for(SOON);
    let (connecting, since) = state(&mut world);
    assert_eq!(connecting, "connecting");
    assert!((2.0..2.1).contains(&since), "{since}");

    world.network.heal(super::network::Weather::FAIR);
    world.run_until_connected(SOON * 20);
    world.registry.is_up = false;
    world.stop_registry(false);
    world.stop(1, true);
    world.run_for(SOON);
    let (disconnected, since) = state(&mut world);
    assert_eq!(disconnected, "disconnected");
    assert!((1.9..2.1).contains(&since), "{since}");
}

#[test]
fn a_registry_that_refuses_us_is_told_apart_from_one_that_is_not_there() {
    let mut world = World::new(111, &["a"]);
    world.start_all();
    world.run_for(MOMENT);
    assert_eq!(statistics(&mut world)["process"]["registry"], "connected");
    for (state, told) in [
        (RegistryState::Disconnected, "connecting"),
        (RegistryState::Refused, "refused"),
    ] {
        let mesh = &mut world.nodes[0].mesh;
        mesh.registry_disconnected(state, "a reason".into());
        assert_eq!(statistics(&mut world)["process"]["registry"], told);
    }
}

/// The numbers of the receipts and of the connections, as the metrics tell them.
#[test]
fn receipts_are_timed_and_reconnects_counted() {
    let mut world = World::connected(112);
    for _ in 0..3 {
        world.send(0, "b", 100, true);
    }
    world.settle(SOON);
    let numbers = |world: &World<_>| world.nodes[0].mesh.statistics(world.now);
    let receipts = numbers(&world).receipts;
    assert_eq!((receipts.agent.count(), receipts.transport.count()), (3, 0));
    let sum = receipts.agent.sum();
    assert!(sum >= 3 * MOMENT / 500 && sum < SOON, "{sum:?}");
    assert_eq!(numbers(&world).process.restarts, 0);

    world.replace_connection(0, 1);
    world.run_for(SOON);
    assert_eq!(numbers(&world).process.restarts, 1);
    assert_eq!(numbers(&world).peers[0].restarts, 1);
}

#[test]
fn receipts_of_another_make_are_those_of_its_transport() {
    let mut world = World::with_foreign(113, &["a"], &["z"]);
    world.start_all();
    world.run_for(SOON);
    world.send(0, "z", 100, true);
    world.run_for(SOON);
    let receipts = world.nodes[0].mesh.statistics(world.now).receipts;
    assert_eq!((receipts.agent.count(), receipts.transport.count()), (0, 1));
}

/// The bound is for builds without optimisation on a busy machine; `--nocapture` shows what it takes.
#[test]
fn the_numbers_of_a_hundred_peers_are_collected_in_no_time() {
    let names: Vec<String> = (0..101).map(|number| format!("n{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(114, &names);
    world.settings.mode = MeshMode::Lazy;
    world.settings.max_peers = 128;
    world.start_all();
    for name in &names[1..] {
        world.send(0, name, 100, true);
    }
    world.run_until(SOON * 10, "delivered", |world| {
        world.ledger.deliveries == 100
    });
    let mesh = &world.nodes[0].mesh;
    // The shortest of some, because other programs take their time, too.
    let took = (0..10).map(|_| {
        let begun = Instant::now();
        mesh.statistics(world.now);
        begun.elapsed()
    });
    let took = took.min().unwrap();
    let numbers = mesh.statistics(world.now);
    println!("numbers of 100 peers: collected in {took:?}");
    assert_eq!(numbers.process.peers.connected, 100);
    assert_eq!(
        numbers
            .peers
            .iter()
            .filter(|peer| peer.path.is_some())
            .count(),
        100
    );
    assert!(took < Duration::from_millis(20), "{took:?}");
}
