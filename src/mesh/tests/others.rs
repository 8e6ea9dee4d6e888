//! Sidecars of another make, in both roles.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::network::Weather;
use super::world::World;
use crate::limits;
use crate::mesh::connection::Role;
use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorCode, Event, Receipt, Success};
use crate::protocol::signaling::{Extension, Incoming, Signal};

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);

/// One of ours and one of another make, whichever name is the smaller.
fn pairs() -> impl Iterator<Item = World<FakeStack>> {
    [("a", "z"), ("z", "a")]
        .into_iter()
        .map(|(own, other)| World::with_foreign(50, &[own], &[other]))
}

/// Sends each way what a line that is not known yet has room for.
fn exchange(world: &mut World<FakeStack>) {
    let (own, other) = (world.name(0).clone(), world.name(1).clone());
    for _ in 0..20 {
        world.send(0, other.as_str(), 1500, true);
        world.foreign_sends(1, &own, 1500);
    }
}

#[test]
fn either_may_offer_and_messages_go_both_ways() {
    for newcomer in [0, 1] {
        for mut world in pairs() {
            world.start(1 - newcomer);
            world.run_for(MOMENT);
            world.start(newcomer);
            world.run_until_connected(SOON);
            let own = world.nodes[0].mesh.current_of(world.name(1)).unwrap();
            let offers = [Role::Offerer, Role::Answerer];
            assert_eq!(own.role, offers[newcomer], "the newcomer offers");
            exchange(&mut world);
            world.settle(SOON);
            assert_eq!(world.ledger.deliveries, 40);
        }
    }
}

#[test]
fn crossing_offers_leave_one_connection() {
    for mut world in pairs() {
        world.start_all();
        world.run_until_connected(SOON);
        exchange(&mut world);
        world.settle(SOON);
        assert_eq!(world.ledger.deliveries, 40);
    }
}

#[test]
fn one_that_asks_an_unreachable_stun_server_before_it_answers_is_waited_for() {
    // Stacks that do not trickle give up on the server after 5 s, aiortc and werift for instance.
    const GATHERING: Duration = Duration::from_millis(5500);
    for mut world in pairs() {
        world.foreign_at(1).gathers_for = GATHERING;
        world.start(1);
        world.run_for(MOMENT);
        world.start(0);
        world.run_until_connected(GATHERING + MOMENT);
        exchange(&mut world);
        world.settle(SOON);
        assert_eq!(world.ledger.deliveries, 40);
    }
}

#[test]
fn one_that_was_away_and_answers_every_offer_since_is_connected_at_once() {
    const AWAY: Duration = Duration::from_secs(3600);
    for offers in 2..5 {
        let mut world = World::with_foreign(57, &["a"], &["b"]);
        world.foreign_at(1).gathers_for = AWAY;
        world.start(1);
        world.run_for(MOMENT);
        world.start(0);
        world.run_until(AWAY, "offered", |world| {
            world.nodes[0].mesh.next_connection == offers
        });
        world.run_for(MOMENT);
        let now = world.now;
        world.foreign_at(1).returns(now);
        world.run_until_connected(MOMENT);
        exchange(&mut world);
        world.settle(SOON);
        assert_eq!(world.ledger.deliveries, 40, "after {offers} offers");
    }
}

#[test]
fn candidates_that_come_while_it_is_connected_wait_for_an_offer_before_the_connection_takes_them() {
    let candidate = || Incoming::Relay {
        sender: PeerId::new("b").unwrap(),
        target: None,
        signal: Signal::Candidate {
            candidate: "candidate:1 1 udp 1 10.1.0.9 9 typ host".to_owned(),
        },
        extension: Extension::default(),
    };
    let taken = |world: &World<FakeStack>| {
        let links = world.nodes[0].mesh.connections.iter();
        let links = links.map(|(id, connection)| (*id, connection.link.candidates));
        links.collect::<Vec<_>>()
    };
    for offers in [false, true] {
        let mut world = World::with_foreign(58, &["a"], &["b"]);
        world.start_all();
        world.run_until_connected(SOON);
        let before = taken(&world);
        let [(id, count)] = before[..] else {
            panic!("one connection: {before:?}")
        };
        let now = world.now;
        world.nodes[0].mesh.handle_frame(now, candidate());
        world.run_for(limits::LATE_CANDIDATE_WAIT / 2);
        assert_eq!(taken(&world), before);
        if offers {
            // It was started anew.
            let own = world.name(0).clone();
            world.foreign_offers(1, &own);
            world.run_until_connected(SOON);
            let after = taken(&world);
            let of_new = after.iter().find(|(found, _)| *found != id);
            assert_eq!(of_new.map(|(_, count)| *count), Some(2), "{after:?}");
        }
        world.run_for(limits::LATE_CANDIDATE_WAIT);
        let after = taken(&world);
        let of_old = after.iter().find(|(found, _)| *found == id);
        let expected = (!offers).then_some(count + 1);
        assert_eq!(of_old.map(|(_, count)| *count), expected, "{after:?}");
    }
}

#[test]
fn receipts_are_the_transport_s() {
    let mut world = World::with_foreign(51, &["a"], &["b"]);
    world.network.weather = Weather::FOUL;
    world.start_all();
    world.run_until_connected(Duration::from_secs(10));
    exchange(&mut world);
    world.settle(Duration::from_secs(30));
    let receipts = world.count(0, |event| {
        matches!(
            event,
            Event::Ok {
                payload: Success::Sent {
                    receipt: Receipt::Transport,
                    ..
                },
                ..
            }
        )
    });
    assert_eq!(receipts, 20);
}

#[test]
fn what_was_written_when_the_other_vanishes_is_reported_lost() {
    let mut world = World::with_foreign(52, &["a"], &["b"]);
    world.start_all();
    world.run_until_connected(SOON);
    world.network.partition(0, 1);
    // Few enough to be written at once.
    for _ in 0..20 {
        world.send(0, "b", 1000, true);
    }
    world.run_for(MOMENT);
    world.disconnect_from_registry(1);
    world.run_for(SOON);
    world.network.heal(Weather::FAIR);
    world.settle(SOON * 2);
    assert_eq!(world.ledger.failures_of(ErrorCode::ConnectionLost), 20);
    exchange(&mut world);
    world.settle(SOON);
}

#[test]
fn an_agent_that_stops_reading_slows_the_other_and_nothing_is_lost() {
    let mut world = World::with_foreign(53, &["a"], &["b"]);
    world.settings.queue_bytes = 128 * 1024;
    world.start_all();
    world.run_until_connected(SOON);
    let own = world.name(0).clone();
    world.agent_stalls(0);
    for _ in 0..800 {
        world.foreign_sends(1, &own, 1500);
    }
    world.run_for(Duration::from_secs(15));
    assert!(
        world.are_connected(0, 1),
        "held datagrams are a sign of life"
    );
    let inbox = world.nodes[0].mesh.agent.message_bytes();
    assert!(
        inbox < 800_000,
        "{inbox} bytes for an agent that does not read"
    );
    world.agent_resumes(0);
    world.settle(Duration::from_secs(60));
    assert_eq!(world.ledger.deliveries, 800);
}

#[test]
fn an_own_agent_blocked_both_ways_is_freed_by_the_stall_limit() {
    let mut world = World::with_foreign(54, &["a"], &["b"]);
    world.settings.queue_bytes = 64 * 1024;
    world.start_all();
    world.run_until_connected(SOON);
    let own = world.name(0).clone();
    world.agent_stalls(0);
    for _ in 0..100 {
        world.foreign_sends(1, &own, 5000);
        world.send(0, "b", 5000, true);
    }
    world.run_for(world.settings.send_stall * 2);
    assert_eq!(world.nodes[0].agent.waiting_requests(), 0);
    world.agent_resumes(0);
    world.settle(Duration::from_secs(60));
}

#[test]
fn a_silent_connection_is_offered_anew_and_a_working_one_is_left_alone() {
    let mut world = World::with_foreign(55, &["a"], &["b"]);
    world.start_all();
    world.run_until_connected(SOON);
    let made = world.nodes[0].mesh.next_connection;
    world.network.kill_connections();
    world.run_for(Duration::from_secs(10));
    assert!(world.are_connected(0, 1));
    assert_eq!(world.nodes[0].mesh.next_connection, made + 1);
    // Suspect, but back before the registry has told who is there.
    exchange(&mut world);
    world.run_for(SOON / 2);
    world.registry.latency = Duration::from_millis(1200);
    world.network.partition(0, 1);
    world.run_for(Duration::from_millis(3800));
    world.network.heal(Weather::FAIR);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.nodes[0].mesh.next_connection, made + 1);
    exchange(&mut world);
    world.settle(SOON);
    assert_eq!(world.ledger.failed(), 0);
}

#[test]
fn one_that_may_have_given_up_a_connection_in_a_silence_is_offered_another() {
    for mut world in pairs() {
        world.start_all();
        world.run_until_connected(SOON);
        let made = world.nodes[0].mesh.next_connection;
        world.registry.is_up = false;
        world.disconnect_from_registry(0);
        world.network.partition(0, 1);
        world.run_for(Duration::from_secs(8));
        world.network.heal(Weather::FAIR);
        world.run_for(SOON);
        assert!(world.are_connected(0, 1), "heard of again");
        assert_eq!(world.nodes[0].mesh.next_connection, made);
        world.registry.is_up = true;
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.nodes[0].mesh.next_connection, made + 1);
        exchange(&mut world);
        world.settle(SOON);
        assert_eq!(world.ledger.failed(), 0);
    }
}

#[test]
fn one_that_ends_each_connection_at_once_is_offered_ever_more_rarely() {
    let mut world = World::with_foreign(56, &["a"], &["b"]);
    world.foreign_at(1).hangs_up = true;
    world.start_all();
    world.run_for(Duration::from_secs(120));
    let made = world.nodes[0].mesh.next_connection;
    assert!((5..20).contains(&made), "{made} connections");
    world.foreign_at(1).hangs_up = false;
    world.run_until_connected(Duration::from_secs(25));
    exchange(&mut world);
    world.settle(SOON);
}
