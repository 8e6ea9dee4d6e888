//! Datagrams that are given to the real stack together and drained once: nothing of them is lost, and there is one
//! answer. The core relies on this for the records of an open connection, up to [`limits::BURST_RECORDS`].

use std::time::Duration;

use super::link_pair::LinkPair;
use super::world::{MAX_MESSAGE_BYTES, World};
use crate::limits;
use crate::mesh::connection::burst::Burst;
use crate::mesh::link::webrtc::WebRtc;
use crate::mesh::link::{Datagram, Packets, Transmit};
use crate::protocol::ipc::Event;

/// Drains a link as the core does it: once for a burst.
fn give_burst(
    pair: &mut LinkPair,
    burst: &mut Burst,
    side: usize,
    datagrams: &[Vec<u8>],
    is_of_other_make: bool,
) {
    for datagram in datagrams {
        if !burst.has_room_for(datagram, is_of_other_make) {
            burst.drained();
            pair.drain(side);
        }
        pair.give(side, datagram).unwrap();
        if !burst.add(datagram, is_of_other_make) {
            burst.drained();
            pair.drain(side);
        }
    }
    burst.drained();
    pair.drain(side);
}

/// Loses, doubles, spoils and reorders datagrams that arrive together, as a network may.
fn disturb(random: &mut fastrand::Rng, datagrams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut arriving = Vec::new();
    for datagram in datagrams {
        match random.u8(..100) {
            0..4 => {}
            4..8 => arriving.extend([datagram.clone(), datagram]),
            8..10 => {
                let mut garbage = datagram.clone();
                let at = random.usize(..garbage.len());
                garbage[at] ^= 1 << random.u8(..8);
                // A datagram that is neither STUN nor a record is nobody's.
                arriving.extend(
                    [garbage]
                        .into_iter()
                        .filter(|bytes| bytes[0] == datagram[0]),
                );
                arriving.push(datagram);
            }
            10..15 => {
                let place = random.usize(..=arriving.len());
                arriving.insert(place, datagram);
            }
            _ => arriving.push(datagram),
        }
    }
    arriving
}

#[test]
fn bursts_of_every_kind_deliver_every_message_once_and_in_order() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = LinkPair::connect(Packets::Full);
        let mut bursts = [Burst::default(), Burst::default()];
        let mut written = [Vec::new(), Vec::new()];
        let mut rounds = 0;
        while rounds < 40
            || pair.ends[0].received != written[1]
            || pair.ends[1].received != written[0]
        {
            assert!(rounds < 100_000, "seed {seed}");
            for side in [0, 1] {
                for _ in 0..random.usize(..12) {
                    let message = vec![random.u8(..); random.usize(1..4000)];
                    if rounds < 40 && pair.write(side, &message) {
                        written[side].push(message);
                    }
                }
                let sent = pair.ends[1 - side].sent.drain(..).collect();
                let arriving = disturb(&mut random, sent);
                give_burst(&mut pair, &mut bursts[side], side, &arriving, false);
            }
            pair.pass(Duration::from_millis(random.u64(1..20)));
            rounds += 1;
        }
    }
}

/// Returns how many datagrams answer so many packets that come together.
fn answers_to(packets: usize, is_of_other_make: bool) -> usize {
    let mut pair = LinkPair::warmed_up(Packets::Full);
    (0..packets).for_each(|_| assert!(pair.write(0, &[b'x'; 1000])));
    let datagrams: Vec<_> = pair.ends[0].sent.drain(..).collect();
    assert_eq!(datagrams.len(), packets);
    let mut burst = Burst::default();
    give_burst(&mut pair, &mut burst, 1, &datagrams, is_of_other_make);
    pair.ends[1].sent.len()
}

#[test]
fn a_burst_is_answered_once() {
    assert_eq!(answers_to(limits::BURST_RECORDS, false), 1);
}

/// A sender that waits for acknowledgements by the piece, as aiortc, would fall into step with us.
#[test]
fn every_second_packet_of_another_make_is_answered() {
    assert_eq!(answers_to(12, true), 6);
}

/// dimpl's queue holds 30 datagrams, and a full one ends the connection. Two bursts fit.
#[test]
fn a_burst_is_smaller_than_the_queue_of_the_stack() {
    let mut pair = LinkPair::warmed_up(Packets::Full);
    (0..40).for_each(|_| assert!(pair.write(0, &[b'x'; 1000])));
    let datagrams: Vec<_> = pair.ends[0].sent.drain(..).collect();
    let taken = datagrams
        .iter()
        .take_while(|datagram| pair.give(1, datagram).is_ok());
    let taken = taken.count();
    assert!(taken < datagrams.len(), "{taken}");
    assert!(taken >= 2 * limits::BURST_RECORDS, "{taken}");
}

const SOON: Duration = Duration::from_secs(5);

fn connected(seed: u64) -> World<WebRtc> {
    let make = |_| WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
    let mut world = World::of(seed, &["a", "b"], &[], Box::new(make));
    world.network.weather.latency = Duration::from_millis(1);
    world.start_all();
    world.run_until_connected(SOON);
    world.run_for(Duration::from_secs(1));
    world
}

/// Gives a datagram to the core of the first, and no more.
fn give(world: &mut World<WebRtc>, transmit: &Transmit) {
    let datagram = Datagram {
        destination: transmit.destination,
        source: transmit.source,
        bytes: &transmit.bytes,
    };
    world.nodes[0].mesh.handle_datagram(world.now, datagram);
}

/// Lets the second send a message to the first, and returns its datagrams.
fn message_to_first(world: &mut World<WebRtc>) -> Vec<Transmit> {
    world.send(1, "a", 500, false);
    world.intercept(0)
}

/// Returns how many messages the core of the first has received since the last call.
fn received(world: &mut World<WebRtc>) -> usize {
    let events = world.nodes[0].mesh.take_events(usize::MAX);
    let is_message = |event: &&Event| matches!(event, Event::Message { .. });
    events.iter().filter(is_message).count()
}

#[test]
fn what_nobody_flushes_is_due_at_once() {
    let mut world = connected(2);
    for datagram in message_to_first(&mut world) {
        give(&mut world, &datagram);
    }
    assert_eq!(received(&mut world), 0);
    let (now, mesh) = (world.now, &mut world.nodes[0].mesh);
    assert!(mesh.next_timeout() <= Some(now));
    mesh.handle_timeout(now);
    assert_eq!(received(&mut world), 1);
}

#[test]
fn a_goodbye_in_a_burst_is_heard_behind_the_messages_before_it() {
    let mut world = connected(3);
    let mut datagrams = message_to_first(&mut world);
    datagrams.extend(message_to_first(&mut world));
    world.nodes[1].mesh.shut_down(world.now);
    world.after_input(1);
    datagrams.extend(world.intercept(0));
    datagrams.push(datagrams[0].clone());
    for datagram in &datagrams {
        give(&mut world, datagram);
    }
    world.nodes[0].mesh.flush(world.now);
    assert_eq!(received(&mut world), 2);
    let peer = world.name(1).clone();
    assert!(world.nodes[0].mesh.current_of(&peer).is_none());
}

#[test]
fn the_core_answers_packets_that_are_there_together_once() {
    const MESSAGES: u64 = 400;
    let mut world = connected(1);
    (0..MESSAGES).for_each(|_| world.send(0, "b", 1000, false));
    world.settle(SOON);
    let before = world.network.carried;
    (0..MESSAGES).for_each(|_| world.send(0, "b", 1000, false));
    world.run_until(SOON, "all arrive", |world| {
        world.ledger.deliveries == 2 * MESSAGES
    });
    let answers = world.network.carried - before - MESSAGES;
    assert!(answers < MESSAGES / 3, "{answers}");
}
