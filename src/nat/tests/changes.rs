//! Tests of what happens at once when the network has changed, or the machine has slept.

use std::net::SocketAddr;
use std::time::Duration;

use super::relays::{A, CHECK, DATA, SECOND, peer, round_trip, world};
use super::world::{World, socket};
use crate::limits;
use crate::nat::candidate::LocalCandidate;
use crate::nat::reach::TransportPolicy;

const ALLOCATE: u16 = 3;
const REFRESH: u16 = 4;

/// A world in which a server has relayed for us for a while.
fn settled() -> (World, SocketAddr, SocketAddr) {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "user")]);
    world.run(10 * SECOND);
    let relayed = world.candidate().unwrap();
    (world, server, relayed)
}

#[test]
fn an_allocation_that_still_lives_is_kept() {
    for nonce_life in [None, Some(5 * SECOND)] {
        let (mut world, server, relayed) = settled();
        world.server(server).mood.nonce_life = nonce_life;
        world.run(400 * SECOND);
        let sent = world.sent[&server];
        world.network_changed();
        world.run(SECOND);
        assert!(world.server(server).served(REFRESH) > 0, "it was proved");
        assert!(world.sent[&server] <= sent + 3);
        assert_eq!(world.candidates(), [relayed]);
        assert_eq!(world.silences, 0);
        round_trip(&mut world, relayed, DATA);
        assert_eq!(world.server(server).served(ALLOCATE), 1);
    }
}

#[test]
fn an_allocation_that_the_server_has_forgotten_is_replaced_at_once() {
    let (mut world, server, relayed) = settled();
    world.server(server).restart();
    world.network_changed();
    let is_new = |world: &World| world.candidate().is_some_and(|found| found != relayed);
    let took = world.until(SECOND, is_new);
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert!(!world.candidates().contains(&relayed));
}

#[test]
fn a_server_that_is_silent_after_a_change_is_left_within_two_seconds() {
    let (mut world, server, relayed) = settled();
    let second = world.add_server("192.0.2.2:3478", "right");
    world.use_servers(&[], &[(A, "user"), ("turn:192.0.2.2", "user")]);
    world.server(server).mood.is_silent = true;
    world.network_changed();
    let is_second = |world: &World| world.candidate().is_some_and(|c| c.ip() == second.ip());
    let took = world.until(3 * SECOND, is_second);
    assert!(took < Duration::from_millis(1500), "{took:?}");
    let lost = world.until(3 * SECOND, |world| !world.candidates().contains(&relayed));
    assert!(took + lost <= Duration::from_millis(2100), "{lost:?}");
    assert_eq!(world.silences, 1);
}

#[test]
fn an_allocation_that_is_lost_by_a_change_is_looked_for_without_patience() {
    let (mut world, server, _) = settled();
    // Its predecessors did not last either.
    for _ in 0..4 {
        world.server(server).restart();
        world.we_send(world.candidate().unwrap(), peer(), CHECK);
        world.until(60 * SECOND, |world| world.candidate().is_none());
        world.until(60 * SECOND, |world| world.candidate().is_some());
    }
    world.server(server).restart();
    let before = world.candidate();
    world.network_changed();
    let is_new = |world: &World| world.candidate().is_some() && world.candidate() != before;
    let took = world.until(SECOND, is_new);
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn relays_that_did_not_work_are_tried_at_once() {
    let (mut world, server) = world();
    world.server(server).mood.is_silent = true;
    world.listening.clear();
    world.use_servers(&[], &[(A, "user")]);
    world.run(600 * SECOND);
    world.server(server).mood.is_silent = false;
    world.network_changed();
    let took = world.until(SECOND, |world| world.candidate().is_some());
    assert!(took < Duration::from_millis(150), "{took:?}");
}

#[test]
fn a_better_way_is_tried_after_a_change_and_the_present_one_is_kept_meanwhile() {
    let (mut world, server) = world();
    world.server(server).mood.drops_datagrams = true;
    world.use_servers(&[], &[(A, "user")]);
    world.run(20 * SECOND);
    let worse = world.candidate().unwrap();
    world.network_changed();
    world.run(20 * SECOND);
    assert_eq!(world.candidates(), [worse], "UDP does not work yet");
    assert_eq!(world.opened.len(), 1, "the way in use is not tried again");
    world.server(server).mood.drops_datagrams = false;
    world.network_changed();
    let took = world.until(SECOND, |world| world.candidate() != Some(worse));
    assert!(took < Duration::from_millis(150), "{took:?}");
    assert_eq!(world.candidates().len(), 1);
}

/// A server that is asked on a stream only.
const ON_STREAM: &str = "turn:192.0.2.1?transport=tcp";

#[test]
fn a_change_while_nothing_relays_opens_one_stream_for_each_way() {
    let (mut world, _) = world();
    world.listening.clear();
    world.use_servers(&[], &[(ON_STREAM, "user")]);
    world.run(60 * SECOND);
    assert_eq!(world.candidate(), None);
    world.opened.clear();
    world.closed.clear();
    world.network_changed();
    assert_eq!((world.opened.len(), world.closed.len()), (1, 0));
    // One that is being opened may hang on a way that is no more.
    world.network_changed();
    assert_eq!((world.opened.len(), world.closed.len()), (2, 1));
}

#[test]
fn a_doubt_about_the_best_way_delays_no_look_for_another_server() {
    let (mut world, first) = world();
    let second = world.add_server("192.0.2.2:3478", "right");
    let other = "turn:192.0.2.2?transport=tcp";
    world.use_servers(&[], &[(ON_STREAM, "user"), (other, "user")]);
    world.run(10 * SECOND);
    assert_eq!(world.candidate().map(|c| c.ip()), Some(first.ip()));
    world.opened.clear();
    world.server(first).mood.is_silent = true;
    world.in_doubt();
    assert_eq!(world.opened, [], "the way in use is the best");
    let is_second = |world: &World| world.candidate().is_some_and(|c| c.ip() == second.ip());
    let took = world.until(3 * SECOND, is_second);
    assert!(took < Duration::from_millis(1300), "{took:?}");
}

#[test]
fn a_doubt_about_a_stream_has_the_better_ways_tried() {
    let (mut world, server) = world();
    world.server(server).mood.drops_datagrams = true;
    world.use_servers(&[], &[(A, "user")]);
    world.run(20 * SECOND);
    let worse = world.candidate().unwrap();
    world.server(server).mood.drops_datagrams = false;
    world.run(limits::TURN_REFUSED_WAIT / 2);
    assert_eq!(world.candidate(), Some(worse));
    world.in_doubt();
    let took = world.until(SECOND, |world| world.candidate() != Some(worse));
    assert!(took < Duration::from_millis(150), "{took:?}");
}

#[test]
fn each_silence_of_a_server_is_told_once() {
    let (mut world, server, relayed) = settled();
    for silences in 1..4 {
        world.server(server).mood.is_silent = true;
        world.we_send(relayed, peer(), CHECK);
        world.run(limits::TURN_UNANSWERED + limits::STUN_FIRST_WAIT + SECOND / 10);
        assert_eq!(world.silences, silences);
        world.server(server).mood.is_silent = false;
        world.run(7 * SECOND);
        assert_eq!(
            (world.silences, world.candidate()),
            (silences, Some(relayed))
        );
    }
}

#[test]
fn a_login_that_is_no_longer_taken_is_told() {
    let (mut world, server, relayed) = settled();
    world.server(server).mood.bars = Some("user".to_owned());
    world.network_changed();
    world.run(SECOND);
    assert!(!world.refused.is_empty());
    assert_eq!(world.candidates(), [relayed], "it lives on for a while");
}

/// Returns what the first lane's socket looks like from outside.
fn mapped(world: &World) -> Vec<SocketAddr> {
    let lane = world.reach.lanes().into_iter().next().unwrap();
    let reflexive = lane.into_iter().filter_map(|found| match found {
        LocalCandidate::ServerReflexive { address, .. } => Some(address),
        LocalCandidate::Host { .. } | LocalCandidate::Relayed { .. } => None,
    });
    reflexive.collect()
}

fn outer(host: u8) -> SocketAddr {
    ([198, 51, 100, host], 7000).into()
}

#[test]
fn a_new_outer_address_replaces_the_old_one_at_once() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    world.add_server("192.0.2.1:3478", "");
    world.mappings.insert(socket(1), outer(1));
    world.use_servers(&["stun:192.0.2.1"], &[]);
    world.run(SECOND);
    assert_eq!(mapped(&world), [outer(1)]);
    world.mappings.insert(socket(1), outer(2));
    world.network_changed();
    assert_eq!(mapped(&world), [outer(1)], "until it is known better");
    assert_eq!(world.moves, 0);
    world.run(Duration::from_millis(25));
    assert_eq!(mapped(&world), [outer(2)]);
    assert!(world.moves > 0, "the event loop is not told");
}

#[test]
fn each_new_outer_address_gets_another_allocation_at_once() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    let server = world.add_server("192.0.2.1:3478", "right");
    world.use_servers(&["stun:192.0.2.1"], &[("turn:192.0.2.1", "user")]);
    world.until(SECOND, |world| world.candidate().is_some());
    for host in 1..=5 {
        for lane in [1, 2, 3] {
            let outer = SocketAddr::new(outer(host).ip(), 7000 + lane);
            world.mappings.insert(socket(lane), outer);
        }
        // It knows us by our address.
        world.server(server).restart();
        let former = world.candidate();
        world.in_doubt();
        let has_other = |world: &World| world.candidate().is_some() && world.candidate() != former;
        let wait = world.until(60 * SECOND, has_other);
        assert!(wait < SECOND, "{wait:?} at address {host}");
        world.run(SECOND);
    }
}

#[test]
fn stun_servers_that_wait_are_asked_at_once() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    let first = world.add_server("192.0.2.1:3478", "");
    let second = world.add_server("192.0.2.2:3478", "");
    world.mappings.insert(socket(1), outer(1));
    world.server(second).mood.is_silent = true;
    world.use_servers(&["stun:192.0.2.1", "stun:192.0.2.2"], &[]);
    world.run(100 * SECOND);
    // On the new network it is the other way round.
    world.server(first).mood.is_silent = true;
    world.server(second).mood.is_silent = false;
    world.mappings.insert(socket(1), outer(2));
    world.network_changed();
    world.run(Duration::from_millis(60));
    assert!(mapped(&world).contains(&outer(2)), "{:?}", mapped(&world));
    world.run(20 * SECOND);
    assert_eq!(mapped(&world), [outer(2)]);
}

#[test]
fn a_change_is_no_burst_though_there_are_many_servers() {
    let mut world = World::new(TransportPolicy::All).with_lanes(12);
    let urls: Vec<_> = (1..=8).map(|n| format!("stun:192.0.2.{n}")).collect();
    for number in 1..=8 {
        world.add_server(&format!("192.0.2.{number}:3478"), "");
    }
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    world.use_servers(&urls, &[]);
    world.run(100 * SECOND);
    let count = |world: &World| world.sent.values().sum::<usize>();
    let before = count(&world);
    world.network_changed();
    world.run(Duration::from_millis(1));
    assert_eq!(count(&world) - before, 12);
}
