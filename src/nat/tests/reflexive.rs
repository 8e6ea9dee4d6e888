use std::net::SocketAddr;
use std::time::Duration;

use super::world::{World, socket};
use crate::limits;
use crate::nat::candidate::LocalCandidate;
use crate::nat::external::ExternalAddress;
use crate::nat::reach::{External, TransportPolicy};

const SECOND: Duration = Duration::from_secs(1);

fn mapped(world: &World, lane: usize) -> Vec<String> {
    let lane = &world.reach.lanes()[lane];
    let reflexive = lane.iter().filter_map(|found| match found {
        LocalCandidate::ServerReflexive { address, .. } => Some(address.to_string()),
        LocalCandidate::Host { .. } | LocalCandidate::Relayed { .. } => None,
    });
    reflexive.collect()
}

#[test]
fn without_servers_nothing_is_sent_and_nothing_is_waited_for() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    assert_eq!(world.reach.next_timeout(), None);
    world.run(3600 * SECOND);
    assert!(world.sent.is_empty());
    let host = LocalCandidate::Host { address: socket(1) };
    assert_eq!(world.reach.lanes()[0], [host]);
}

#[test]
fn each_socket_learns_its_outer_address_at_once() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    world.add_server("192.0.2.1:3478", "");
    for lane in [1, 2, 3] {
        let outer = format!("198.51.100.1:{}", 7000 + lane);
        world.mappings.insert(socket(lane), outer.parse().unwrap());
    }
    world.use_servers(&["stun:192.0.2.1"], &[]);
    world.run(Duration::from_millis(50));
    assert_eq!(mapped(&world, 0), ["198.51.100.1:7001"]);
    assert_eq!(mapped(&world, 2), ["198.51.100.1:7003"]);
}

#[test]
fn an_outer_address_that_is_our_own_is_no_candidate() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    world.add_server("192.0.2.1:3478", "");
    world.use_servers(&["stun:192.0.2.1"], &[]);
    world.run(SECOND);
    assert!(mapped(&world, 0).is_empty());
}

#[test]
fn a_mapping_is_kept_alive_and_replaced_when_it_changes() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    let server = world.add_server("192.0.2.1:3478", "");
    let outer = |port| format!("198.51.100.1:{port}").parse().unwrap();
    world.mappings.insert(socket(1), outer(1));
    world.use_servers(&["stun:192.0.2.1"], &[]);
    world.run(100 * SECOND);
    // From three sockets, every 15 to 25 seconds.
    let sent = world.sent[&server];
    assert!((3 * 5..=3 * 8).contains(&sent), "{sent}");
    let changes = world.changes;
    world.mappings.insert(socket(1), outer(2));
    world.run(limits::STUN_REFRESH.1 + SECOND);
    assert_eq!(mapped(&world, 0), ["198.51.100.1:2"]);
    assert_eq!(world.changes, changes + 1);
}

#[test]
fn a_silent_server_costs_nothing_and_is_asked_seldom() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    let silent = world.add_server("192.0.2.1:3478", "");
    world.server(silent).mood.is_silent = true;
    world.add_server("192.0.2.2:3478", "");
    world
        .mappings
        .insert(socket(1), "198.51.100.1:1".parse().unwrap());
    world.use_servers(&["stun:192.0.2.1", "stun:192.0.2.2"], &[]);
    world.run(Duration::from_millis(50));
    assert_eq!(mapped(&world, 0), ["198.51.100.1:1"]);
    world.run(3600 * SECOND);
    let sent = world.sent[&silent];
    assert!(sent < 3 * 5 * 15, "{sent} requests in an hour");
    // It is found when it comes back.
    world.server(silent).mood.is_silent = false;
    world.run(2 * limits::STUN_BACKOFF.1);
    assert!(world.sent[&silent] > sent + 30);
}

/// A world of many servers and sockets, each socket behind a router.
fn crowd() -> (World, Vec<std::net::SocketAddr>) {
    let mut world = World::new(TransportPolicy::All).with_lanes(12);
    for lane in 1..=12 {
        let outer = format!("198.51.100.1:{}", 7000 + lane);
        world.mappings.insert(socket(lane), outer.parse().unwrap());
    }
    let add = |number| world.add_server(&format!("192.0.2.{number}:3478"), "");
    let servers = (1..=16).map(add).collect();
    (world, servers)
}

fn use_crowd(world: &mut World) {
    let urls: Vec<_> = (1..=16)
        .map(|number| format!("stun:192.0.2.{number}"))
        .collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    world.use_servers(&urls, &[]);
}

#[test]
fn many_servers_are_asked_one_shortly_after_the_other_and_no_more_than_needed() {
    let (mut world, servers) = crowd();
    use_crowd(&mut world);
    world.run(Duration::ZERO);
    assert_eq!(world.sent, [(servers[0], 12)].into(), "the first at once");
    world.run(Duration::from_millis(25));
    assert!((0..12).all(|lane| mapped(&world, lane).len() == 1));
    world.run(600 * SECOND);
    let asked = |number: usize| world.sent.get(&servers[number]).copied().unwrap_or(0);
    assert!(asked(0) > 200 && asked(1) > 200);
    assert!((2..16).all(|number| asked(number) < 12));
}

#[test]
fn silent_servers_are_asked_again_without_a_burst() {
    let (mut world, servers) = crowd();
    for server in &servers {
        world.server(*server).mood.is_silent = true;
    }
    use_crowd(&mut world);
    world.run(30 * SECOND);
    let count = |world: &World| world.sent.values().sum::<usize>();
    let before = count(&world);
    world.reach.try_now(world.now);
    world.run(Duration::from_millis(1));
    assert!(count(&world) - before <= 12);
    world.run(SECOND);
    assert!(count(&world) - before >= 12 * 16);
}

#[test]
fn servers_that_were_not_needed_are_asked_when_another_falls_silent() {
    let (mut world, servers) = crowd();
    use_crowd(&mut world);
    world.run(SECOND);
    for server in &servers[..2] {
        world.server(*server).mood.is_silent = true;
    }
    world.run(limits::STUN_REFRESH.1 + 20 * SECOND);
    assert!((0..12).all(|lane| mapped(&world, lane).len() == 1));
    assert!(world.sent[&servers[2]] >= 12);
}

#[test]
fn an_outer_address_is_withdrawn_when_its_server_falls_silent() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    let server = world.add_server("192.0.2.1:3478", "");
    world
        .mappings
        .insert(socket(1), "198.51.100.1:1".parse().unwrap());
    world.use_servers(&["stun:192.0.2.1"], &[]);
    world.run(SECOND);
    world.server(server).mood.is_silent = true;
    world.run(60 * SECOND);
    assert!(mapped(&world, 0).is_empty());
    world.server(server).mood.is_silent = false;
    world.reach.try_now(world.now);
    world.run(SECOND);
    assert_eq!(mapped(&world, 0), ["198.51.100.1:1"]);
}

#[test]
fn a_turn_server_tells_our_address_as_well_but_not_when_only_relays_are_wanted() {
    for (policy, expected) in [
        (TransportPolicy::All, vec!["198.51.100.1:3"]),
        (TransportPolicy::Relay, vec![]),
    ] {
        let mut world = World::new(policy).with_sockets();
        world.add_server("192.0.2.1:3478", "right");
        world
            .mappings
            .insert(socket(3), "198.51.100.1:3".parse().unwrap());
        world.use_servers(&["stun:192.0.2.1"], &[("turn:192.0.2.1", "user")]);
        world.run(SECOND);
        assert_eq!(mapped(&world, 2), expected);
        let count = world.reach.lanes()[2].len();
        assert_eq!(count, if expected.is_empty() { 1 } else { 3 });
    }
}

#[test]
fn what_others_send_is_theirs() {
    let mut world = World::new(TransportPolicy::All).with_sockets();
    let server = world.add_server("192.0.2.1:3478", "");
    world.server(server).mood.is_silent = true;
    world.use_servers(&["stun:192.0.2.1"], &[]);
    let peer = "203.0.113.1:1".parse().unwrap();
    let answer = [
        1, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let now = world.now;
    assert!(!world.reach.handle_datagram(now, socket(1), peer, &answer));
    assert!(!world.reach.handle_datagram(now, socket(1), server, &answer));
    assert!(
        !world
            .reach
            .handle_datagram(now, socket(1), server, &[22, 1])
    );
}

#[test]
fn an_address_that_the_user_names_is_told_without_any_server() {
    let mut world = World::new(TransportPolicy::All);
    world.reach.set_external(External {
        addresses: vec![ExternalAddress {
            address: "203.0.113.7".parse().unwrap(),
            ports: Some((50_001, 50_003)),
        }],
        own_ports: Some((5001, 5003)),
    });
    let world = world.with_sockets();
    assert_eq!(mapped(&world, 0), ["203.0.113.7:50001"]);
    assert_eq!(mapped(&world, 2), ["203.0.113.7:50003"]);
}

#[test]
fn what_the_user_names_comes_before_what_servers_see_and_is_told_once() {
    let mut world = World::new(TransportPolicy::All);
    world.reach.set_external(External {
        addresses: vec![ExternalAddress {
            address: "203.0.113.7".parse().unwrap(),
            ports: None,
        }],
        own_ports: None,
    });
    let mut world = world.with_sockets();
    world.add_server("192.0.2.1:3478", "");
    for (lane, outer) in [(1, "198.51.100.1:7001"), (2, "203.0.113.7:5002")] {
        world.mappings.insert(socket(lane), outer.parse().unwrap());
    }
    world.use_servers(&["stun:192.0.2.1"], &[]);
    world.run(SECOND);
    assert_eq!(mapped(&world, 0), ["203.0.113.7:5001", "198.51.100.1:7001"]);
    assert_eq!(mapped(&world, 1), ["203.0.113.7:5002"]);
}

#[test]
fn outer_addresses_are_bounded_and_those_of_the_preferred_sockets_are_told() {
    let mut world = World::new(TransportPolicy::All);
    let base = |number: u8| SocketAddr::from(([10, 0, 0, number], 5000));
    let lane: Vec<_> = (1..=7).map(base).collect();
    world.reach.set_sockets(world.now, vec![lane]);
    world.drain();
    world.add_server("192.0.2.1:3478", "");
    for number in 1..=7 {
        let outer = format!("198.51.100.1:{number}").parse().unwrap();
        world.mappings.insert(base(number), outer);
    }
    world.use_servers(&["stun:192.0.2.1"], &[]);
    world.run(SECOND);
    let told: Vec<_> = (1..=limits::REFLEXIVE_ADDRESSES)
        .map(|number| format!("198.51.100.1:{number}"))
        .collect();
    assert_eq!(mapped(&world, 0), told);
}
