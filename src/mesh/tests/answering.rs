//! Every accepted message is answered, whoever bears the peer's name and whatever it says.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::hostile;
use super::registry::SameName;
use super::world::World;
use crate::mesh::connection::intervals::Intervals;
use crate::mesh::link::Channel;
use crate::protocol::ipc::Event;

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);
/// Until a name has passed from one process to another, and all is well again.
const HEALED: Duration = Duration::from_secs(100);

const WAYS: [SameName; 3] = [
    SameName::Displaces,
    SameName::LatestHears,
    SameName::AllHear,
];

/// `a`, `b`, and at place 2 another process under the name `a`, which is not started yet.
fn world(seed: u64, same_name: SameName) -> World<FakeStack> {
    let mut world = World::with_foreign(seed, &["a", "b", "a"], &[]);
    world.registry.same_name = same_name;
    world.start(0);
    world.start(1);
    world.run_until_connected(SOON);
    world
}

fn send_both_ways(world: &mut World<FakeStack>, count: usize) {
    for _ in 0..count {
        world.send(0, "b", 100, true);
        world.send(1, "a", 100, true);
        world.run_for(Duration::from_millis(5));
    }
}

#[test]
fn a_name_that_goes_to_another_process_and_comes_back_is_answered() {
    for (seed, same_name) in (0..12).flat_map(|seed| WAYS.map(|way| (seed, way))) {
        let mut world = world(seed, same_name);
        send_both_ways(&mut world, 5);
        if seed % 2 == 0 {
            world.agent_leaves(0);
        }
        world.start(2);
        for _ in 0..20 {
            send_both_ways(&mut world, 2);
            world.run_for(MOMENT);
        }
        world.stop(2, seed % 3 == 0);
        send_both_ways(&mut world, 5);
        if seed % 2 == 0 {
            world.agent_arrives(0);
        }
        world.settle(HEALED);
        let before = (world.ledger.deliveries, world.ledger.failed());
        send_both_ways(&mut world, 10);
        world.settle(SOON);
        let after = (world.ledger.deliveries, world.ledger.failed());
        assert_eq!(after, (before.0 + 20, before.1), "{seed} {same_name:?}");
    }
}

#[test]
fn what_waits_in_a_process_that_comes_back_is_not_taken_for_what_is_sent_to_it_then() {
    for (seed, same_name) in (20..26).flat_map(|seed| WAYS.map(|way| (seed, way))) {
        let mut world = world(seed, same_name);
        // So its hello will say that it has received nothing.
        world.agent_stalls(0);
        for _ in 0..5 {
            world.send(1, "a", 100, true);
        }
        world.run_for(MOMENT);
        world.start(2);
        world.run_for(SOON);
        world.send(1, "a", 100, true);
        world.run_for(MOMENT);
        world.stop(2, true);
        for _ in 0..5 {
            world.send(1, "a", 100, true);
        }
        world.run_for(HEALED);
        world.agent_resumes(0);
        world.settle(HEALED);
    }
}

#[test]
fn a_peer_that_lies_about_what_it_has_leaves_nothing_unanswered() {
    let mut contradictions = 0;
    for seed in 40..80 {
        let mut world = World::new(seed, &["a", "b"]);
        world.ledger.liars.insert(world.name(1).clone());
        world.start_all();
        world.nodes[1].mesh.linker.one_lie_in = 4;
        for round in 0..60 {
            // What it calls received is for nobody to check, and what it calls lost is.
            world.excuse(0, 1);
            send_both_ways(&mut world, 3);
            world.broadcast(0, 500, true);
            if round % 20 == 0 {
                world.replace_connection(round as usize / 20 % 2, 1 - round as usize / 20 % 2);
            }
            world.run_for(Duration::from_millis(500));
            world.check_answers();
        }
        world.nodes[1].mesh.linker.one_lie_in = 0;
        world.network.kill_connections();
        world.run_for(Intervals::NORMAL.silent);
        world.excuse(0, 1);
        world.settle(HEALED);
        let anew = |event: &Event| matches!(event, Event::PeerConnected { resumed: false, .. });
        contradictions += world.count(0, anew) - 1;
        let before = (world.ledger.deliveries, world.ledger.failed());
        send_both_ways(&mut world, 10);
        world.settle(SOON);
        let after = (world.ledger.deliveries, world.ledger.failed());
        assert_eq!(after, (before.0 + 20, before.1), "{seed}");
    }
    assert!(contradictions > 100, "{contradictions} lies were noticed");
}

#[test]
fn a_lie_on_a_new_connection_leaves_nothing_unanswered_when_its_teller_vanishes() {
    for seed in 100..130 {
        let mut world = World::connected(seed);
        world.ledger.liars.insert(world.name(1).clone());
        send_both_ways(&mut world, 10);
        world.settle(SOON);
        world.nodes[1].mesh.linker.one_lie_in = 1;
        world.replace_connection(seed as usize % 2, 1 - seed as usize % 2);
        for _ in 0..10 {
            world.excuse(0, 1);
            send_both_ways(&mut world, 2);
            world.run_for(Duration::from_millis(seed % 7));
        }
        world.stop(1, false);
        world.send(0, "b", 100, true);
        world.run_for(world.settings.recovery_timeout + 2 * Intervals::NORMAL.silent);
        assert!(
            world.nodes[0].mesh.agent_is_answered(),
            "{}",
            world.report()
        );
    }
}

#[test]
fn what_a_new_process_sends_arrives_though_its_first_connection_dies_at_any_datagram() {
    for fatal in 0..60 {
        let mut world = World::connected(200 + fatal);
        send_both_ways(&mut world, 5);
        world.settle(SOON);
        world.network.doom_newcomers(fatal);
        world.restart(1, false);
        // The other offers, so its hello comes first.
        world.replace_connection(0, 1);
        let connected = |event: &Event| matches!(event, Event::PeerConnected { .. });
        let until = world.now + SOON;
        while world.count(1, connected) == 0 && world.now < until {
            world.run_for(Duration::from_millis(1));
        }
        let is_told = world.count(1, connected) > 0;
        let first = world.ledger.next_message();
        for _ in 0..3 {
            world.send(1, "a", 100, true);
        }
        world.run_for(MOMENT);
        world.network.spare();
        world.settle(HEALED);
        for posted in world.ledger.messages.iter().skip(first).filter(|_| is_told) {
            for fate in posted.fates.values() {
                assert!(fate.delivered && fate.failed.is_none(), "{fatal}: {fate:?}");
            }
        }
    }
}

#[test]
fn a_queue_that_was_full_when_its_peer_contradicted_itself_holds_back_nobody() {
    let mut world = World::new(300, &["a", "b", "c"]);
    world.start_all();
    world.run_until_connected(SOON);
    world.agent_stalls(1);
    while world.nodes[0].mesh.wants_requests() {
        world.send(0, "b", 50_000, true);
        world.run_for(Duration::from_millis(5));
    }
    world.excuse(0, 1);
    hostile::write(&mut world, Channel::Control, br#"{"ack":999,"window":0}"#);
    assert!(world.nodes[0].mesh.wants_requests());
    world.send(0, "c", 100, true);
    world.run_for(MOMENT);
    world.agent_resumes(1);
    world.settle(HEALED);
}
