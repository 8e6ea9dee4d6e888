//! Healing: within two seconds after some path between two live processes works again, what was accepted
//! flows. Run on the real stack, whose transport and ICE decide how long it takes, and on the fake one.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::network::{self, Place, Weather};
use super::world::{MAX_MESSAGE_BYTES, World};
use crate::mesh::link::Linker;
use crate::mesh::link::webrtc::WebRtc;
use crate::nat::candidate::LocalCandidate;

/// From the moment when a path works again.
const HEALED: Duration = Duration::from_secs(2);
const CONNECTED: Duration = Duration::from_secs(15);
const SETTLED: Duration = Duration::from_secs(120);

fn real(seed: u64, names: &[&str]) -> World<WebRtc> {
    let make = |_| WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
    connected(World::of(seed, names, &[], Box::new(make)))
}

fn connected<K: Linker>(mut world: World<K>) -> World<K> {
    world.start_all();
    world.run_until_connected(CONNECTED);
    world.run_for(Duration::from_secs(5));
    world
}

/// `a` and `b` talk to each other.
fn talk<K: Linker>(world: &mut World<K>) {
    for (from, to) in [(0, "b"), (1, "a")] {
        world.send(from, to, 200, true);
    }
}

/// The same for a while.
fn talk_for<K: Linker>(world: &mut World<K>, time: Duration) {
    let until = world.now + time;
    while world.now < until {
        talk(world);
        world.run_for(Duration::from_millis(100));
    }
}

/// Waits until everything that was accepted has been delivered.
fn flows<K: Linker>(world: &mut World<K>, what: &str) {
    talk(world);
    let accepted = world.ledger.next_message() as u64;
    world.run_until(HEALED, what, |world| world.ledger.deliveries == accepted);
    assert_eq!(world.ledger.failed(), 0, "{what}");
}

/// The sidecar's addresses are others than before, and those before lead nowhere.
pub(super) fn move_away<K: Linker>(world: &mut World<K>, place: Place, index: usize, port: u16) {
    let lanes = (0..world.lane_count).map(|lane| {
        let address = network::address(place, lane, index, port);
        vec![LocalCandidate::Host { address }]
    });
    let lanes = lanes.collect();
    world.set_lanes(place, lanes);
}

fn heals_after_a_cut<K: Linker>(mut world: World<K>, has_registry: bool, cut: Duration) {
    if !has_registry {
        world.stop_registry(false);
    }
    talk_for(&mut world, Duration::from_secs(1));
    world.network.partition(0, 1);
    talk_for(&mut world, cut);
    world.network.heal(Weather::FAIR);
    flows(&mut world, &format!("after a cut of {cut:?}"));
    world.registry.is_up = true;
    world.settle(SETTLED);
}

const CUTS: [Duration; 7] = [
    Duration::from_millis(700),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(55),
];

#[test]
fn messages_flow_two_seconds_after_a_cut() {
    for (seed, cut) in CUTS.into_iter().enumerate() {
        heals_after_a_cut(real(seed as u64, &["a", "b"]), true, cut);
        heals_after_a_cut(connected(World::new(seed as u64, &["a", "b"])), true, cut);
    }
}

#[test]
fn messages_flow_two_seconds_after_a_cut_without_the_registry() {
    for (seed, cut) in CUTS.into_iter().enumerate() {
        heals_after_a_cut(real(seed as u64, &["a", "b"]), false, cut);
        heals_after_a_cut(connected(World::new(seed as u64, &["a", "b"])), false, cut);
    }
}

/// The movers lose the registry with their addresses, and reach it again soon after.
fn heals_after_a_move<K: Linker>(mut world: World<K>, movers: &[Place], away: Duration) {
    talk_for(&mut world, Duration::from_secs(1));
    for mover in movers {
        world.set_lanes(*mover, vec![Vec::new(); 3]);
        world.disconnect_from_registry(*mover);
    }
    talk_for(&mut world, away);
    for mover in movers {
        move_away(&mut world, *mover, 2, 6000);
    }
    flows(&mut world, &format!("after {movers:?} have moved"));
    world.settle(SETTLED);
}

#[test]
fn messages_flow_two_seconds_after_one_side_or_both_have_moved() {
    for (seed, away) in [0, 1, 10, 50].into_iter().enumerate() {
        for movers in [&[0][..], &[1], &[0, 1]] {
            let away = Duration::from_secs(away);
            heals_after_a_move(real(seed as u64, &["a", "b"]), movers, away);
            heals_after_a_move(
                connected(World::new(seed as u64, &["a", "b"])),
                movers,
                away,
            );
        }
    }
}

/// The pair of addresses that the connection of `a` and `b` uses is dead for good; others work.
fn lose_lane<K: Linker>(world: &mut World<K>) {
    let b = world.name(1).clone();
    let connection = world.nodes[0].mesh.current_of(&b).unwrap();
    let ours: Vec<_> = connection
        .local
        .iter()
        .map(LocalCandidate::source)
        .collect();
    let path = connection.path.unwrap();
    let theirs = world.nodes[1].lanes.clone().into_iter();
    let theirs = theirs.map(|lane| lane.iter().map(LocalCandidate::source).collect::<Vec<_>>());
    let theirs = theirs.filter(|lane| lane.contains(&path.remote)).flatten();
    for theirs in theirs {
        for ours in &ours {
            world.network.kill_pair(*ours, theirs);
        }
    }
}

fn heals_by_introduction<K: Linker>(mut world: World<K>, away: Duration) {
    world.stop_registry(false);
    talk_for(&mut world, Duration::from_secs(1));
    world.network.partition(0, 1);
    lose_lane(&mut world);
    talk_for(&mut world, away);
    world.network.unblock(0, 1);
    flows(&mut world, "a third sidecar introduces the two");
    world.registry.is_up = true;
    world.network.heal(Weather::FAIR);
    world.settle(SETTLED);
}

#[test]
fn without_the_registry_a_third_sidecar_introduces_two_that_have_lost_each_other() {
    for (seed, away) in [3, 10, 40].into_iter().enumerate() {
        let away = Duration::from_secs(away);
        heals_by_introduction(real(seed as u64, &["a", "b", "c"]), away);
        let names = &["a", "b", "c", "d", "e"];
        heals_by_introduction(connected(World::new(seed as u64, names)), away);
    }
}

#[test]
fn who_came_before_the_two_and_was_never_given_their_names_in_a_list_introduces_them_too() {
    let mut world = World::<FakeStack>::new(3, &["a", "b", "c"]);
    for place in [2, 0, 1] {
        world.start(place);
        world.run_for(Duration::from_secs(1));
    }
    world.run_until_connected(CONNECTED);
    heals_by_introduction(world, Duration::from_secs(3));
}

/// How long it takes until all is delivered that was said before, when `mover` has other addresses and finds
/// a relay soon after, while `speakers` say much.
fn gap_after_a_move(speakers: &[(Place, &str)], mover: Place, latency: Duration) -> Duration {
    let speak = |world: &mut World<WebRtc>, time: Duration| {
        let until = world.now + time;
        while world.now < until {
            for (from, to) in speakers {
                world.send(*from, to, 200, true);
            }
            world.run_for(Duration::from_millis(5));
        }
    };
    let mut world = real(1, &["a", "b", "c"]);
    world.network.weather.latency = latency;
    world.stop_registry(false);
    speak(&mut world, Duration::from_secs(3));
    move_away(&mut world, mover, 2, 6000);
    let began = world.now;
    world.nodes[mover].mesh.network_changed(began);
    world.after_input(mover);
    speak(&mut world, Duration::from_millis(60));
    let lanes = world.nodes[mover].lanes.clone().into_iter();
    let lanes = lanes.enumerate().map(|(lane, mut candidates)| {
        candidates.push(LocalCandidate::Relayed {
            address: network::address(mover, lane, 3, 6000),
            base: candidates[0].source(),
        });
        candidates
    });
    let lanes = lanes.collect();
    world.set_lanes(mover, lanes);
    let accepted = world.ledger.next_message() as u64;
    while world.ledger.deliveries < accepted {
        speak(&mut world, Duration::from_millis(5));
        assert!(world.now < began + HEALED, "not healed");
    }
    assert_eq!(world.ledger.failed(), 0);
    world.now - began
}

#[test]
fn a_peer_that_moves_is_followed_in_a_few_round_trips_whoever_speaks() {
    for speakers in [&[(0, "b"), (1, "a")][..], &[(0, "b")], &[(1, "a")]] {
        for mover in [0, 1] {
            for latency in [1, 20, 100].map(Duration::from_millis) {
                let gap = gap_after_a_move(speakers, mover, latency);
                // Lost messages are noticed at the latest when the relay is found.
                let limit = Duration::from_millis(70) + 8 * latency;
                assert!(
                    gap <= limit,
                    "{speakers:?}, {mover} moves, {latency:?}: {gap:?}"
                );
            }
        }
    }
}
