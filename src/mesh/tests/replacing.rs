//! Connections that die or fall silent, and are replaced with messages under way.

use std::time::Duration;

use super::network::Weather;
use super::world::World;
use crate::limits;
use crate::mesh::connection::Phase;
use crate::protocol::ipc::Event;

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);
const HEALED: Duration = Duration::from_secs(40);

fn is_lost(event: &Event) -> bool {
    matches!(event, Event::PeerDisconnected { .. })
}

fn is_resumed(event: &Event) -> bool {
    matches!(event, Event::PeerConnected { resumed: true, .. })
}

fn exchange(world: &mut World<super::fake_link::FakeStack>) {
    for size in [10, 3000, 100, 20_000, 100] {
        world.send(0, "b", size, true);
        world.send(1, "a", size, true);
    }
}

#[test]
fn a_connection_that_dies_at_any_datagram_while_connecting_is_replaced() {
    let mut world = World::new(20, &["a", "b"]);
    world.start_all();
    exchange(&mut world);
    world.settle(SOON);
    let needed = world.network.carried;
    for fatal in 0..needed.min(80) {
        let mut world = World::new(20, &["a", "b"]);
        world.network.deadly_after = Some(fatal);
        world.start_all();
        exchange(&mut world);
        world.settle(HEALED);
        assert_eq!(world.ledger.failed(), 0, "killed at datagram {fatal}");
    }
}

#[test]
fn a_connection_that_dies_at_any_datagram_of_a_stream_is_replaced_and_nothing_is_lost() {
    for fatal in 0..120 {
        let mut world = World::connected(21);
        world.network.deadly_after = Some(fatal);
        for _ in 0..10 {
            exchange(&mut world);
            world.run_for(Duration::from_micros(500));
        }
        world.settle(HEALED);
        assert_eq!(world.ledger.deliveries, 100, "killed at datagram {fatal}");
    }
}

#[test]
fn replacements_that_die_as_well_cost_nothing_but_time() {
    for fatal in 0..60 {
        let mut world = World::new(22 + fatal, &["a", "b"]);
        world.start_all();
        world.run_until_connected(MOMENT);
        for round in 0..4 {
            world.network.deadly_after = Some(fatal + round);
            exchange(&mut world);
            world.run_for(Duration::from_secs(6));
        }
        world.settle(HEALED);
        assert_eq!(world.ledger.deliveries, 40, "killed at datagram {fatal}");
    }
}

#[test]
fn a_goodbye_is_told_at_once() {
    let mut world = World::connected(30);
    world.stop(1, true);
    world.run_for(Duration::from_millis(5));
    assert_eq!(world.count(0, is_lost), 1);
    world.run_for(Duration::from_secs(20));
    world.start(1);
    world.run_until_connected(MOMENT);
    assert_eq!(
        world.count(0, is_resumed),
        0,
        "a new process resumes nothing"
    );
}

#[test]
fn a_process_that_dies_without_a_word_is_missed_after_five_seconds() {
    let mut world = World::connected(31);
    world.stop(1, false);
    let took = world.run_until(Duration::from_secs(10), "told", |world| {
        world.count(0, is_lost) == 1
    });
    assert!(
        took > Duration::from_secs(3) && took < Duration::from_millis(5100),
        "{took:?}"
    );
}

/// Partitions a running pair for a while; gives how often it was told to be lost.
fn partition(time: Duration) -> (World<super::fake_link::FakeStack>, usize) {
    let mut world = World::connected(32);
    world.run_for(SOON);
    world.network.partition(0, 1);
    let end = world.now + time;
    while world.now < end {
        exchange(&mut world);
        world.run_for(Duration::from_millis(500));
    }
    world.network.heal(Weather::FAIR);
    world.settle(Duration::from_secs(60));
    let lost = world.count(0, is_lost);
    (world, lost)
}

#[test]
fn a_silence_of_three_seconds_is_not_told() {
    let (world, lost) = partition(Duration::from_secs(3));
    assert_eq!((lost, world.ledger.failed()), (0, 0));
}

#[test]
fn a_silence_of_four_and_a_half_seconds_costs_nothing() {
    let (world, lost) = partition(Duration::from_millis(4500));
    assert_eq!(world.ledger.failed(), 0);
    assert_eq!(world.count(0, is_resumed), lost);
}

#[test]
fn after_a_silence_of_twenty_seconds_the_session_resumes_and_nothing_is_lost() {
    let (world, lost) = partition(Duration::from_secs(20));
    assert_eq!((lost, world.ledger.failed()), (1, 0));
    assert_eq!(world.count(0, is_resumed), 1);
}

#[test]
fn after_a_silence_longer_than_recovery_is_given_what_waited_is_reported() {
    let (world, lost) = partition(Duration::from_secs(90));
    assert_eq!(lost, 1);
    assert!(world.ledger.failed() > 0);
    assert_eq!(world.count(0, is_resumed), 0);
}

#[test]
fn one_way_silence_heals_like_silence() {
    for (from, to) in [(0, 1), (1, 0)] {
        let mut world = World::connected(33);
        exchange(&mut world);
        world.network.block(from, to);
        exchange(&mut world);
        world.run_for(Duration::from_secs(15));
        assert!(world.ledger.told[&0].is_empty() || world.ledger.told[&1].is_empty());
        world.network.heal(Weather::FAIR);
        world.settle(HEALED);
        assert_eq!(world.ledger.deliveries, 20);
    }
}

#[test]
fn a_lane_whose_address_dies_is_left_for_another() {
    let mut world = World::connected(34);
    exchange(&mut world);
    let path = world.nodes[0].mesh.current_of(world.name(1)).unwrap().path;
    world.network.kill_address(path.unwrap().local);
    exchange(&mut world);
    let took = world.run_until(Duration::from_secs(10), "replaced", |world| {
        world.is_settled() && world.are_connected(0, 1)
    });
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(world.ledger.deliveries, 20);
}

#[test]
fn replacing_a_connection_that_works_is_not_told() {
    let mut world = World::connected(35);
    for offerer in [0, 1, 0, 1] {
        world.replace_connection(offerer, 1 - offerer);
        exchange(&mut world);
        world.settle(SOON);
    }
    assert_eq!(world.count(0, is_lost) + world.count(1, is_lost), 0);
    assert_eq!(world.ledger.deliveries, 40);
}

#[test]
fn a_connect_while_the_peer_is_silent_is_answered_when_it_is_heard_again() {
    let mut world = World::connected(36);
    // Without the registry the only way back is the old connection.
    world.stop_registry(false);
    world.network.partition(0, 1);
    world.run_for(Duration::from_secs(10));
    world.connect(0, "b");
    world.network.heal(Weather::FAIR);
    world.settle(HEALED);
}

#[test]
fn a_session_given_up_between_description_and_hello_starts_over() {
    for place in [0, 1] {
        let mut world = World::connected(37);
        exchange(&mut world);
        world.settle(SOON);
        world.replace_connection(0, 1);
        let other = world.name(1 - place).clone();
        world.run_until(MOMENT, "answered", |world| {
            let mut connections = world.nodes[place].mesh.connections_of(&other);
            connections.any(|(_, made)| made.phase == Phase::Connecting)
        });
        let now = world.now;
        world.nodes[place].mesh.restart_session(now, &other);
        world.excuse(0, 1);
        exchange(&mut world);
        world.settle(SOON);
        let before = (world.ledger.deliveries, world.ledger.failed());
        exchange(&mut world);
        world.settle(SOON);
        let after = (world.ledger.deliveries, world.ledger.failed());
        assert_eq!(after, (before.0 + 10, before.1));
    }
}

#[test]
fn a_replacement_that_dies_at_any_datagram_beside_a_working_connection_loses_nothing() {
    for fatal in 0..60 {
        let mut world = World::new(100 + fatal, &["a", "b"]);
        world.network.weather.jitter = Duration::from_millis(2);
        world.start_all();
        world.run_until_connected(SOON);
        for round in 0..4 {
            world.network.doom_newcomers(fatal + round);
            world.replace_connection(round as usize % 2, 1 - round as usize % 2);
            for _ in 0..5 {
                exchange(&mut world);
                world.run_for(Duration::from_millis(1));
            }
            world.run_for(Duration::from_secs(3));
        }
        world.settle(HEALED);
        assert_eq!(world.ledger.deliveries, 200, "killed at datagram {fatal}");
    }
}

#[test]
fn what_the_agent_takes_between_hello_and_replay_is_not_counted_twice() {
    for seed in 200..240 {
        let mut world = World::connected(seed);
        world.agent_stalls(1);
        for _ in 0..9 {
            world.send(0, "b", 500, true);
        }
        world.run_for(MOMENT);
        // As likely as not the hello arrives after the acknowledgement of what is then taken.
        world.network.weather.jitter = Duration::from_millis(20);
        let current = |world: &World<_>| world.nodes[1].mesh.peers[world.name(0)].current;
        let before = current(&world);
        world.replace_connection(0, 1);
        world.run_until(SOON, "replaced", |world| current(world) != before);
        world.agent_resumes(1);
        world.send(0, "b", 5000, true);
        world.settle(HEALED);
        assert_eq!(world.ledger.deliveries, 10, "seed {seed}");
    }
}

#[test]
fn a_process_that_is_started_anew_again_and_again_is_connected_soon_each_time() {
    let mut world = World::connected(31);
    for round in 0..40 {
        world.restart(1, round % 2 == 0);
        world.run_until_connected(limits::OFFER_INTERVAL + Duration::from_millis(300));
    }
}

/// A session's id is told to whoever is offered a connection, so an id alone proves nothing.
#[test]
fn whoever_tells_the_session_with_another_certificate_is_another_process() {
    let is_new = |event: &Event| matches!(event, Event::PeerConnected { resumed: false, .. });
    for (offerer, other) in [(0, 1), (1, 0)] {
        let mut world = World::connected(82);
        world.send(0, "b", 100, true);
        world.send(1, "a", 100, true);
        world.run_for(Duration::from_secs(2));
        world.nodes[1].mesh.linker.certificate = 1;
        world.replace_connection(offerer, other);
        world.run_for(Duration::from_secs(2));
        assert_eq!(world.count(0, is_new), 2, "offered by {offerer}");
        world.send(0, "b", 100, true);
        world.send(1, "a", 100, true);
        world.settle(Duration::from_secs(10));
        assert_eq!(world.ledger.failed(), 0);
    }
}
