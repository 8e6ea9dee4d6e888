//! What `stats` tells of states.

use std::time::Duration;

use serde_json::Value;

use super::world::World;
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
