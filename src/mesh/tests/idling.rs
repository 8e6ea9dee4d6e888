//! The cost of a connection that nobody uses, and the time until the end of its peer is noticed, on the real
//! stack.

use std::time::Duration;

use super::network::{self, Place};
use super::world::{MAX_MESSAGE_BYTES, World};
use crate::mesh::connection::intervals::Intervals;
use crate::mesh::link::Path;
use crate::mesh::link::webrtc::WebRtc;
use crate::nat::candidate::LocalCandidate;
use crate::protocol::ipc::Event;

const CONNECTED: Duration = Duration::from_secs(15);
const LATENCY: Duration = Duration::from_millis(15);
/// By then the pairs that were not chosen are no longer checked.
const SETTLED: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

/// Megabytes a day and peer, both ways together, with the headers of UDP, IP and Ethernet: the most that
/// the documents promise.
const MOST: f64 = 15.0;
const MOST_METERED: f64 = 3.0;

/// How many addresses each side has of IPv4, and of IPv6.
type Addresses = (usize, usize);

/// Two sidecars, connected.
fn world((ipv4, ipv6): Addresses, metered: [bool; 2]) -> World<WebRtc> {
    let make = |_| WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
    let mut world = World::of(40, &["a", "b"], &[], Box::new(make));
    world.network.weather.latency = LATENCY;
    for (place, is_metered) in metered.into_iter().enumerate() {
        world.settings.metered = is_metered;
        world.start(place);
        let lane = |lane| {
            let ipv4 = (1..=ipv4).map(|index| network::address(place, lane, index, 5000));
            let ipv6 = (1..=ipv6).map(|index| network::ipv6_address(place, lane, index, 5000));
            let host = |address| LocalCandidate::Host { address };
            ipv6.chain(ipv4).map(host).collect()
        };
        let lanes = (0..world.lane_count).map(lane).collect();
        world.set_lanes(place, lanes);
    }
    world.run_until_connected(CONNECTED);
    world
}

/// Measures megabytes a day by an hour.
fn megabytes_a_day(addresses: Addresses, metered: [bool; 2]) -> f64 {
    let mut world = world(addresses, metered);
    world.run_for(SETTLED);
    let before = world.network.carried_bytes;
    world.run_for(HOUR);
    let day = 24.0 * (world.network.carried_bytes - before) as f64 / 1e6;
    println!("{addresses:?} addresses, metered {metered:?}: {day:.2} MB a day");
    assert_eq!(losses(&world, 0) + losses(&world, 1), 0);
    day
}

fn losses(world: &World<WebRtc>, place: Place) -> usize {
    world.count(place, |event| {
        matches!(event, Event::PeerDisconnected { .. })
    })
}

#[test]
fn an_idle_connection_costs_little_whatever_the_number_of_addresses() {
    for addresses in [(1, 0), (1, 1), (1, 3), (4, 3)] {
        let day = megabytes_a_day(addresses, [false, false]);
        assert!(day < MOST, "{day} MB a day");
    }
}

#[test]
fn it_costs_less_if_one_line_is_metered() {
    for addresses in [(1, 0), (1, 1), (1, 3), (4, 3)] {
        for metered in [[true, true], [true, false], [false, true]] {
            let day = megabytes_a_day(addresses, metered);
            assert!(day < MOST_METERED, "{day} MB a day");
        }
    }
}

#[test]
fn the_end_of_a_peer_is_noticed_in_time() {
    let metered = [[false, false], [true, true], [true, false], [false, true]];
    for metered in metered {
        let intervals = Intervals::of(metered.contains(&true));
        let mut world = world((1, 3), metered);
        world.run_for(SETTLED);
        world.stop(1, false);
        let took = world.run_until(HOUR, "told", |world| losses(world, 0) == 1);
        println!("metered {metered:?}: told after {took:?}");
        // Its last word may have been under way, and was said one interval before at most.
        assert!(took <= intervals.silent + LATENCY, "{took:?}");
        assert!(
            took + intervals.ask + intervals.turn > intervals.silent,
            "{took:?}"
        );
    }
}

/// Returns the addresses at both ends of the path in use, as the first sees it.
fn path(world: &World<WebRtc>) -> Path {
    let mesh = &world.nodes[0].mesh;
    mesh.current_of(world.name(1)).unwrap().path.unwrap()
}

/// Pairs that are not in use are given up in time, and come back when they are needed.
#[test]
fn another_pair_takes_over_after_an_hour_of_rest() {
    for is_used in [false, true] {
        let mut world = world((1, 3), [false, false]);
        world.run_for(HOUR);
        let before = path(&world);
        world.network.kill_pair(before.local, before.remote);
        if is_used {
            world.broadcast(0, 1000, true);
        }
        let limit = Duration::from_secs(if is_used { 2 } else { 5 });
        world.run_until(limit, "another path is in use", |world| {
            path(world) != before && (!is_used || world.ledger.deliveries == 1)
        });
        world.run_for(SETTLED);
        assert_eq!(losses(&world, 0) + losses(&world, 1), 0);
    }
}

#[test]
fn a_better_pair_is_taken_when_it_comes_up_after_an_hour_of_rest() {
    let mut world = world((1, 1), [false, false]);
    let lanes: Vec<_> = [0, 1].map(|place| world.nodes[place].lanes.clone()).into();
    let relayed = |place| LocalCandidate::Relayed {
        address: network::address(place, 0, 9, 50_000),
        base: network::address(place, 0, 1, 5000),
    };
    for place in [0, 1] {
        world.set_lanes(place, vec![vec![relayed(place)]; 3]);
    }
    world.run_until_connected(CONNECTED);
    world.run_for(HOUR);
    assert_eq!(path(&world).local, relayed(0).source());
    for (place, own) in lanes.into_iter().enumerate() {
        let with_relay = |lane: Vec<_>| lane.into_iter().chain([relayed(place)]).collect();
        world.set_lanes(place, own.into_iter().map(with_relay).collect());
    }
    world.run_until(
        Duration::from_secs(5),
        "the better pair is in use",
        |world| path(world).local.is_ipv6(),
    );
}

/// A moment's loss on one side does not make the other doubt.
#[test]
fn a_bad_line_raises_no_false_alarm_while_idle() {
    for metered in [[false, false], [true, false]] {
        let mut world = world((1, 1), metered);
        world.network.weather.lost = 5;
        world.network.weather.jitter = Duration::from_millis(100);
        world.run_for(HOUR);
        let told = losses(&world, 0) + losses(&world, 1);
        assert_eq!(told, 0, "metered {metered:?}");
    }
}
