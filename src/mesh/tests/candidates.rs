//! Local candidates that come and go while connections are made and used.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::fake_link::FakeStack;
use super::network::{self, Weather};
use super::registry::Relayed;
use super::world::World;
use crate::limits;
use crate::nat::candidate::LocalCandidate;
use crate::protocol::signaling::{Extension, Incoming, Signal};

const SOON: Duration = Duration::from_secs(2);

fn address(place: usize, number: usize) -> SocketAddr {
    network::address(place, number, 1, 9000)
}

fn host(place: usize) -> LocalCandidate {
    let address = address(place, 0);
    LocalCandidate::Host { address }
}

/// Behaves as a socket elsewhere, which the simulation takes for one of the sidecar's own.
fn relayed(place: usize, number: usize) -> LocalCandidate {
    LocalCandidate::Relayed {
        address: address(place, number),
        base: address(place, 0),
    }
}

/// The same candidates in each lane, as relays are.
fn set(world: &mut World<FakeStack>, place: usize, candidates: &[LocalCandidate]) {
    world.set_lanes(place, vec![candidates.to_vec(); 3]);
}

fn path_of(world: &World<FakeStack>, own: usize, other: usize) -> SocketAddr {
    let current = world.nodes[own].mesh.current_of(world.name(other));
    current.unwrap().path.unwrap().local
}

#[test]
fn a_candidate_found_after_the_description_is_trickled() {
    for late in [0, 1] {
        let mut world = World::new(1, &["a", "b"]);
        world.start_all();
        set(&mut world, late, &[]);
        world.run_for(SOON);
        assert!(!world.are_connected(0, 1), "there is no way yet");
        set(&mut world, late, &[relayed(late, 5)]);
        world.run_until_connected(SOON);
        assert_eq!(path_of(&world, late, 1 - late), address(late, 5));
    }
}

#[test]
fn a_candidate_that_is_lost_while_it_carries_messages_is_replaced_by_another() {
    let mut world = World::new(2, &["a", "b"]);
    world.start_all();
    set(&mut world, 0, &[relayed(0, 5)]);
    world.run_until_connected(SOON);
    for number in 6..12 {
        world.send(0, "b", 100, true);
        world.send(1, "a", 100, true);
        set(&mut world, 0, &[relayed(0, number)]);
        world.run_for(SOON);
        assert_eq!(path_of(&world, 0, 1), address(0, number));
    }
    // What was under way on the last switch waits for the transport to repeat it.
    world.settle(Duration::from_secs(10));
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn a_candidate_that_is_lost_before_the_peer_is_heard_does_not_end_the_attempt() {
    for loser in [0, 1] {
        let mut world = World::new(6, &["a", "b"]);
        world.network.partition(0, 1);
        world.start_all();
        set(&mut world, loser, &[relayed(loser, 5), relayed(loser, 6)]);
        world.run_for(Duration::from_millis(500));
        let attempts = |world: &World<FakeStack>| {
            let connections = world.nodes[0].mesh.connections.values();
            let attempts = connections.map(|connection| connection.attempt.clone());
            attempts.collect::<Vec<_>>()
        };
        let begun = attempts(&world);
        assert_eq!(begun.len(), 1);
        set(&mut world, loser, &[relayed(loser, 6)]);
        for node in &world.nodes {
            let mut connections = node.mesh.connections.values();
            assert!(connections.all(|connection| connection.liveness.was_never_heard()));
        }
        world.network.heal(Weather::FAIR);
        world.run_until_connected(SOON);
        assert_eq!(attempts(&world), begun);
    }
}

#[test]
fn a_candidate_that_is_outdone_stays_for_the_connection_that_has_it_and_for_no_other() {
    let mut world = World::new(5, &["a", "b"]);
    world.start_all();
    set(&mut world, 0, &[relayed(0, 5)]);
    world.run_until_connected(SOON);
    let has_old = |world: &World<FakeStack>| {
        let current = world.nodes[0].mesh.current_of(world.name(1)).unwrap();
        current.local.contains(&relayed(0, 5))
    };
    let better = vec![vec![relayed(0, 6)]; 3];
    world.set_candidates(0, better.clone(), vec![relayed(0, 5)]);
    for _ in 0..5 {
        world.send(0, "b", 100, true);
        world.send(1, "a", 100, true);
        world.run_for(SOON);
        assert!(has_old(&world));
    }
    world.replace_connection(0, 1);
    world.run_for(SOON);
    assert!(!has_old(&world));
    // An outdone candidate does not come back.
    world.set_candidates(0, better, vec![relayed(0, 5), relayed(0, 7)]);
    world.run_for(SOON);
    assert!(!has_old(&world));
    world.settle(SOON);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn when_a_router_has_another_address_the_paths_to_all_peers_are_checked_at_once() {
    let mut world = World::<FakeStack>::new(34, &["a", "b", "c"]);
    let behind = |outside: usize| {
        let reflexive = LocalCandidate::ServerReflexive {
            address: address(7, outside),
            base: address(0, 0),
        };
        [host(0), reflexive]
    };
    world.start_all();
    set(&mut world, 0, &behind(1));
    world.run_until_connected(SOON);
    world.run_for(2 * SOON);
    let now = world.now;
    let mesh = &mut world.nodes[0].mesh;
    mesh.set_lanes(now, vec![behind(2).to_vec(); 3]);
    mesh.handle_timeout(now);
    let sent = std::iter::from_fn(|| mesh.poll_transmit());
    let checks = sent.filter(|transmit| transmit.bytes[0] < 4);
    let checked: BTreeSet<_> = checks
        .map(|check| network::place(check.destination))
        .collect();
    assert_eq!(checked, BTreeSet::from([1, 2]));
}

#[test]
fn without_any_candidate_left_the_session_waits_for_the_next() {
    let mut world = World::new(3, &["a", "b"]);
    world.start_all();
    world.run_until_connected(SOON);
    set(&mut world, 0, &[]);
    world.send(0, "b", 100, true);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.ledger.deliveries, 0);
    set(&mut world, 0, &[host(0)]);
    world.settle(Duration::from_secs(10));
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn connections_over_the_same_relay_on_both_sides_replace_each_other_and_lose_nothing() {
    let mut world = World::new(4, &["a", "b"]);
    world.start_all();
    set(&mut world, 0, &[relayed(0, 5)]);
    set(&mut world, 1, &[relayed(1, 5)]);
    world.run_until_connected(SOON);
    for round in 0..20 {
        world.send(round % 2, ["b", "a"][round % 2], 1000, true);
        world.replace_connection(round % 2, 1 - round % 2);
        world.run_for(Duration::from_millis(40));
    }
    world.settle(SOON);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn a_candidate_with_a_name_is_used_once_the_name_is_resolved() {
    const NAME: &str = "5aa0-e5d4.local";
    for in_description in [true, false] {
        let mut world = World::new(5, &["a", "b"]);
        // Nobody tells an address: a tells nothing, b a name.
        world.registry.script = Box::new(move |relayed| {
            let (Signal::Offer { sdp } | Signal::Answer { sdp }) = &relayed.signal else {
                return Vec::new();
            };
            let bare = sdp.lines().filter(|line| !line.starts_with("a=candidate:"));
            let mut sdp: String = bare.map(|line| format!("{line}\r\n")).collect();
            let port = address(1, 0).port();
            let named = format!("candidate:1 1 udp 2130706431 {NAME} {port} typ host");
            let has_name = relayed.from == 1;
            if has_name && in_description {
                sdp.push_str(&format!("a={named}\r\n"));
            }
            let description = match relayed.signal {
                Signal::Offer { .. } => Signal::Offer { sdp },
                _ => Signal::Answer { sdp },
            };
            let trickled =
                (has_name && !in_description).then_some(Signal::Candidate { candidate: named });
            let signals = [Some(description), trickled].into_iter().flatten();
            signals
                .map(|signal| {
                    let relayed = Relayed {
                        signal,
                        ..relayed.clone()
                    };
                    (Duration::ZERO, relayed)
                })
                .collect()
        });
        world.start_all();
        set(&mut world, 1, &[host(1)]);
        world.run_for(SOON);
        assert!(!world.are_connected(0, 1));
        let names: Vec<_> = std::iter::from_fn(|| world.nodes[0].mesh.poll_local_name()).collect();
        assert_eq!(names, [NAME]);
        let (now, ip) = (world.now, address(1, 0).ip());
        world.nodes[0].mesh.local_name_resolved(now, NAME, ip);
        world.after_input(0);
        world.run_until_connected(SOON);
        let current = world.nodes[0].mesh.current_of(world.name(1)).unwrap();
        assert_eq!(current.kind_of_remote(address(1, 0)), "host");
    }
}

#[test]
fn of_more_candidates_than_anybody_has_the_first_are_taken() {
    let mut world = World::new(6, &["a", "b"]);
    world.registry.script = Box::new(|mut relayed| {
        let surplus = |n: usize| {
            let [_, a, b, c] = n.to_be_bytes()[4..] else {
                unreachable!()
            };
            format!("candidate:1 1 udp 1 127.{a}.{b}.{c} 9 typ host")
        };
        if let Signal::Offer { sdp } | Signal::Answer { sdp } = &mut relayed.signal {
            let lines = (1..600).map(|n| format!("a={}\r\n", surplus(n)));
            sdp.extend(lines);
        }
        let trickled = (1..50).map(|n| Relayed {
            signal: Signal::Candidate {
                candidate: surplus(n),
            },
            ..relayed.clone()
        });
        let frames = trickled.clone().chain([relayed.clone()]).chain(trickled);
        frames.map(|frame| (Duration::ZERO, frame)).collect()
    });
    world.start_all();
    world.run_until_connected(SOON);
    for (own, other) in [(0, 1), (1, 0)] {
        let ignored = world.nodes[own].mesh.totals.drops.ignored_candidates;
        assert!(ignored >= 500, "{ignored} ignored");
        let current = world.nodes[own].mesh.current_of(world.name(other));
        let taken = current.unwrap().link.candidates;
        assert!(
            taken > 10 && taken <= limits::CANDIDATES_PER_CONNECTION,
            "{taken} candidates"
        );
    }
}

#[test]
fn of_candidates_that_come_and_go_for_hours_each_is_taken() {
    let mut world = World::connected(7);
    let own = world.nodes[0].lanes.clone();
    for number in 1..=200 {
        let with_relay = |lane: &Vec<_>| [lane.as_slice(), &[relayed(0, number)]].concat();
        let lanes = own.iter().map(with_relay).collect();
        world.set_lanes(0, lanes);
        world.run_for(Duration::from_secs(60));
    }
    let current = world.nodes[1].mesh.current_of(world.name(0)).unwrap();
    assert!(current.link.candidates > 200, "{}", current.link.candidates);
    assert_eq!(current.kind_of_remote(address(0, 200)), "host");
    // That of the path is not forgotten over the others.
    assert_eq!(current.kind_of_remote(current.path.unwrap().remote), "host");
}

#[test]
fn the_addresses_of_a_name_count_as_candidates() {
    let mut world = World::connected(8);
    let name = world.name(1).clone();
    let now = world.now;
    for number in 0..limits::LOCAL_NAMES_PER_CONNECTION {
        let candidate = format!("candidate:{number} 1 udp 1 a.local {} typ host", 9 + number);
        let frame = Incoming::Relay {
            sender: name.clone(),
            target: None,
            signal: Signal::Candidate { candidate },
            extension: Extension {
                ours: true,
                conn: world.nodes[0]
                    .mesh
                    .current_of(&name)
                    .unwrap()
                    .attempt
                    .clone(),
                ..Extension::default()
            },
        };
        world.nodes[0].mesh.handle_frame(now, frame);
    }
    for number in 0..64 {
        let address = IpAddr::from([127, 0, 1, number]);
        world.nodes[0]
            .mesh
            .local_name_resolved(now, "a.local", address);
    }
    let taken = world.nodes[0]
        .mesh
        .current_of(&name)
        .unwrap()
        .link
        .candidates;
    assert!(
        taken > 8 && taken <= limits::CANDIDATES_PER_CONNECTION,
        "{taken} candidates"
    );
}
