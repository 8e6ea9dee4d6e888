//! The whole core, driven by bytes: what agents do, what the network loses, what a hostile sidecar, the registry and
//! strangers send, and how much time passes in between. A fuzzer chooses the bytes.
//!
//! `a` and `b` are honest, and `m` is one of ours whose owner has it say what he likes. Whatever `m`, the registry and
//! strangers say, every message between `a` and `b` arrives once and in order or is reported, each core keeps its
//! bounds, and once everything works again everybody finds everybody.

use std::net::SocketAddr;
use std::time::Duration;

use super::fake_link::FakeStack;
use super::network::{Place, Weather};
use super::world::World;
use crate::mesh::link::{Channel, Datagram, Link as _};
use crate::protocol::PeerId;
use crate::protocol::signaling::{Extension, Incoming, Signal};

/// Steps of one schedule; what is left of the bytes is not looked at.
const STEPS: usize = 150;

/// Longest time until all is well again: a session that was given up, then the longest backoff.
const HEALING: Duration = Duration::from_secs(200);

const HOSTILE: Place = 2;
const NAMES: [&str; 3] = ["a", "b", "m"];

/// Runs a schedule to its end.
///
/// # Panics
/// When anything of the above does not hold.
pub(crate) fn run(schedule: &[u8]) {
    let mut bytes = Bytes(schedule);
    let mut world = World::new(u64::from(bytes.next()), &NAMES);
    world.ledger.liars.insert(world.name(HOSTILE).clone());
    world.settings.queue_bytes = [64 * 1024, 1024 * 1024][bytes.below(2)];
    world.settings.overflow_bytes = [0, 64 * 1024, 1024 * 1024][bytes.below(3)];
    world.settings.recovery_timeout = Duration::from_secs([60, 20, 6, 1][bytes.below(4)]);
    world.settings.max_peers = [64, 2][bytes.below(2)];
    world.lane_count = 1 + bytes.below(3);
    world.start_all();
    for _ in 0..STEPS {
        if bytes.0.is_empty() {
            break;
        }
        step(&mut world, &mut bytes);
    }
    end_well(&mut world);
}

/// What is left of a schedule. At its end there are zeros.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.next()) % count
    }

    /// So many bytes as the next one says.
    fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.next()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.some()).into_owned()
    }
}

fn step(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    match bytes.below(16) {
        0..=2 => send(world, bytes),
        3 => {
            let unit = [1, 50, 1_000, 100_000][bytes.below(4)];
            let time = Duration::from_micros(unit * u64::from(bytes.next()));
            world.run_for(time);
        }
        4 => agent(world, bytes),
        5 => network(world, bytes),
        6 => match bytes.below(4) {
            0 => world.stop_registry(bytes.below(2) == 0),
            1 => world.disconnect_from_registry(bytes.below(3)),
            _ => world.registry.is_up = true,
        },
        7 => process(world, bytes),
        8 => say(world, bytes),
        9 => hostile_signal(world, bytes),
        10 => hear(world, bytes.below(2), &bytes.text()),
        11 => stranger(world, bytes),
        12 => ask(world, bytes),
        13 => {
            let (from, to) = [(0, 1), (1, 0), (0, 2), (2, 0), (2, 1)][bytes.below(5)];
            if world.is_running(from) {
                world.replace_connection(from, to);
            }
        }
        14 => {
            world.nodes[HOSTILE].mesh.linker.one_lie_in = u32::from(bytes.next());
        }
        _ => world.run_for(Duration::from_millis(20)),
    }
}

/// Messages between the honest ones, which the ledger accounts for.
fn send(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let (from, to) = [(0, "b"), (1, "a")][bytes.below(2)];
    let size = [10, 100, 1_500, 60_000, 250_000][bytes.below(5)];
    let count = 1 + bytes.below(12);
    for _ in 0..count.min(if size > 10_000 { 2 } else { 12 }) {
        world.send(from, to, size, count.is_multiple_of(2));
    }
}

fn agent(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let place = bytes.below(3);
    let is_there = world.nodes[place].agent.generation.is_some();
    match bytes.below(4) {
        0 if is_there => world.agent_leaves(place),
        0 if world.is_running(place) => world.agent_arrives(place),
        1 => world.agent_stalls(place),
        2 => world.agent_resumes(place),
        _ => {
            let agent = &mut world.nodes[place].agent;
            agent.pace = Duration::from_micros(100 * u64::from(bytes.next()));
            agent.gulp = 1 + bytes.below(100);
        }
    }
}

fn network(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let (one, other) = (bytes.below(3), bytes.below(3));
    match bytes.below(6) {
        0 => world.network.block(one, other),
        1 => world.network.partition(one, other),
        2 => {
            let lanes = world.nodes[one].lanes.concat();
            if let Some(lane) = lanes.get(bytes.below(3)) {
                world.network.kill_address(lane.source());
            }
        }
        3 => {
            world.network.weather = Weather {
                lost: u32::from(bytes.next()) % 30,
                latency: Duration::from_micros(400 * u64::from(bytes.next())),
                jitter: Duration::from_micros(100 * u64::from(bytes.next())),
                doubled: u32::from(bytes.next()) % 10,
            };
        }
        4 => world.network.kill_connections(),
        _ => {
            let weather = world.network.weather;
            world.network.heal(weather);
        }
    }
}

fn process(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let place = bytes.below(3);
    let is_polite = bytes.below(2) == 0;
    if !world.is_running(place) {
        world.start(place);
    } else if bytes.below(2) == 0 {
        world.restart(place, is_polite);
    } else {
        world.stop(place, is_polite);
    }
}

/// The hostile one says something on one of its channels.
fn say(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let peer = world.name(bytes.below(2)).clone();
    let channel = [Channel::Control, Channel::Mesh][bytes.below(2)];
    let times = [1, 1, 1, 200][bytes.below(4)];
    let text = bytes.some();
    if channel == Channel::Mesh && is_message(text) || !world.is_running(HOSTILE) {
        return;
    }
    let now = world.now;
    let mesh = &mut world.nodes[HOSTILE].mesh;
    let Some(id) = mesh.peers.get(&peer).and_then(|peer| peer.current) else {
        return;
    };
    let Some(connection) = mesh.connections.get_mut(&id) else {
        return;
    };
    for _ in 0..times {
        if !matches!(connection.link.write(channel, text), Ok(true)) {
            break;
        }
    }
    mesh.drive(now, id);
    world.after_input(HOSTILE);
}

/// Whether it could count as one of the messages in the ledger.
fn is_message(text: &[u8]) -> bool {
    text.contains(&b'\\') || text.windows(10).any(|part| part == b"request_id")
}

/// The registry brings an honest one a signal, under any name.
fn hostile_signal(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let place = bytes.below(2);
    let sender = ["m", "x", "y", "a", "b"][bytes.below(5)];
    let own = bytes.next();
    let conn = match bytes.below(4) {
        0 => None,
        1 => conn_with(world, place, "m"),
        number => Some(format!("c{number}")),
    };
    let sdp = format!("v=0\r\na=fake-tag:{own:x}1\r\n{}\r\n", bytes.text());
    let signal = match bytes.below(4) {
        0 => Signal::Offer { sdp },
        1 => Signal::Answer { sdp },
        2 => Signal::Candidate { candidate: sdp },
        _ => Signal::Candidate {
            candidate: format!("candidate:1 1 udp 2130706431 10.0.0.{own} {own}00 typ host"),
        },
    };
    let frame = Incoming::Relay {
        sender: PeerId::new(sender).unwrap(),
        target: None,
        signal,
        extension: Extension {
            ours: !own.is_multiple_of(3),
            conn,
            session: own.is_multiple_of(2).then(|| format!("s{own}")),
            ..Extension::default()
        },
    };
    take_frame(world, place, frame);
}

/// The id of the connection that is in use with a peer.
fn conn_with(world: &World<FakeStack>, place: Place, peer: &str) -> Option<String> {
    let peer = PeerId::new(peer)?;
    world.nodes[place].mesh.current_of(&peer)?.attempt.clone()
}

/// The registry says something to an honest one.
fn hear(world: &mut World<FakeStack>, place: Place, text: &str) {
    if let Ok(frame) = Incoming::parse(text) {
        take_frame(world, place, frame);
    }
}

fn take_frame(world: &mut World<FakeStack>, place: Place, frame: Incoming) {
    if world.is_running(place) {
        let now = world.now;
        world.nodes[place].mesh.handle_frame(now, frame);
        world.after_input(place);
    }
}

/// A datagram of a stranger, who may bear the address of anybody.
fn stranger(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let place = bytes.below(2);
    let claimed = world.nodes[bytes.below(3)].lanes.concat();
    let source = match claimed.get(bytes.below(4)) {
        Some(lane) => lane.source(),
        None => SocketAddr::from(([192, 0, 2, bytes.next()], 4000)),
    };
    let lanes = world.nodes[place].lanes.concat();
    let Some(lane) = lanes
        .get(bytes.below(3))
        .filter(|_| world.is_running(place))
    else {
        return;
    };
    let datagram = Datagram {
        destination: lane.source(),
        source,
        bytes: bytes.some(),
    };
    let now = world.now;
    world.nodes[place].mesh.handle_datagram(now, datagram);
    world.after_input(place);
}

/// Commands that the ledger has no messages for.
fn ask(world: &mut World<FakeStack>, bytes: &mut Bytes<'_>) {
    let place = bytes.below(2);
    match bytes.below(5) {
        0 => world.list_peers(place),
        1 => world.ask_statistics(place),
        2 => world.connect(place, NAMES[1 - place]),
        3 => world.connect(place, "nobody"),
        _ => {
            let line = r#"{"type":"send","payload":{"target_peer":"m","message":{"type":"x"}}}"#;
            for _ in 0..1 + bytes.below(50) {
                world.write_line(place, line);
            }
        }
    }
}

/// Everything works again, and the hostile one has been replaced by an honest one.
fn end_well(world: &mut World<FakeStack>) {
    world.network.spare();
    world.network.heal(Weather::FAIR);
    world.registry.is_up = true;
    if world.is_running(HOSTILE) {
        world.stop(HOSTILE, false);
    }
    for place in 0..NAMES.len() {
        if !world.is_running(place) {
            world.start(place);
        }
        if world.nodes[place].agent.generation.is_none() {
            world.agent_arrives(place);
        }
        world.agent_resumes(place);
        let agent = &mut world.nodes[place].agent;
        agent.pace = agent.pace.min(Duration::from_millis(1));
        agent.gulp = agent.gulp.max(10);
    }
    world.run_until(
        HEALING,
        "nobody is remembered who does not exist",
        |world| {
            let mut nodes = world.nodes.iter();
            nodes.all(|node| node.mesh.peers.keys().all(|id| world.names.contains(id)))
        },
    );
    world.settle(HEALING);
}

#[cfg(test)]
mod tests {
    use super::super::walk::{Announcement, number};
    use super::*;

    /// The fuzzer's seeds, what it has found among them.
    fn seeds() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/core_schedule");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        files.sort_by_key(|file| file.as_ref().unwrap().path());
        let read = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file.unwrap().path());
        files.into_iter().map(|file| read(file).unwrap()).collect()
    }

    #[test]
    fn the_seeds_of_the_fuzzer_keep_what_is_promised() {
        for schedule in seeds() {
            run(&schedule);
        }
    }

    /// Parts of the seeds in another order, with other bytes here and there.
    #[test]
    fn schedules_at_random_keep_what_is_promised() {
        let first = number("SIMULATION_FIRST").unwrap_or(0);
        let seeds = seeds();
        for seed in first..first + number("SIMULATION_SEEDS").unwrap_or(30) {
            let _announcement = Announcement(seed);
            let mut random = fastrand::Rng::with_seed(seed);
            let mut schedule: Vec<u8> = (0..8).map(|_| random.u8(..)).collect();
            for _ in 0..random.usize(1..12) {
                let part = &seeds[random.usize(..seeds.len())];
                let begin = random.usize(..part.len());
                let end = random.usize(begin..part.len()) + 1;
                schedule.extend(&part[begin..end]);
                schedule.extend((0..random.usize(..20)).map(|_| random.u8(..)));
            }
            for _ in 0..random.usize(..20) {
                let at = random.usize(..schedule.len());
                schedule[at] = random.u8(..);
            }
            run(&schedule);
        }
    }
}
