//! Ways with round trips of seconds, such as by satellite: the first attempt succeeds.

use std::time::Duration;

use super::network::Place;
use super::real_stack::world;
use super::world::World;
use crate::mesh::MeshMode;
use crate::mesh::link::webrtc::WebRtc;
use crate::protocol::ipc::Event;

/// One way.
const LATENCIES: [Duration; 2] = [Duration::from_millis(750), Duration::from_millis(1500)];

/// How many round trips connecting takes at most, from when the registry is connected: one for its list, two for
/// the offer and the answer, and two each for ICE, DTLS, SCTP and the channels.
const ROUND_TRIPS: u32 = 11;

fn slow_world(seed: u64, latency: Duration) -> World<WebRtc> {
    let mut world = world(seed, &["a", "b"], &[]);
    world.settings.connect_timeout = Duration::from_secs(15);
    world.network.weather.latency = latency;
    world.registry.latency = latency;
    world
}

/// How many connections the process at `place` has begun.
fn attempts(world: &World<WebRtc>, place: Place) -> u64 {
    world.nodes[place].mesh.next_connection
}

fn check_nothing_failed(world: &World<WebRtc>) {
    assert_eq!(world.ledger.failed(), 0);
    for place in [0, 1] {
        let is_bad =
            |event: &Event| matches!(event, Event::Error { .. } | Event::PeerDisconnected { .. });
        assert_eq!(world.count(place, is_bad), 0);
        let peers = world.nodes[place].mesh.peers.values();
        assert_eq!(peers.map(|peer| peer.restarts).sum::<u64>(), 0);
    }
}

#[test]
fn the_first_attempt_succeeds() {
    for latency in LATENCIES {
        for (seed, newcomer) in [0, 1, 0, 1].into_iter().enumerate() {
            let mut world = slow_world(seed as u64, latency);
            world.start(1 - newcomer);
            world.run_for(Duration::from_secs(10 + seed as u64));
            world.start(newcomer);
            world.run_until_connected(2 * latency * ROUND_TRIPS);
            assert_eq!([0, 1].map(|place| attempts(&world, place)), [1, 1]);
            world.run_for(Duration::from_secs(60));
            assert_eq!([0, 1].map(|place| attempts(&world, place)), [1, 1]);
            check_nothing_failed(&world);
        }
    }
}

#[test]
fn of_crossing_offers_one_is_given_up_at_once_and_the_other_succeeds() {
    for latency in LATENCIES {
        let mut world = slow_world(5, latency);
        world.start_all();
        world.run_until_connected(2 * latency * ROUND_TRIPS);
        world.run_for(Duration::from_secs(60));
        // `b` has given its own way.
        assert_eq!([0, 1].map(|place| attempts(&world, place)), [1, 2]);
        check_nothing_failed(&world);
    }
}

#[test]
fn what_is_sent_at_once_is_delivered_by_the_first_attempt() {
    for latency in LATENCIES {
        for has_id in [true, false] {
            let mut world = slow_world(6, latency);
            world.settings.mode = MeshMode::Lazy;
            world.start(1);
            world.start(0);
            world.connect(0, "b");
            world.send(0, "b", 100, has_id);
            world.run_until(2 * latency * (ROUND_TRIPS + 2), "delivered", |world| {
                world.ledger.deliveries == 1
            });
            world.run_for(Duration::from_secs(60));
            assert_eq!([0, 1].map(|place| attempts(&world, place)), [1, 1]);
            check_nothing_failed(&world);
        }
    }
}

/// Only the path between the two is long, so that it is known from the checks alone.
#[test]
fn a_long_path_beside_a_near_registry_is_found() {
    for latency in LATENCIES {
        let mut world = slow_world(7, latency);
        world.settings.mode = MeshMode::Lazy;
        world.registry.latency = Duration::from_millis(5);
        world.start(1);
        world.start(0);
        world.connect(0, "b");
        world.run_until_connected(2 * latency * ROUND_TRIPS);
        world.run_for(Duration::from_secs(60));
        assert_eq!([0, 1].map(|place| attempts(&world, place)), [1, 1]);
        check_nothing_failed(&world);
    }
}
