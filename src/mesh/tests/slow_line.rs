//! A narrow line with a deep queue before it: it is kept full, nothing waits long in that queue, and nobody takes it
//! for the end of the connection.

use std::collections::VecDeque;
use std::time::Duration;

use super::network::Line;
use super::world::{MAX_MESSAGE_BYTES, World};
use crate::mesh::link::Linker;
use crate::mesh::link::webrtc::WebRtc;
use crate::protocol::ipc::Event;

const DEEP_QUEUE_BYTES: usize = 1_200_000;

/// Lines of 256 kbit/s and 1 Mbit/s.
const RATES: [u32; 2] = [32_000, 125_000];

const PING_BYTES: usize = 100;
const PING_EVERY: Duration = Duration::from_millis(300);
const STEP: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

/// Of what the line can carry.
const GOODPUT: f64 = 0.85;

/// What a small message takes beside its bytes, with its part of the headers of a packet.
const OVERHEAD_BYTES: usize = 40;

/// Connects `a` and `b`, and makes the line on which `a` sends narrow.
fn connect<K: Linker>(world: &mut World<K>, rate: u32) {
    world.network.weather.latency = Duration::from_millis(10);
    world.start_all();
    world.run_until_connected(15 * SECOND);
    let line = Line::new(world.now, 0, rate, DEEP_QUEUE_BYTES);
    world.network.line = Some(line);
    world.run_for(4 * SECOND);
}

/// Fills the line for `time` with messages of these sizes, while `b` sends pings. Returns the longest time that one of
/// those waited for its answer.
fn fill<K: Linker>(world: &mut World<K>, rate: u32, sizes: &[usize], time: Duration) -> Duration {
    let enough = time.as_secs_f64() * f64::from(rate) * GOODPUT;
    let (began, mut bytes, mut count) = (world.now, 0, 0);
    for size in sizes.iter().cycle() {
        world.send(0, "b", *size, false);
        (bytes, count) = (bytes + size + OVERHEAD_BYTES, count + 1);
        if bytes as f64 >= enough {
            break;
        }
    }
    let (mut pings, mut worst) = (VecDeque::new(), Duration::ZERO);
    let (mut sent, mut answered) = (0, 0);
    while world.ledger.deliveries < count + sent || answered < sent {
        assert!(
            world.now < began + time,
            "{} of {count}",
            world.ledger.deliveries
        );
        if world.now >= began + PING_EVERY * u32::try_from(sent).unwrap() {
            pings.push_back((world.now, world.ledger.messages.len()));
            world.send(1, "a", PING_BYTES, true);
            sent += 1;
        }
        world.run_for(STEP);
        while let Some((at, number)) = pings.front()
            && let fates = &world.ledger.messages[*number].fates
            && fates.values().all(|fate| fate.receipt.is_some())
        {
            worst = worst.max(world.now - *at);
            answered += 1;
            pings.pop_front();
        }
    }
    worst
}

fn check_calm<K: Linker>(world: &World<K>) {
    for place in 0..2 {
        let is_gone = |event: &Event| matches!(event, Event::PeerDisconnected { .. });
        assert_eq!(world.count(place, is_gone), 0);
        let mesh = &world.nodes[place].mesh;
        assert!(mesh.peers.values().all(|peer| peer.restarts == 0));
        assert_eq!(mesh.connections.len(), 1);
    }
    assert_eq!(world.ledger.failed(), 0);
}

fn real_world(seed: u64) -> World<WebRtc> {
    let make = |_| WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
    World::of(seed, &["a", "b"], &[], Box::new(make))
}

#[test]
fn a_slow_line_is_used_and_pings_wait_for_one_message() {
    for (seed, rate) in RATES.into_iter().enumerate() {
        for sizes in [
            &[60_000][..],
            &[100],
            &[1, 60_000, 100, 20_000, 1_000, 5_000],
        ] {
            let mut world = real_world(seed as u64);
            connect(&mut world, rate);
            let worst = fill(&mut world, rate, sizes, 60 * SECOND);
            assert!(
                worst < 3 * SECOND,
                "{rate} bytes a second, {sizes:?}: {worst:?}"
            );
            check_calm(&world);
        }
    }
}

/// What was under way makes a queue then, and is sent again because its acknowledgements come late.
#[test]
fn a_line_that_becomes_slower_is_no_reason_for_alarm() {
    let mut world = real_world(3);
    connect(&mut world, RATES[1]);
    for _ in 0..60 {
        world.send(0, "b", 60_000, false);
    }
    world.run_for(6 * SECOND);
    world.network.line = Some(Line::new(world.now, 0, RATES[0], DEEP_QUEUE_BYTES));
    let worst = fill(&mut world, RATES[0], &[60_000], 40 * SECOND);
    assert!(worst < 5 * SECOND, "{worst:?}");
    check_calm(&world);
}
