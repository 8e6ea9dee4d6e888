//! Two paths of which the one of the higher priority is the slower one.

use std::time::Duration;

use super::network::{self, Place, Weather};
use super::real_stack::world;
use super::world::World;
use crate::limits;
use crate::mesh::link::Path;
use crate::mesh::link::webrtc::WebRtc;
use crate::nat::candidate::LocalCandidate;

/// By then a faster path is taken.
const SOON: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_millis(200);

/// The addresses that are preferred, and the others.
const FIRST: usize = 1;
const SECOND: usize = 2;
/// The address of one that has no other.
const ONLY: usize = 3;

type RealWorld = World<WebRtc>;

/// `a` and `b`, which have these addresses, in the order of preference, connected by an offer of `offerer`.
fn connected(seed: u64, offerer: Place, addresses: [&[usize]; 2]) -> RealWorld {
    let mut world = world(seed, &["a", "b"], &[]);
    world.network.weather.latency = Duration::from_millis(3);
    for place in [1 - offerer, offerer] {
        world.start(place);
        let of_lane = |lane| {
            let host = |index: &usize| LocalCandidate::Host {
                address: network::address(place, lane, *index, 5000),
            };
            addresses[place].iter().map(host).collect()
        };
        let lanes = (0..world.lane_count).map(of_lane).collect();
        world.set_lanes(place, lanes);
        world.run_for(Duration::from_millis(100));
    }
    world
}

fn path(world: &RealWorld, place: Place) -> Option<Path> {
    world.nodes[place]
        .mesh
        .current_of(world.name(1 - place))?
        .path
}

/// Whether datagrams of both go by addresses of this index, where there is a choice.
fn both_go_by(world: &RealWorld, index: usize) -> bool {
    [0, 1].into_iter().all(|place| {
        path(world, place).is_some_and(|path| {
            let ends = [path.local, path.remote].map(network::index);
            ends.iter().all(|end| [index, ONLY].contains(end))
        })
    })
}

/// Lets time pass with messages under way; counts how often paths change meanwhile.
fn talk(world: &mut RealWorld, time: Duration) -> usize {
    let until = world.now + time;
    let paths = |world: &RealWorld| [0, 1].map(|place| path(world, place));
    let (mut before, mut changes) = (paths(world), 0);
    while world.now < until {
        for place in [0, 1] {
            world.broadcast(place, 1000, true);
        }
        world.run_for(STEP);
        let now = paths(world);
        let changed = before
            .iter()
            .zip(now)
            .filter(|(before, now)| *before != now);
        changes += changed.count();
        before = now;
    }
    changes
}

fn check_undisturbed(world: &mut RealWorld) {
    world.settle(SOON);
    assert_eq!(world.ledger.failed(), 0);
    for node in &world.nodes {
        let restarts = node.mesh.peers.values().map(|peer| peer.restarts);
        assert_eq!(restarts.sum::<u64>(), 0);
    }
}

#[test]
fn a_clearly_faster_path_is_taken_by_both_and_stays() {
    let both = [FIRST, SECOND];
    let machines = [[&both[..], &both[..]], [&both, &[ONLY]], [&[ONLY], &both]];
    for (seed, addresses) in machines.into_iter().enumerate() {
        for offerer in [0, 1] {
            for is_idle in [false, true] {
                let mut world = connected(seed as u64, offerer, addresses);
                world.network.slow = [(FIRST, Duration::from_millis(20))].into();
                world.run_until_connected(SOON);
                assert!(both_go_by(&world, FIRST));
                if is_idle {
                    world.run_for(SOON);
                } else {
                    assert!(talk(&mut world, SOON) <= 2);
                }
                let what = format!("{addresses:?}, offered by {offerer}, idle: {is_idle}");
                assert!(both_go_by(&world, SECOND), "{what}");
                assert_eq!(talk(&mut world, SOON), 0, "{what}");
                check_undisturbed(&mut world);
            }
        }
    }
}

#[test]
fn a_path_that_is_hardly_faster_is_not_taken() {
    // Not by half, or not by 5 ms.
    for (latency, further) in [(20, 15), (1, 2)] {
        let both: [&[usize]; 2] = [&[FIRST, SECOND]; 2];
        let mut world = connected(1, 0, both);
        world.network.weather.latency = Duration::from_millis(latency);
        world.network.slow = [(FIRST, Duration::from_millis(further) / 2)].into();
        world.run_until_connected(SOON);
        talk(&mut world, 3 * SOON);
        assert!(both_go_by(&world, FIRST));
        check_undisturbed(&mut world);
    }
}

#[test]
fn jitter_does_not_make_a_path_slow() {
    let mut world = connected(2, 0, [&[FIRST, SECOND]; 2]);
    world.network.weather = Weather {
        latency: Duration::from_millis(2),
        jitter: Duration::from_millis(60),
        ..Weather::FAIR
    };
    world.run_until_connected(SOON);
    talk(&mut world, 3 * SOON);
    assert!(both_go_by(&world, FIRST));
    check_undisturbed(&mut world);
}

/// The slow path was given up when the fast one was taken, and is taken again.
#[test]
fn the_slow_path_stands_in_while_the_fast_one_is_dead() {
    let mut world = connected(3, 0, [&[FIRST, SECOND]; 2]);
    world.network.slow = [(FIRST, Duration::from_millis(20))].into();
    world.run_until_connected(SOON);
    talk(&mut world, SOON);
    assert!(both_go_by(&world, SECOND));
    for place in [0, 1] {
        let fast = path(&world, place).unwrap();
        world.network.kill_address(fast.local);
    }
    talk(&mut world, SOON);
    assert!(both_go_by(&world, FIRST));
    world.network.heal(world.network.weather);
    check_undisturbed(&mut world);
}

/// The offerer has given all other paths up. It has nothing to say, and hears the checks of the other side.
#[test]
fn an_idle_offerer_leaves_a_dead_fast_path_when_the_other_side_does() {
    for seed in 6..9 {
        let mut world = connected(seed, 0, [&[FIRST, SECOND]; 2]);
        world.network.slow = [(FIRST, Duration::from_millis(20))].into();
        world.run_until_connected(SOON);
        talk(&mut world, SOON);
        assert!(both_go_by(&world, SECOND));
        world.run_for(4 * SOON);
        for place in [0, 1] {
            let fast = path(&world, place).unwrap();
            world.network.kill_address(fast.local);
        }
        let before = world.ledger.deliveries;
        world.broadcast(1, 1000, true);
        let took = world.run_until(SOON, "delivered", |world| world.ledger.deliveries > before);
        assert!(took < Duration::from_secs(2), "{took:?}, seed {seed}");
        let next = world.nodes[0].mesh.next_connection;
        world.network.heal(world.network.weather);
        world.run_for(4 * SOON);
        let carried = world.network.carried;
        world.run_for(SOON);
        let carried = world.network.carried - carried;
        assert!(carried < 60, "{carried} datagrams of an idle connection");
        assert_eq!(world.nodes[0].mesh.next_connection, next);
    }
}

#[test]
fn a_doubt_of_a_moment_does_not_bring_the_slow_path_back() {
    let mut world = connected(5, 0, [&[FIRST, SECOND]; 2]);
    world.network.slow = [(FIRST, Duration::from_millis(20))].into();
    world.run_until_connected(SOON);
    talk(&mut world, SOON);
    for _ in 0..2 * limits::PATH_MOVES.0 {
        world.network.partition(0, 1);
        // After longer ones the transport has as much under way as it may, and what is sent first is sent before the
        // fast path has answered.
        let mut changes = talk(&mut world, Duration::from_millis(600));
        world.network.heal(world.network.weather);
        changes += talk(&mut world, SOON);
        assert_eq!(changes, 0);
        assert!(both_go_by(&world, SECOND));
    }
    check_undisturbed(&mut world);
}

#[test]
fn paths_that_are_slow_in_turn_are_not_followed_without_end() {
    let mut world = connected(4, 0, [&[FIRST, SECOND]; 2]);
    world.run_until_connected(SOON);
    let mut changes = 0;
    for slow in [FIRST, SECOND].into_iter().cycle().take(16) {
        world.network.slow = [(slow, Duration::from_millis(20))].into();
        changes += talk(&mut world, SOON);
    }
    assert_eq!(changes, 2, "one of each side");
    check_undisturbed(&mut world);
}
