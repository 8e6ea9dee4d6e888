use std::net::SocketAddr;
use std::time::Duration;

use super::world::{World, socket};
use crate::limits;
use crate::nat::reach::TransportPolicy;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const CHECK: &[u8] = &[0, 1, 0, 0, 1, 2, 3, 4, 5];
pub(super) const DATA: &[u8] = &[23, 254, 253, 1, 2];
pub(super) const A: &str = "turn:192.0.2.1";
const B: &str = "turn:192.0.2.2";

pub(super) fn world() -> (World, SocketAddr) {
    let mut world = World::new(TransportPolicy::Relay).with_sockets();
    let server = world.add_server("192.0.2.1:3478", "right");
    (world, server)
}

pub(super) fn peer() -> SocketAddr {
    "203.0.113.1:4000".parse().unwrap()
}

/// Sends and receives one packet through the relay.
pub(super) fn round_trip(world: &mut World, relayed: SocketAddr, packet: &[u8]) {
    world.at_peers.clear();
    world.relayed.clear();
    world.we_send(relayed, peer(), packet);
    world.run(SECOND);
    assert_eq!(world.at_peers, [(relayed, peer(), packet.to_vec())]);
    world.peer_sends(peer(), relayed, packet);
    world.run(SECOND);
    assert_eq!(world.relayed, [(relayed, peer(), packet.to_vec())]);
}

#[test]
fn an_allocation_is_there_in_a_few_round_trips_and_carries_packets_both_ways() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "user")]);
    let took = world.until(SECOND, |world| world.candidate().is_some());
    assert!(took < Duration::from_millis(150), "{took:?}");
    let relayed = world.candidate().unwrap();
    round_trip(&mut world, relayed, CHECK);
    assert!(
        world
            .server(server)
            .granted
            .values()
            .all(|g| g.channels.is_empty())
    );
    round_trip(&mut world, relayed, DATA);
    round_trip(&mut world, relayed, DATA);
    let granted = world.server(server).granted.values().next().unwrap();
    assert_eq!(granted.channels.len(), 1);
    assert_eq!(world.server(server).served(3), 1, "one allocation");
}

#[test]
fn it_is_refreshed_for_hours_with_nonces_that_live_a_minute() {
    let (mut world, server) = world();
    world.server(server).mood.nonce_life = Some(60 * SECOND);
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    let relayed = world.candidate().unwrap();
    round_trip(&mut world, relayed, DATA);
    for _ in 0..60 {
        world.run(240 * SECOND);
        round_trip(&mut world, relayed, DATA);
    }
    assert_eq!(world.candidates(), [relayed]);
}

#[test]
fn allocations_that_live_a_minute_are_replaced_before_they_end() {
    let (mut world, server) = world();
    world.server(server).mood.shortest = Some(60);
    world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "user")]);
    world.run(SECOND);
    for _ in 0..100 {
        let relayed = world.candidate().unwrap();
        round_trip(&mut world, relayed, DATA);
        world.run(5 * SECOND);
        assert!(
            world.candidates().contains(&relayed),
            "it is not lost at once"
        );
    }
}

#[test]
fn a_refusal_leads_to_the_next_server_at_once() {
    for code in [403, 486, 500, 508] {
        let (mut world, first) = world();
        world.server(first).mood.refuses = Some(code);
        let second = world.add_server("192.0.2.2:3478", "right");
        world.use_servers(&[], &[(A, "user"), (B, "user")]);
        let took = world.until(SECOND, |world| world.candidate().is_some());
        assert!(took < Duration::from_millis(600), "{took:?}");
        assert_eq!(world.candidate().unwrap().ip(), second.ip());
    }
}

#[test]
fn a_socket_that_the_server_knows_already_is_not_used_again() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "before")]);
    world.run(SECOND);
    let lanes = [1, 2, 3]
        .map(|lane| vec![super::world::socket(lane)])
        .to_vec();
    // The process is started again on the same ports.
    world.reach = crate::nat::reach::Reach::new(TransportPolicy::Relay, world.now, 0, 2);
    world.reach.set_sockets(world.now, lanes);
    world.use_servers(&[], &[(A, "after")]);
    world.run(SECOND);
    assert!(world.candidate().is_some());
    assert_eq!(world.server(server).granted.len(), 2);
}

#[test]
fn the_first_server_is_preferred_though_the_second_works_too() {
    let (mut world, first) = world();
    world.add_server("192.0.2.2:3478", "right");
    world.use_servers(&[], &[(A, "user"), (B, "user")]);
    world.run(10 * SECOND);
    assert_eq!(world.candidate().unwrap().ip(), first.ip());
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_try_that_loses_gives_back_what_it_is_lent_all_the_same() {
    let (mut world, first) = world();
    let second = world.add_server("192.0.2.2:3478", "right");
    // The server is so far away that the second is asked before the first has answered.
    world.latency = Duration::from_millis(100);
    world.use_servers(&[], &[(A, "user"), (B, "user")]);
    world.run(3 * SECOND);
    assert_eq!(world.candidate().unwrap().ip(), first.ip());
    assert_eq!(world.server(second).served(3), 1, "it has lent an address");
    assert!(world.server(second).granted.is_empty());
    assert_eq!(world.candidates().len(), 1);
}

#[test]
fn a_try_that_is_given_up_gives_back_what_comes_late() {
    let (mut world, server) = world();
    world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "user")]);
    world.run(Duration::from_millis(25));
    world.server(server).mood.is_mute = true;
    world.run(limits::TURN_ATTEMPT_TIMEOUT);
    assert_eq!(world.candidate(), None);
    assert_eq!(world.server(server).granted.len(), 1);
    world.server(server).mood.is_mute = false;
    world.run(limits::TURN_FAREWELL);
    assert!(world.server(server).granted.is_empty());
}

#[test]
fn udp_that_gets_no_answer_is_given_up_for_tcp_in_about_a_second() {
    let (mut world, server) = world();
    world.server(server).mood.drops_datagrams = true;
    world.use_servers(&[], &[(A, "user")]);
    let took = world.until(3 * SECOND, |world| world.candidate().is_some());
    assert!(took < Duration::from_millis(1300), "{took:?}");
    let relayed = world.candidate().unwrap();
    for packet in [CHECK, DATA, DATA] {
        round_trip(&mut world, relayed, packet);
    }
    assert_eq!(world.opened.len(), 1);
    assert_eq!(world.opened[0].2, None);
}

#[test]
fn a_turns_server_is_asked_over_tls_and_has_to_prove_its_name() {
    let mut world = World::new(TransportPolicy::Relay).with_sockets();
    world.add_server("192.0.2.1:443", "right");
    world.use_servers(&[], &[("turns:192.0.2.1:443", "user")]);
    world.run(SECOND);
    assert!(world.candidate().is_some());
    assert_eq!(world.opened[0].2.as_deref(), Some("192.0.2.1"));
    assert!(world.sent.is_empty(), "nothing over UDP");
}

#[test]
fn a_refused_connection_is_tried_again_with_growing_patience() {
    let (mut world, server) = world();
    world.listening.clear();
    world.use_servers(&[], &[("turn:192.0.2.1?transport=tcp", "user")]);
    world.run(600 * SECOND);
    let tries = world.opened.len();
    assert!((5..12).contains(&tries), "{tries}");
    world.listening.insert(server);
    world.reach.try_now(world.now);
    world.drain();
    world.run(SECOND);
    assert!(world.candidate().is_some());
}

#[test]
fn a_server_that_dies_is_noticed_by_its_silence_and_replaced() {
    let (mut world, first) = world();
    let second = world.add_server("192.0.2.2:3478", "right");
    world.use_servers(&[], &[(A, "user"), (B, "user")]);
    world.run(SECOND);
    let relayed = world.candidate().unwrap();
    round_trip(&mut world, relayed, DATA);
    world.server(first).mood.is_silent = true;
    let mut took = Duration::ZERO;
    while world.candidate().unwrap().ip() != second.ip() {
        world.we_send(relayed, peer(), DATA);
        world.run(Duration::from_millis(100));
        took += Duration::from_millis(100);
        assert!(took < 10 * SECOND);
    }
    assert!(took < 5 * SECOND, "{took:?}");
    world.run(10 * SECOND);
    assert!(!world.candidates().contains(&relayed));
}

#[test]
fn an_idle_server_that_dies_is_noticed_within_half_a_minute() {
    let (mut world, server) = world();
    world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "user")]);
    world.run(SECOND);
    world.server(server).mood.is_silent = true;
    world.run(30 * SECOND);
    assert_eq!(world.candidate(), None);
    world.server(server).mood.is_silent = false;
    world.server(server).restart();
    world.run(60 * SECOND);
    assert!(world.candidate().is_some());
}

#[test]
fn a_server_that_ignores_bindings_is_not_taken_for_dead() {
    let (mut world, server) = world();
    world.server(server).mood.ignores_bindings = true;
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    let relayed = world.candidate();
    world.run(600 * SECOND);
    assert_eq!(world.candidate(), relayed);
}

#[test]
fn a_server_that_was_started_again_is_asked_for_a_new_allocation() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    let before = world.candidate().unwrap();
    world.server(server).restart();
    // A peer's address that is new to it asks for a permission, which the server refuses: it knows no
    // allocation.
    world.we_send(before, peer(), CHECK);
    world.run(SECOND);
    assert!(!world.candidates().contains(&before));
    assert!(world.candidate().is_some_and(|after| after != before));
}

#[test]
fn a_stream_that_breaks_is_replaced_at_once() {
    let (mut world, _) = world();
    world.use_servers(&[], &[("turn:192.0.2.1?transport=tcp", "user")]);
    world.run(SECOND);
    let before = world.candidate().unwrap();
    world.break_streams();
    assert!(!world.candidates().contains(&before));
    world.run(SECOND);
    assert!(world.candidate().is_some_and(|after| after != before));
}

#[test]
fn a_peer_that_the_server_does_not_let_in_costs_nothing_but_its_packets() {
    let (mut world, server) = world();
    world.server(server).mood.denies = Some(peer().ip());
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    let relayed = world.candidate().unwrap();
    let before = world.sent[&server];
    for _ in 0..100 {
        world.we_send(relayed, peer(), CHECK);
        world.run(Duration::from_millis(100));
    }
    assert!(world.at_peers.is_empty());
    assert_eq!(world.candidate(), Some(relayed));
    assert!(world.sent[&server] < before + 5);
}

#[test]
fn addresses_that_are_gone_take_their_allocation_with_them() {
    let (mut world, _) = world();
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    let before = world.candidate().unwrap();
    let lanes = vec![vec!["10.9.9.9:1".parse().unwrap()]];
    world.reach.set_sockets(world.now, lanes);
    world.drain();
    assert!(!world.candidates().contains(&before));
    world.run(SECOND);
    assert!(world.candidate().is_some_and(|after| after != before));
}

#[test]
fn allocations_are_given_back_at_the_end() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    assert_eq!(world.server(server).granted.len(), 1);
    world.reach.shut_down(world.now);
    world.drain();
    world.run(SECOND);
    assert!(world.server(server).granted.is_empty());
    world.run(10 * SECOND);
    assert_eq!(world.reach.next_timeout(), None);
}

#[test]
fn servers_that_are_taken_away_are_left() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    world.use_servers(&[], &[]);
    world.run(3 * SECOND);
    assert_eq!(world.candidate(), None);
    assert!(world.server(server).granted.is_empty());
    assert_eq!(world.reach.next_timeout(), None);
}

#[test]
fn an_address_that_cannot_be_a_relays_is_not_used() {
    let own = socket(2);
    let wrong = ["0.0.0.0:5", "224.0.0.1:5", "198.51.100.9:0"].map(|a| a.parse().unwrap());
    for lent in [own].into_iter().chain(wrong) {
        let (mut world, server) = world();
        world.server(server).mood.lends = Some(lent);
        world.use_servers(&[], &[(A, "user")]);
        world.run(20 * SECOND);
        assert_eq!(world.candidates(), []);
        let now = world.now;
        assert!(
            !world.reach.send(now, own, peer(), DATA),
            "what is sent from a socket of ours does not go to the server"
        );
    }
}

#[test]
fn two_allocations_have_two_addresses() {
    let (mut world, first) = world();
    let second = world.add_server("192.0.2.2:3478", "right");
    let lent = Some("198.51.100.9:7".parse().unwrap());
    world.server(first).mood.lends = lent;
    world.server(second).mood.lends = lent;
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    world.use_servers(&[], &[(B, "user")]);
    world.run(20 * SECOND);
    assert_eq!(world.candidates(), Vec::from_iter(lent));
}

#[test]
fn a_server_whose_allocations_do_not_last_is_asked_ever_more_rarely() {
    let (mut world, server) = world();
    for seconds in [0, 1] {
        world.server(server).mood.shortest = Some(seconds);
        world.use_servers(&[], &[(A, "user")]);
        let before = world.server(server).served(3);
        world.run(60 * SECOND);
        let asked = world.server(server).served(3) - before;
        assert!((1..20).contains(&asked), "{asked} times in a minute");
    }
}

#[test]
fn an_allocation_that_is_lost_early_is_replaced_at_once_and_later_with_patience() {
    let (mut world, server) = world();
    world.use_servers(&[], &[("turn:192.0.2.1?transport=tcp", "user")]);
    let mut waits = Vec::new();
    for _ in 0..4 {
        world.until(60 * SECOND, |world| world.candidate().is_some());
        world.run(SECOND);
        world.server(server).restart();
        world.break_streams();
        waits.push(world.until(60 * SECOND, |world| world.candidate().is_some()));
    }
    assert!(waits[0] < SECOND, "{waits:?}");
    assert!(waits[1] > 2 * SECOND && waits[3] > 5 * SECOND, "{waits:?}");
    // The allocation has lasted, so the earlier failures count no more.
    world.run(2 * limits::TURN_TRUSTED_AFTER);
    world.server(server).restart();
    world.break_streams();
    let wait = world.until(60 * SECOND, |world| world.candidate().is_some());
    assert!(wait < SECOND, "{wait:?}");
}
