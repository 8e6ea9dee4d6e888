//! The same world on the real stack: str0m with its ICE, DTLS and SCTP. Its keys are random, so only
//! what comes of it is checked, not how.

use std::time::{Duration, Instant};

use super::hostile::check_missed;
use super::network::{self, Place, Weather};
use super::world::{MAX_MESSAGE_BYTES, World};
use crate::mesh::link::webrtc::WebRtc;
use crate::mesh::link::{Link, LinkOutput, Linker, Packets};
use crate::nat::candidate::LocalCandidate;

const CONNECTED: Duration = Duration::from_secs(15);
const SETTLED: Duration = Duration::from_secs(120);

/// How a STUN binding request begins, and where its transaction id does (RFC 8489).
const BINDING_REQUEST: &[u8] = &[0, 1];
const TRANSACTION_ID: usize = 8;
/// The type of a DTLS record with data.
const DTLS_DATA: u8 = 23;

pub(super) fn world(seed: u64, names: &[&str], others: &[&str]) -> World<WebRtc> {
    let make = |_| WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
    World::of(seed, names, others, Box::new(make))
}

pub(super) fn exchange(world: &mut World<WebRtc>, count: usize) {
    for size in [10, 100, 20_000, 3_000].into_iter().cycle().take(count) {
        for from in 0..world.nodes.len() {
            world.broadcast(from, size, true);
            world.broadcast(from, size, false);
        }
    }
}

/// Every address that the sidecar's connections use dies; other lanes have others.
fn kill_addresses(world: &mut World<WebRtc>, place: Place) {
    let connections = world.nodes[place].mesh.connections.values();
    let paths: Vec<_> = connections
        .filter_map(|connection| connection.path)
        .collect();
    for path in paths {
        world.network.kill_address(path.local);
    }
}

/// Behind most routers nothing comes in before something has gone out.
#[test]
fn an_answerer_checks_paths_without_being_checked_first() {
    let now = Instant::now();
    let host = |port| LocalCandidate::Host {
        address: ([10, 0, 0, 1], port).into(),
    };
    let mut linker = WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
    let (_, offer) = linker.offer(now, &[host(1)], Packets::Full).unwrap();
    let (mut answerer, _) = linker
        .answer(now, &[host(2)], Packets::Full, &offer)
        .unwrap();
    loop {
        match answerer.poll().unwrap() {
            LinkOutput::Transmit(transmit) if transmit.bytes.starts_with(BINDING_REQUEST) => return,
            LinkOutput::Timeout(at) => {
                assert!(at < now + Duration::from_millis(200), "no check");
                answerer.handle_timeout(at).unwrap();
            }
            _ => {}
        }
    }
}

#[test]
fn connects_and_delivers_in_any_weather() {
    for (seed, lost) in [0, 2, 10].into_iter().enumerate() {
        let mut world = world(seed as u64, &["a", "b", "c"], &[]);
        world.network.weather = Weather {
            lost,
            doubled: lost / 2,
            latency: Duration::from_millis(5 * u64::from(lost)),
            jitter: Duration::from_millis(2 * u64::from(lost)),
        };
        world.start_all();
        // SCTP repeats its handshake after 3, 6 and 12 s.
        world.run_until_connected(2 * CONNECTED);
        exchange(&mut world, 8);
        world.settle(SETTLED);
        assert_eq!(world.ledger.failed(), 0);
        assert_eq!(world.ledger.deliveries, 3 * 2 * 8 * 2);
    }
}

/// SCTP acknowledges every second packet at once, and an odd last one after 200 ms.
#[test]
fn messages_of_no_size_wait_for_an_acknowledgement_of_sctp() {
    const LATE: Duration = Duration::from_millis(200);
    let mut world = world(21, &["a", "b"], &["z"]);
    world.start_all();
    world.run_until_connected(CONNECTED);
    let odd_and_even = (0..8).map(|step| 40_000 + step * 600);
    for size in odd_and_even.chain([100_000, 101_100]) {
        for target in ["b", "z"] {
            let (began, before) = (world.now, world.ledger.deliveries);
            (0..10).for_each(|_| world.send(0, target, size, false));
            world.run_until(SETTLED, "all arrive", |world| {
                world.ledger.deliveries == before + 10
            });
            let took = world.now - began;
            assert!(took < LATE, "10 of {size} bytes to {target}: {took:?}");
        }
    }
}

#[test]
fn connects_over_long_ways() {
    for (seed, latency) in [40, 100, 150, 300].into_iter().enumerate() {
        let mut world = world(seed as u64, &["a", "b"], &[]);
        world.network.weather.latency = Duration::from_millis(latency);
        world.network.weather.jitter = Duration::from_millis(latency / 5);
        world.start_all();
        let took = world.run_until_connected(CONNECTED);
        // The registry is near: three round trips of ICE and DTLS each, and two of SCTP.
        let round_trip = Duration::from_millis(2 * latency + 2 * latency / 5);
        assert!(
            took < 8 * round_trip + Duration::from_secs(1),
            "{latency} ms: {took:?}"
        );
        exchange(&mut world, 4);
        world.settle(SETTLED);
    }
}

#[test]
fn the_handshake_of_sctp_takes_no_round_trips() {
    for names in [["a", "b"], ["b", "a"]] {
        let mut world = world(30, &names, &[]);
        world.network.weather.latency = Duration::from_millis(50);
        world.start_all();
        let took = world.run_until_connected(CONNECTED);
        // Two round trips of ICE, two of DTLS, and one of our own handshake.
        assert!(took < Duration::from_millis(540), "{took:?}");
    }
}

#[test]
fn connections_that_are_lost_are_replaced_with_messages_under_way() {
    for seed in 0..4 {
        let mut world = world(seed, &["a", "b"], &[]);
        world.network.weather.lost = 2;
        world.start_all();
        world.run_until_connected(CONNECTED);
        for round in 0..3 {
            exchange(&mut world, 4);
            let moment = world.random.u64(..20);
            world.run_for(Duration::from_millis(moment));
            match round {
                0 => kill_addresses(&mut world, 0),
                1 => world.network.partition(0, 1),
                _ => world.network.block(1, 0),
            }
            exchange(&mut world, 4);
            world.run_for(Duration::from_secs(6));
            world.network.heal(Weather::FAIR);
            world.run_for(Duration::from_secs(1));
        }
        world.settle(SETTLED);
        assert_eq!(world.ledger.failed(), 0, "seed {seed}");
    }
}

/// The ICE agent would stay on its path for minutes, while others could be used at once.
#[test]
fn messages_do_not_wait_for_a_dead_path_while_others_live() {
    let mut world = world(12, &["a", "b"], &[]);
    world.start_all();
    for place in 0..2 {
        let lanes = (0..world.lane_count)
            .map(|lane| {
                [1, 2]
                    .map(|index| LocalCandidate::Host {
                        address: network::address(place, lane, index, 5000),
                    })
                    .to_vec()
            })
            .collect();
        world.set_lanes(place, lanes);
    }
    world.run_until_connected(CONNECTED);
    world.run_for(Duration::from_secs(5));
    let b = world.name(1).clone();
    let path = world.nodes[0].mesh.current_of(&b).unwrap().path.unwrap();
    world.network.kill_pair(path.local, path.remote);
    exchange(&mut world, 1);
    world.run_until(Duration::from_secs(5), "delivered", |world| {
        world.ledger.deliveries == 4
    });
    assert_eq!(world.ledger.failed(), 0);
    let doubts = [0, 1].map(|place| world.nodes[place].mesh.take_doubt());
    assert_eq!(doubts, [false, false], "other paths answer");
}

#[test]
fn a_process_that_returns_at_once_is_connected_at_once() {
    for is_polite in [true, false] {
        let mut world = world(7, &["a", "b"], &[]);
        world.start_all();
        world.run_until_connected(CONNECTED);
        exchange(&mut world, 2);
        world.restart(1, is_polite);
        let took = world.run_until_connected(CONNECTED);
        assert!(took < Duration::from_secs(1), "{took:?}");
        exchange(&mut world, 2);
        world.settle(SETTLED);
    }
}

#[test]
fn one_of_another_make_is_served_in_both_roles() {
    for (own, other) in [("a", "z"), ("z", "a")] {
        let mut world = world(8, &[own], &[other]);
        let own = world.name(0).clone();
        world.network.weather.lost = 5;
        world.start_all();
        for _ in 0..3 {
            world.run_until_connected(CONNECTED);
            exchange(&mut world, 4);
            for _ in 0..20 {
                world.foreign_sends(1, &own, 3000);
            }
            world.run_for(Duration::from_secs(10));
            world.disconnect_from_registry(1);
            world.run_for(Duration::from_secs(1));
        }
        world.settle(SETTLED);
    }
}

#[test]
fn an_agent_that_stops_reading_slows_the_sender_and_loses_nothing() {
    let mut world = world(9, &["a", "b"], &[]);
    world.start_all();
    world.run_until_connected(CONNECTED);
    world.agent_stalls(1);
    for _ in 0..200 {
        world.send(0, "b", 20_000, true);
    }
    world.run_for(Duration::from_secs(8));
    assert!(!world.nodes[0].mesh.wants_requests());
    world.agent_resumes(1);
    world.settle(SETTLED);
    assert_eq!((world.ledger.deliveries, world.ledger.failed()), (200, 0));
}

/// Connections between the first two are replaced again and again, with messages under way.
fn replace_with_traffic(world: &mut World<WebRtc>) {
    for offerer in [0, 1, 0, 1] {
        world.run_for(Duration::from_millis(10));
        exchange(world, 2);
        let other = world.name(1 - offerer).clone();
        let current = |world: &World<WebRtc>| world.nodes[offerer].mesh.peers[&other].current;
        let before = current(world);
        world.replace_connection(offerer, 1 - offerer);
        for _ in 0..10 {
            exchange(world, 2);
            world.run_for(Duration::from_micros(500));
        }
        world.run_until(Duration::from_secs(2), "replaced", |world| {
            current(world).is_some_and(|current| Some(current) != before)
        });
        world.settle(SETTLED);
    }
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn a_connection_is_replaced_on_the_same_addresses_with_traffic_under_way() {
    let mut world = world(10, &["a", "b"], &[]);
    world.lane_count = 1;
    world.start_all();
    world.run_until_connected(CONNECTED);
    replace_with_traffic(&mut world);
}

/// `ICE_TRANSPORT_POLICY=relay`: each side has one relayed address, on all its lanes.
fn with_relays_only(seed: u64) -> World<WebRtc> {
    let mut world = world(seed, &["a", "b"], &[]);
    world.start_all();
    for place in [0, 1] {
        let relayed = LocalCandidate::Relayed {
            address: network::address(place, 0, 9, 50_000),
            base: network::address(place, 0, 1, 4000),
        };
        world.set_lanes(place, vec![vec![relayed]; 3]);
    }
    world.run_until_connected(CONNECTED);
    check_relayed(&world);
    world
}

fn check_relayed(world: &World<WebRtc>) {
    for place in [0, 1] {
        let mesh = &world.nodes[place].mesh;
        let path = mesh.current_of(world.name(1 - place)).unwrap().path;
        assert_eq!(path.unwrap().local, network::address(place, 0, 9, 50_000));
    }
}

#[test]
fn a_connection_is_replaced_over_the_relay_that_all_lanes_share() {
    let mut world = with_relays_only(20);
    replace_with_traffic(&mut world);
    check_relayed(&world);
}

#[test]
fn a_connection_that_is_lost_is_replaced_over_the_same_relay() {
    for seed in 21..24 {
        let mut world = with_relays_only(seed);
        for _ in 0..2 {
            exchange(&mut world, 4);
            world.network.partition(0, 1);
            world.run_for(Duration::from_secs(8));
            world.network.heal(Weather::FAIR);
            world.settle(SETTLED);
        }
        assert_eq!(world.ledger.failed(), 0);
        assert_eq!(world.ledger.deliveries, 2 * 2 * 4 * 2);
    }
}

#[test]
fn checks_without_the_password_and_garbage_do_not_keep_a_peer_alive() {
    let mut world = world(11, &["a", "b"], &[]);
    world.start_all();
    world.run_until_connected(CONNECTED);
    world.stop(1, false);
    let mut forged = Vec::new();
    let mesh = &mut world.nodes[1].mesh;
    while forged.is_empty() {
        let later = mesh.next_timeout().unwrap();
        mesh.handle_timeout(later);
        forged.extend(std::iter::from_fn(|| mesh.poll_transmit()));
        forged.retain(|sent| sent.bytes.starts_with(BINDING_REQUEST));
    }
    let mut garbage = forged[0].clone();
    garbage.bytes[0] = DTLS_DATA;
    forged.push(garbage);
    for forged in &mut forged {
        forged.bytes[TRANSACTION_ID] ^= 1;
    }
    check_missed(&mut world, &forged);
}
