//! What the registry is told of connections.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::world::World;
use crate::limits;

/// `a`, `b` and `c`, who report, connected with each other.
fn three() -> World<FakeStack> {
    let mut world = World::new(1, &["a", "b", "c"]);
    world.settings.report_topology = true;
    world.start_all();
    world.run_until_connected(Duration::from_secs(3));
    world.run_for(2 * limits::REPORT_DELAY);
    world
}

/// The names in the reports of one since the last look.
fn reports(world: &mut World<FakeStack>, place: usize) -> Vec<Vec<String>> {
    let all = std::mem::take(&mut world.registry.reports);
    let its = all.into_iter().filter(|(from, _)| *from == place);
    its.map(|(_, names)| names).collect()
}

#[test]
fn connections_are_reported_once_and_their_loss_too() {
    let mut world = three();
    let told = reports(&mut world, 0);
    assert_eq!(told.last().unwrap(), &["b", "c"]);
    assert!(
        told.len() <= 2,
        "changes that follow soon are one: {told:?}"
    );
    world.run_for(Duration::from_secs(60));
    assert_eq!(reports(&mut world, 0), [[""; 0]; 0], "nothing has changed");

    world.stop(2, true);
    world.run_for(Duration::from_secs(3));
    assert_eq!(reports(&mut world, 0), [["b"]]);
}

#[test]
fn a_registry_that_comes_back_is_told_again() {
    let mut world = three();
    reports(&mut world, 0);
    world.stop_registry(true);
    world.run_for(Duration::from_secs(3));
    assert_eq!(reports(&mut world, 0), [["b", "c"]]);
}

#[test]
fn a_round_trip_time_that_changes_much_is_reported_within_the_interval() {
    let mut world = three();
    reports(&mut world, 0);
    world.network.weather.latency = Duration::from_millis(20);
    world.run_for(limits::REPORT_INTERVAL + Duration::from_secs(20));
    let told = reports(&mut world, 0);
    assert!(!told.is_empty() && told.len() <= 2, "{told:?}");
    assert_eq!(told[0], ["b", "c"]);
}

#[test]
fn nothing_is_reported_unless_it_is_wanted() {
    let mut world = World::connected(1);
    world.run_for(Duration::from_secs(10));
    assert!(world.registry.reports.is_empty());
}
