//! Paths that swallow full packets, and peers that only seem to be behind one.

use std::time::Duration;

use super::real_stack::{exchange, world};
use super::world::World;
use crate::limits;
use crate::mesh::link::Packets;
use crate::mesh::link::webrtc::WebRtc;

const CONNECTED: Duration = Duration::from_secs(15);

/// A tunnel is too narrow, and its router does not say so: checks and the handshake pass.
#[test]
fn a_path_that_swallows_full_packets_is_used_with_smaller_ones() {
    for (seed, largest) in [900, 1000, 1100].into_iter().enumerate() {
        for both in [false, true] {
            let mut world = world(seed as u64, &["a", "b"], &[]);
            world.network.largest = largest;
            world.start_all();
            world.run_until_connected(CONNECTED);
            world.run_for(Duration::from_secs(2));
            let target = world.name(1).to_string();
            world.send(0, &target, 20_000, true);
            let mut count = 1;
            if both {
                let target = world.name(0).to_string();
                world.send(1, &target, 20_000, true);
                count += 1;
            }
            world.run_until(Duration::from_secs(10), "delivered", |world| {
                world.ledger.deliveries == count
            });
            assert_eq!(world.ledger.failed(), 0);
            exchange(&mut world, 4);
            // The other direction finds out for itself.
            world.settle(Duration::from_secs(10));
        }
    }
}

/// It has noticed nothing, and would end the connection that works in favour of a new one.
#[test]
fn one_of_another_make_that_pauses_keeps_its_connection() {
    let mut world = world(3, &["a"], &["z"]);
    world.start_all();
    world.run_until_connected(CONNECTED);
    let made = world.nodes[0].mesh.next_connection;
    world.foreign_at(1).is_stalled = true;
    world.send(0, "z", 20_000, true);
    let z = world.name(1).clone();
    world.run_until(2 * CONNECTED, "it takes nothing", |world| {
        let current = world.nodes[0].mesh.current_of(&z).unwrap();
        current.swallowing.is_certain()
    });
    world.foreign_at(1).is_stalled = false;
    world.run_for(2 * limits::LIST_REFRESH);
    assert_eq!(world.nodes[0].mesh.next_connection, made);
    world.settle(CONNECTED);
    assert_eq!(world.ledger.deliveries, 1);
    assert_eq!(world.ledger.failed(), 0);
}

/// `a` has found out that packets are swallowed on the way to `b`, and a smaller connection is not there yet.
fn found_out(seed: u64) -> World<WebRtc> {
    let mut world = world(seed, &["a", "b"], &[]);
    world.network.largest = 1000;
    world.start_all();
    world.run_until_connected(CONNECTED);
    world.run_for(Duration::from_secs(2));
    world.send(0, "b", 20_000, true);
    world.run_until(CONNECTED, "it is certain", |world| {
        packets(world) == Packets::Small
    });
    world
}

/// What `a` makes the packets to `b` of.
fn packets(world: &World<WebRtc>) -> Packets {
    world.nodes[0].mesh.peers[world.name(1)].packets
}

#[test]
fn a_change_of_routes_while_packets_are_swallowed_does_not_make_them_larger() {
    let mut world = found_out(4);
    let now = world.now;
    world.nodes[0].mesh.network_changed(now);
    world.after_input(0);
    assert_eq!(packets(&world), Packets::Small);
    let took = world.run_until(CONNECTED, "delivered", |world| world.ledger.deliveries == 1);
    assert!(took < Duration::from_secs(2), "{took:?}");
    // On a connection that works nothing speaks for small packets in another network.
    let now = world.now;
    world.nodes[0].mesh.network_changed(now);
    world.after_input(0);
    assert_eq!(packets(&world), Packets::Full);
}

/// It takes nothing at all, so the size of packets is not the reason.
#[test]
fn a_peer_that_takes_no_small_packets_either_is_sent_full_ones_again() {
    let mut world = found_out(5);
    world.run_until(CONNECTED, "delivered", |world| world.ledger.deliveries == 1);
    let (now, b) = (world.now, world.name(1).clone());
    let mesh = &mut world.nodes[0].mesh;
    let (made, id) = (mesh.next_connection, mesh.peers[&b].current.unwrap());
    // As if everything had been held for a while: checks are answered, and nothing is acknowledged.
    let swallowing = &mut mesh.connections.get_mut(&id).unwrap().swallowing;
    swallowing.written(20_000);
    let mut is_news = false;
    for second in 0..5 {
        let then = now + Duration::from_secs(second);
        swallowing.sent(then, limits::SMALL_PACKET_BYTES);
        swallowing.acknowledged_to(then, 20_000);
        is_news |= swallowing.answered(then, None);
    }
    assert!(is_news, "small packets are swallowed, too");
    mesh.packets_are_swallowed(now, id);
    world.after_input(0);
    assert_eq!(packets(&world), Packets::Full);
    world.run_for(Duration::from_secs(1));
    let mesh = &world.nodes[0].mesh;
    assert_eq!(mesh.next_connection, made, "full packets would not help");
}
