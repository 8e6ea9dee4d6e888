//! Tests of servers that refer to another one (ALTERNATE-SERVER, RFC 8489 section 10).

use std::net::SocketAddr;

use super::relays::{A, DATA, SECOND, round_trip, world};
use super::world::World;

/// The method Allocate.
const ALLOCATE: u16 = 3;

fn refer(world: &mut World, from: SocketAddr, to: SocketAddr) {
    world.server(from).mood.refers_to = Some(to);
}

#[test]
fn one_reference_is_followed_at_once() {
    for url in [A, "turn:192.0.2.1?transport=tcp"] {
        let (mut world, first) = world();
        let second = world.add_server("192.0.2.9:3478", "right");
        refer(&mut world, first, second);
        world.use_servers(&[], &[(url, "user")]);
        let took = world.until(SECOND, |world| world.candidate().is_some());
        assert!(took < SECOND / 2, "{took:?}");
        let relayed = world.candidate().unwrap();
        assert_eq!(relayed.ip(), second.ip());
        round_trip(&mut world, relayed, DATA);
        assert_eq!(world.server(second).served(ALLOCATE), 1);
    }
}

#[test]
fn servers_that_refer_to_each_other_or_to_nowhere_are_left() {
    for nowhere in [
        "192.0.2.9:3478",
        "192.0.2.1:3478",
        "0.0.0.0:0",
        "224.0.0.1:9",
    ] {
        let (mut world, first) = world();
        let second = world.add_server("192.0.2.9:3478", "right");
        refer(&mut world, first, nowhere.parse().unwrap());
        refer(&mut world, second, first);
        world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "user")]);
        world.run(20 * SECOND);
        assert_eq!(world.candidate(), None, "{nowhere}");
        let sent: usize = world.sent.values().sum();
        assert!(sent <= 8, "{sent} datagrams");
    }
}
