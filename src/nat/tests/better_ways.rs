//! Tests that the better way to a relay is taken, and that a worse one beside it is given up.

use std::time::Duration;

use super::relays::{A, CHECK, DATA, SECOND, peer, round_trip, world};
use super::turn_server::Client;
use super::world::World;
use crate::limits;
use crate::nat::reach::TransportPolicy;

/// Returns whether the server lends addresses over UDP, and over streams.
fn ways(world: &mut World, server: std::net::SocketAddr) -> (bool, bool) {
    let clients: Vec<_> = world.server(server).granted.keys().copied().collect();
    let is_datagrams = |client: &Client| matches!(client, Client::Socket(_));
    (
        clients.iter().any(is_datagrams),
        !clients.iter().all(is_datagrams),
    )
}

#[test]
fn a_round_waits_until_the_sockets_are_known() {
    let mut world = World::new(TransportPolicy::Relay);
    let server = world.add_server("192.0.2.1:3478", "right");
    world.use_servers(&[], &[(A, "user")]);
    let mut world = world.with_sockets();
    let took = world.until(SECOND, |world| world.candidate().is_some());
    assert!(took < Duration::from_millis(150), "{took:?}");
    world.run(10 * SECOND);
    assert_eq!(world.opened, [], "nothing over TCP");
    assert_eq!(ways(&mut world, server), (true, false));
}

#[test]
fn where_there_are_known_to_be_no_sockets_tcp_is_taken_at_once() {
    let mut world = World::new(TransportPolicy::Relay);
    world.add_server("192.0.2.1:3478", "right");
    world.use_servers(&[], &[(A, "user")]);
    let now = world.now;
    world.reach.set_sockets(now, vec![Vec::new(); 3]);
    world.drain();
    let took = world.until(SECOND, |world| world.opened_and_lent());
    assert!(took < Duration::from_millis(200), "{took:?}");
}

/// A world in which TCP came first, because UDP was blocked until then.
fn world_on_tcp() -> (World, std::net::SocketAddr) {
    let (mut world, server) = world();
    world.server(server).mood.drops_datagrams = true;
    world.use_servers(&[], &[(A, "user")]);
    world.until(3 * SECOND, |world| world.candidate().is_some());
    (world, server)
}

#[test]
fn a_worse_way_without_data_is_given_back_as_soon_as_the_better_one_works() {
    let (mut world, server) = world_on_tcp();
    assert_eq!(ways(&mut world, server), (false, true));
    let before = world.candidates();
    world.server(server).mood.drops_datagrams = false;
    let took = world.until(3 * SECOND, |world| world.candidates() != before);
    assert!(took < 3 * SECOND);
    assert_eq!(world.candidates().len(), 1);
    world.run(SECOND / 10);
    assert_eq!(ways(&mut world, server), (true, false));
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn a_worse_way_with_data_is_told_to_nobody_and_ends_in_the_first_pause() {
    let (mut world, server) = world_on_tcp();
    let worse = world.candidate().unwrap();
    world.we_send(worse, peer(), CHECK);
    world.run(SECOND);
    world.we_send(worse, peer(), DATA);
    world.server(server).mood.drops_datagrams = false;
    world.until(3 * SECOND, |world| world.candidate() != Some(worse));
    for _ in 0..10 {
        assert_eq!(world.candidates().len(), 1);
        assert!(!world.candidates().contains(&worse));
        assert_eq!(world.outdone(), [worse]);
        round_trip(&mut world, worse, DATA);
    }
    let changes = world.changes;
    world.run(limits::TURN_OUTDONE_IDLE + SECOND);
    assert_eq!(world.outdone(), []);
    assert!(world.changes > changes);
    assert_eq!(ways(&mut world, server), (true, false));
}

#[test]
fn an_allocation_that_is_heard_again_is_not_replaced() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "user")]);
    world.run(10 * SECOND);
    let before = world.candidate().unwrap();
    // Its server is silent for so long that others are tried.
    world.server(server).mood.drops_datagrams = true;
    world.we_send(before, peer(), CHECK);
    world.run(limits::TURN_UNANSWERED + 2 * limits::STUN_FIRST_WAIT - SECOND / 10);
    let sent = world.sent[&server];
    world.run(SECOND / 5);
    assert!(world.sent[&server] > sent + 1, "another is tried");
    world.server(server).mood.drops_datagrams = false;
    world.run(10 * SECOND);
    assert_eq!(ways(&mut world, server), (true, false));
    assert_eq!(world.candidates(), [before]);
    assert_eq!(world.server(server).granted.len(), 1);
}
