//! What an agent is told as it connects.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::world::World;
use crate::protocol::ipc::{Event, RegistryState};

const MOMENT: Duration = Duration::from_millis(300);

/// What kinds of events the agent of `a` is greeted with.
fn greeting(world: &mut World<FakeStack>) -> Vec<&'static str> {
    world.agent_leaves(0);
    world.agent_arrives(0);
    world.run_for(MOMENT);
    let events = world.nodes[0].agent.events.iter();
    events
        .map(|event| match event {
            Event::Ready { .. } => "ready",
            Event::Registry { reason, .. } => {
                assert!(reason.is_some());
                "registry"
            }
            Event::PeerConnected { .. } => "peer_connected",
            _ => panic!("unexpected: {event:?}"),
        })
        .collect()
}

#[test]
fn an_agent_that_comes_late_is_told_why_the_registry_is_not_there() {
    let mut world = World::connected(30);
    assert_eq!(greeting(&mut world), ["ready", "peer_connected"]);
    world.stop_registry(false);
    let with_reason = ["ready", "registry", "peer_connected"];
    assert_eq!(greeting(&mut world), with_reason);
    assert_eq!(greeting(&mut world), with_reason, "the next one too");
    world.registry.is_up = true;
    world.run_for(4 * MOMENT);
    assert_eq!(greeting(&mut world), ["ready", "peer_connected"]);
}

#[test]
fn a_refusal_is_told_as_one() {
    let mut world = World::new(31, &["a"]);
    world.stop_registry(false);
    world.start(0);
    world.agent_leaves(0);
    let mesh = &mut world.nodes[0].mesh;
    mesh.registry_disconnected(RegistryState::Refused, "not yet approved".into());
    world.agent_arrives(0);
    world.run_for(MOMENT);
    let events = &world.nodes[0].agent.events;
    assert!(
        matches!(
            &events[1],
            Event::Registry { state: RegistryState::Refused, reason: Some(reason), .. }
                if reason == "not yet approved"
        ),
        "{events:?}"
    );
}
