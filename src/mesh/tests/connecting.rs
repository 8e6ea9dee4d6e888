//! How sidecars get connected.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::fake_link;
use super::network::Weather;
use super::registry::Relayed;
use super::world::World;
use crate::mesh::MeshMode;
use crate::mesh::connection::Role;
use crate::mesh::link::description::candidate_address;
use crate::protocol::PeerId;
use crate::protocol::ipc::Event;
use crate::protocol::signaling::Signal;

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn two_connect_exchange_messages_and_get_receipts() {
    let mut world = World::connected(1);
    for _ in 0..100 {
        world.send(0, "b", 100, true);
        world.send(1, "a", 5000, true);
        world.send(1, "a", 100, false);
    }
    world.settle(SOON);
    assert_eq!(world.ledger.deliveries, 300);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn what_was_sent_before_there_is_a_connection_goes_when_there_is() {
    for mode in [MeshMode::Full, MeshMode::Lazy] {
        let mut world = World::new(1, &["a", "b"]);
        world.settings.mode = mode;
        world.start_all();
        world.send(0, "b", 100, true);
        world.connect(0, "b");
        world.settle(SOON);
        assert_eq!(world.ledger.deliveries, 1);
    }
}

#[test]
fn a_full_mesh_of_five_connects_on_a_bad_line() {
    let mut world = World::new(2, &["a", "b", "c", "d", "e"]);
    world.network.weather = Weather::FOUL;
    world.start_all();
    world.run_until_connected(Duration::from_secs(20));
    for from in 0..5 {
        world.broadcast(from, 3000, true);
        world.broadcast(from, 100, false);
    }
    world.settle(Duration::from_secs(30));
    assert_eq!(world.ledger.deliveries, 40);
}

#[test]
fn lazy_sidecars_connect_when_there_is_something_to_say() {
    let mut world = World::new(3, &["a", "b", "c"]);
    world.settings.mode = MeshMode::Lazy;
    world.start_all();
    world.run_for(Duration::from_secs(70));
    assert_eq!(world.network.carried, 0);
    world.send(0, "b", 100, true);
    world.run_until(MOMENT, "delivered", |world| world.ledger.deliveries == 1);
    assert!(world.are_connected(0, 1));
    assert!(!world.nodes[2].mesh.peers.contains_key(world.name(0)));
}

#[test]
fn the_newcomer_offers() {
    let mut world = World::new(4, &["a", "b"]);
    world.start(0);
    world.run_for(MOMENT);
    world.start(1);
    world.run_until_connected(MOMENT);
    let newcomer = world.nodes[1].mesh.current_of(world.name(0)).unwrap();
    assert_eq!(newcomer.role, Role::Offerer);
    assert_eq!(
        world.nodes[0].mesh.next_connection, 1,
        "nobody else offered"
    );
}

/// Takes the candidates out of a description, to be sent apart.
fn trickled(relayed: Relayed) -> (Relayed, Vec<Relayed>) {
    let (Signal::Offer { sdp } | Signal::Answer { sdp }) = &relayed.signal else {
        panic!("the core sends descriptions only")
    };
    let is_candidate = |line: &&str| line.starts_with("a=candidate:");
    let candidates = sdp.lines().filter(is_candidate).map(|line| Relayed {
        signal: Signal::Candidate {
            candidate: line.trim_start_matches("a=").to_owned(),
        },
        ..relayed.clone()
    });
    let candidates = candidates.collect();
    let rest: Vec<_> = sdp.lines().filter(|line| !is_candidate(line)).collect();
    let sdp = rest.join("\r\n") + "\r\n";
    let signal = match &relayed.signal {
        Signal::Offer { .. } => Signal::Offer { sdp },
        _ => Signal::Answer { sdp },
    };
    (Relayed { signal, ..relayed }, candidates)
}

#[test]
fn candidates_may_come_before_with_and_after_their_description() {
    let waits = [0, 20, 100];
    for of_offer in waits {
        for of_answer in waits {
            for of_candidates in waits {
                let mut world = World::new(5, &["a", "b"]);
                world.registry.in_order = false;
                world.registry.script = Box::new(move |relayed| {
                    let is_offer = matches!(relayed.signal, Signal::Offer { .. });
                    let (description, candidates) = trickled(relayed);
                    let wait = if is_offer { of_offer } else { of_answer };
                    let candidates = candidates
                        .into_iter()
                        .map(|candidate| (milliseconds(of_candidates), candidate));
                    candidates
                        .chain([(milliseconds(wait), description)])
                        .collect()
                });
                world.start(0);
                world.run_for(MOMENT);
                world.start(1);
                world.run_until_connected(Duration::from_millis(600));
                assert_eq!(world.nodes[0].mesh.next_connection, 1);
            }
        }
    }
}

#[test]
fn one_sided_candidates_are_enough() {
    for silent in [0, 1] {
        let mut world = World::new(6, &["a", "b"]);
        world.registry.script = Box::new(move |relayed| {
            if relayed.from != silent {
                return vec![(Duration::ZERO, relayed)];
            }
            let (description, _) = trickled(relayed);
            let useless = [
                "",
                "candidate:1 1 udp 2130706431 0e7a.local 5000 typ host",
                "candidate:1 1 tcp 1518280447 10.0.0.1 9 typ host tcptype active",
                "nonsense",
            ];
            let useless = useless.map(|candidate| Relayed {
                signal: Signal::Candidate {
                    candidate: candidate.to_owned(),
                },
                ..description.clone()
            });
            let frames = useless.into_iter().chain([description]);
            frames.map(|frame| (Duration::ZERO, frame)).collect()
        });
        world.start_all();
        world.run_until_connected(MOMENT);
    }
}

#[test]
fn of_two_crossing_offers_the_smaller_name_s_survives_in_any_order_of_arrival() {
    for wait in [[0, 0], [0, 30], [30, 0], [200, 0], [0, 200]] {
        let mut world = World::new(7, &["a", "b"]);
        world.registry.script = Box::new(move |relayed| {
            let wait = match relayed.signal {
                Signal::Offer { .. } => wait[relayed.from],
                _ => 0,
            };
            vec![(milliseconds(wait), relayed)]
        });
        world.start_all();
        world.run_until_connected(MOMENT + MOMENT);
        let role = |own: usize, other: usize| {
            let mesh = &world.nodes[own].mesh;
            mesh.current_of(world.name(other)).unwrap().role
        };
        assert_eq!(role(0, 1), Role::Offerer, "{wait:?}");
        world.send(0, "b", 100, true);
        world.settle(SOON);
    }
}

#[test]
fn when_one_of_two_crossing_offers_is_lost_the_other_is_answered() {
    for lost in [0, 1] {
        let mut world = World::new(8, &["a", "b"]);
        let mut is_first = true;
        world.registry.script = Box::new(move |relayed| {
            let is_offer = matches!(relayed.signal, Signal::Offer { .. });
            if is_offer && relayed.from == lost && std::mem::take(&mut is_first) {
                return Vec::new();
            }
            vec![(Duration::ZERO, relayed)]
        });
        world.start_all();
        world.run_until_connected(SOON);
        world.settle(SOON);
    }
}

#[test]
fn crossing_hellos_leave_one_connection() {
    let mut world = World::connected(9);
    for _ in 0..20 {
        for (own, other) in [(0, 1), (1, 0)] {
            // Each side's offer is answered before the other side's arrives.
            world.replace_connection(own, other);
            let pause = Duration::from_micros(world.random.u64(..3000));
            world.run_for(pause);
            world.send(own, ["a", "b"][other], 1000, true);
        }
        world.run_for(Duration::from_millis(20));
    }
    world.settle(SOON);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn a_registry_that_restarts_and_forgets_everybody_disturbs_no_connection() {
    let mut world = World::new(10, &["a", "b", "c"]);
    world.start_all();
    world.run_until_connected(MOMENT);
    let connections: Vec<_> = world
        .nodes
        .iter()
        .map(|node| node.mesh.next_connection)
        .collect();
    for round in 0..20 {
        if round == 5 {
            world.stop_registry(true);
        }
        for from in 0..3 {
            world.broadcast(from, 1000, true);
        }
        world.run_for(milliseconds(100));
    }
    world.settle(SOON);
    for (node, before) in world.nodes.iter().zip(connections) {
        assert_eq!(node.mesh.next_connection, before, "a new connection");
    }
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn twenty_that_start_at_once_before_their_registry_all_find_each_other() {
    let names: Vec<_> = (0..20).map(|number| format!("peer{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = World::new(11, &names);
    world.registry.is_up = false;
    world.start_all();
    world.run_for(SOON);
    world.registry.is_up = true;
    let took = world.run_until_connected(SOON);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_peer_that_vanishes_and_returns_at_once_is_connected_at_once() {
    for is_polite in [true, false] {
        let mut world = World::connected(12);
        world.run_for(SOON);
        world.restart(1, is_polite);
        world.send(0, "b", 100, true);
        world.run_for(MOMENT);
        assert!(world.are_connected(0, 1));
        let states = world.count(0, |event| {
            matches!(
                event,
                Event::PeerConnected { resumed: false, .. } | Event::PeerDisconnected { .. }
            )
        });
        assert_eq!(states, 3, "connected, disconnected, connected");
        world.settle(SOON);
    }
}

#[test]
fn a_candidate_names_the_address_that_it_was_made_of() {
    let address = "10.1.2.3:4000".parse().unwrap();
    let line = fake_link::candidate(address);
    assert_eq!(candidate_address(&line), Some((address, "host")));
}

#[test]
fn the_registry_is_asked_again_now_and_then_for_those_who_do_not_offer() {
    let mut world = World::with_foreign(13, &["a"], &["f"]);
    world.start(0);
    world.run_for(MOMENT);
    // It is online and neither offers nor answers the first offer.
    let own = PeerId::new("a").unwrap();
    world.start(1);
    world.foreign_offers(1, &own);
    world.network.partition(0, 1);
    world.run_for(Duration::from_secs(60));
    world.network.heal(Weather::FAIR);
    world.run_until_connected(Duration::from_secs(70));
}

#[test]
fn sidecars_so_busy_that_each_answer_comes_late_connect_all_the_same() {
    let names = ["a", "b", "c", "d"];
    let mut world = World::new(14, &names);
    world.registry.script = Box::new(|relayed| {
        let wait = match relayed.signal {
            Signal::Answer { .. } => milliseconds(8000),
            _ => Duration::ZERO,
        };
        vec![(wait, relayed)]
    });
    world.start_all();
    world.run_until_connected(Duration::from_secs(60));
    world.broadcast(0, 100, true);
    world.settle(SOON);
}

#[test]
fn all_peers_are_told_the_same_session_and_those_that_were_forgotten_too() {
    let told: Rc<RefCell<Vec<_>>> = Rc::default();
    let notes = Rc::clone(&told);
    let mut world = World::new(15, &["a", "b", "c"]);
    world.settings.mode = MeshMode::Lazy;
    // Nobody is let through to be answered.
    world.registry.script = Box::new(move |relayed| {
        notes.borrow_mut().push(relayed.extension.session);
        Vec::new()
    });
    world.start_all();
    world.run_for(MOMENT);
    for target in ["b", "c", "b"] {
        world.connect(0, target);
        world.run_for(world.settings.connect_timeout + SOON);
        world.run_until(SOON * 30, "forgotten", |world| {
            world.nodes[0].mesh.peers.is_empty()
        });
    }
    let told = told.borrow();
    assert!(told.len() >= 3 && told[0].is_some());
    assert!(told.iter().all(|session| *session == told[0]), "{told:?}");
}
