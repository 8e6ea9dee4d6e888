//! Long paths: their round trip is known at once, and they carry as much as the window allows in one.

use std::time::Duration;

use super::real_stack::world;
use super::world::World;
use crate::mesh::link::webrtc::WebRtc;

const CONNECTED: Duration = Duration::from_secs(15);
const SETTLED: Duration = Duration::from_secs(60);
const MESSAGE_BYTES: usize = 60_000;
const TRANSFER: usize = 4_000_000;

/// Connects `a` and `b` over a path of this round trip.
fn connect(seed: u64, round_trip: Duration) -> World<WebRtc> {
    let mut world = world(seed, &["a", "b"], &[]);
    world.network.weather.latency = round_trip / 2;
    world.start_all();
    world.run_until_connected(CONNECTED);
    world
}

/// Sends 4 MB. Returns how many MB a second that were.
fn transfer(world: &mut World<WebRtc>) -> f64 {
    let (began, before) = (world.now, world.ledger.deliveries);
    let count = TRANSFER / MESSAGE_BYTES;
    (0..count).for_each(|_| world.send(0, "b", MESSAGE_BYTES, false));
    world.run_until(SETTLED, "all arrive", |world| {
        world.ledger.deliveries == before + count as u64
    });
    let seconds = (world.now - began).as_secs_f64();
    (count * MESSAGE_BYTES) as f64 / 1e6 / seconds
}

#[test]
fn the_round_trip_is_known_when_the_session_begins() {
    for (seed, milliseconds) in [20, 100, 600].into_iter().enumerate() {
        let round_trip = Duration::from_millis(milliseconds);
        let world = connect(seed as u64, round_trip);
        for node in &world.nodes {
            for connection in node.mesh.connections.values() {
                let known = connection.send_window.least_round_trip();
                let known = known.expect("it is known");
                assert!(
                    known >= round_trip && known < round_trip * 11 / 10,
                    "{known:?}"
                );
            }
        }
    }
}

#[test]
fn a_long_path_carries_as_much_as_the_window_allows() {
    for (milliseconds, wanted) in [(20, 15.0), (50, 10.0), (100, 7.0)] {
        let mut world = connect(milliseconds, Duration::from_millis(milliseconds));
        let rates: Vec<_> = (0..3).map(|_| transfer(&mut world)).collect();
        println!("{milliseconds} ms: {rates:?} MB/s");
        assert!(
            rates[1].min(rates[2]) >= wanted,
            "{milliseconds} ms: {rates:?} MB/s"
        );
    }
}

/// Messages there and back over a path of 40 ms that loses every hundredth datagram. Returns the times that they took,
/// in order of length.
fn echo_in_bad_weather(seed: u64, count: usize) -> Vec<Duration> {
    let mut world = connect(seed, Duration::from_millis(40));
    world.network.weather.lost = 1;
    let mut times = Vec::new();
    for _ in 0..count {
        let (began, before) = (world.now, world.ledger.deliveries);
        for from in [0, 1] {
            let target = ["b", "a"][from];
            world.send(from, target, 100, true);
            let arrived = before + 1 + from as u64;
            world.run_until(SETTLED, "it arrives", |world| {
                world.ledger.deliveries == arrived
            });
        }
        times.push(world.now - began);
        world.run_for(Duration::from_millis(5));
    }
    times.sort_unstable();
    times
}

#[test]
fn what_is_lost_at_the_end_is_sent_again_soon() {
    let mut times: Vec<_> = (0..3)
        .flat_map(|seed| echo_in_bad_weather(seed, 400))
        .collect();
    times.sort_unstable();
    let [p95, p99] = [95, 99].map(|share| times[times.len() * share / 100]);
    println!("p95 {p95:?}, p99 {p99:?}, worst {:?}", times.last());
    assert!(p95 < Duration::from_millis(100) && p99 < Duration::from_millis(200));
}
