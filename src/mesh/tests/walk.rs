//! The random walk: whatever happens in whatever order, the contract's promises hold.
//!
//! `SIMULATION_SEEDS=n` runs n seeds, from `SIMULATION_FIRST=s` on, `SIMULATION_SEED=s` only that one; with
//! `SIMULATION_TRACE=1` it is printed step by step.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::fake_link::FakeStack;
use super::foreign;
use super::network::{Place, Weather};
use super::registry::SameName;
use super::world::World;
use crate::mesh::MeshMode;
use crate::secret::Secret;

/// About 15 s without optimisation; `make test-long` runs thousands.
const DEFAULT_SEEDS: u64 = 100;
const ACTIONS: usize = 250;

/// Longest time until all is well again: a session that was given up, then the longest backoff.
const HEALING: Duration = Duration::from_secs(200);

const OURS: [&str; 5] = ["a", "b", "d", "e", "f"];
const OTHERS: [&str; 2] = ["c", "g"];

#[derive(Clone, Copy)]
enum Disturbance {
    Agent,
    Network,
    Connections,
    Registry,
    Process,
    Namesake,
    Others,
}

struct Walk {
    world: World<FakeStack>,
    random: fastrand::Rng,
    /// Disturbances that this run is spared, as bits: with all of them at once some states are never
    /// reached.
    spared: u32,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let ours = random.usize(2..=OURS.len());
        let others = [0, 0, 0, 0, 0, 0, 1, 1, 2][random.usize(..9)];
        let mut names = OURS[..ours].to_vec();
        for _ in 0..[0, 0, 0, 1, 1, 2][random.usize(..6)] {
            names.push(OURS[random.usize(..ours)]);
        }
        let mut world = World::with_foreign(seed, &names, &OTHERS[..others]);
        world.registry.same_name = [
            SameName::Displaces,
            SameName::LatestHears,
            SameName::AllHear,
        ][random.usize(..3)];
        world.settings.queue_bytes = [64 * 1024, 256 * 1024, 1024 * 1024][random.usize(..3)];
        world.settings.overflow_bytes = [0, 64 * 1024, 1024 * 1024][random.usize(..3)];
        if random.u32(..8) == 0 {
            world.settings.mode = MeshMode::Lazy;
        } else {
            let seconds = [60, 60, 60, 60, 20, 6, 1, 0][random.usize(..8)];
            world.settings.recovery_timeout = Duration::from_secs(seconds);
        }
        let seconds = [30, 30, 30, 10][random.usize(..4)];
        world.settings.connect_timeout = Duration::from_secs(seconds);
        if random.u32(..4) == 0 {
            let trust = &mut world.settings.trust;
            trust.secret = Some(Secret::new("the secret of ours".to_owned()));
            trust.allow_unproven = true;
        }
        world.lane_count = random.usize(1..=3);
        world.network.weather = weather(&mut random);
        world.registry.latency = Duration::from_micros(random.u64(100..100_000));
        let spared = random.u32(..64) & random.u32(..64);
        Walk {
            world,
            random,
            spared,
        }
    }

    fn run(mut self) -> World<FakeStack> {
        let at_once = self.random.bool();
        for place in 0..self.world.nodes.len() + self.world.foreign.len() {
            if self.world.is_namesake(place) {
                continue;
            }
            self.world.start(place);
            if !at_once {
                self.pause();
            }
        }
        for _ in 0..ACTIONS {
            self.act();
            self.pause();
            self.world.check_answers();
        }
        self.end_well();
        self.world
    }

    fn ours(&mut self) -> Place {
        self.random.usize(..self.world.nodes.len())
    }

    fn anybody(&mut self) -> Place {
        let all = self.world.nodes.len() + self.world.foreign.len();
        self.random.usize(..all)
    }

    /// Mostly moments, at times long enough for something to time out.
    fn pause(&mut self) {
        let micros = match self.random.u32(..100) {
            0..70 => self.random.u64(..5_000),
            70..90 => self.random.u64(..100_000),
            90..98 => self.random.u64(..2_000_000),
            _ => self.random.u64(..20_000_000),
        };
        self.world.run_for(Duration::from_micros(micros));
    }

    fn act(&mut self) {
        let place = self.ours();
        let disturbance = match self.random.u32(..100) {
            0..45 => return self.send(place),
            45..53 => {
                let size = self.random.usize(..10_000);
                let has_id = self.random.bool();
                return self.world.broadcast(place, size, has_id);
            }
            53..57 => {
                let target = self.anybody();
                let target = self.world.name(target).as_str().to_owned();
                return self.world.connect(place, &target);
            }
            57..59 => return self.world.list_peers(place),
            59..61 => return self.world.ask_statistics(place),
            61..70 => Disturbance::Agent,
            70..80 => Disturbance::Network,
            80..86 => Disturbance::Connections,
            86..91 => Disturbance::Registry,
            91..94 => Disturbance::Process,
            94..97 => Disturbance::Namesake,
            _ => Disturbance::Others,
        };
        if self.spared & (1 << disturbance as u32) != 0 {
            return self.send(place);
        }
        match disturbance {
            Disturbance::Agent => self.disturb_agent(place),
            Disturbance::Network => self.disturb_network(place),
            Disturbance::Connections => self.disturb_connections(place),
            Disturbance::Registry => self.disturb_registry(place),
            Disturbance::Process => self.disturb_process(place),
            Disturbance::Namesake => self.disturb_namesake(),
            Disturbance::Others => self.disturb_others(),
        }
    }

    fn send(&mut self, place: Place) {
        let target = match self.random.u32(..50) {
            0 => "nobody".to_owned(),
            _ => {
                let target = self.anybody();
                self.world.name(target).as_str().to_owned()
            }
        };
        if target == self.world.name(place).as_str() {
            return;
        }
        for _ in 0..self.random.usize(1..15) {
            let size = match self.random.u32(..30) {
                0 => self.random.usize(..200_000),
                1..5 => self.random.usize(..20_000),
                _ => self.random.usize(..500),
            };
            let has_id = self.random.bool();
            self.world.send(place, &target, size, has_id);
        }
    }

    fn disturb_agent(&mut self, place: Place) {
        let world = &mut self.world;
        let is_there = world.nodes[place].agent.generation.is_some();
        match self.random.u32(..4) {
            0 if is_there => world.agent_leaves(place),
            0 if world.is_running(place) => world.agent_arrives(place),
            1 => world.agent_stalls(place),
            2 => world.agent_resumes(place),
            _ => {
                let agent = &mut world.nodes[place].agent;
                agent.pace = Duration::from_micros(self.random.u64(..50_000));
                agent.gulp = self.random.usize(1..100);
            }
        }
    }

    fn disturb_network(&mut self, place: Place) {
        let other = self.anybody();
        match self.random.u32(..8) {
            0 => self.world.network.block(place, other),
            1 => self.world.network.partition(place, other),
            2 => {
                let lanes = self.world.nodes[place].lanes.concat();
                if !lanes.is_empty() {
                    let address = lanes[self.random.usize(..lanes.len())].source();
                    self.world.network.kill_address(address);
                }
            }
            3 => self.world.network.weather = weather(&mut self.random),
            4 => self.world.network.deadly_after = Some(self.random.u64(..40)),
            _ => {
                let weather = self.world.network.weather;
                self.world.network.heal(weather);
            }
        }
    }

    fn disturb_connections(&mut self, place: Place) {
        let other = self.anybody();
        if self.random.u32(..3) == 0 {
            return self.world.network.kill_connections();
        }
        if self.random.bool() {
            let left = self.random.u64(..60);
            self.world.network.doom_newcomers(left);
        }
        if place != other && self.world.is_running(place) {
            self.world.replace_connection(place, other);
        }
    }

    fn disturb_registry(&mut self, place: Place) {
        match self.random.u32(..5) {
            0 => self.world.disconnect_from_registry(place),
            1 => self.world.stop_registry(false),
            2 => self.world.stop_registry(true),
            _ => self.world.registry.is_up = true,
        }
    }

    fn disturb_process(&mut self, place: Place) {
        let is_polite = self.random.bool();
        if !self.world.is_running(place) {
            self.world.start(place);
        } else if self.random.bool() {
            self.world.restart(place, is_polite);
        } else {
            self.world.stop(place, is_polite);
        }
    }

    /// A process comes or goes whose name another bears, who may have lost its agent before.
    fn disturb_namesake(&mut self) {
        let namesakes = self.world.places.len()..self.world.nodes.len();
        if namesakes.is_empty() {
            return;
        }
        let place = self.random.usize(namesakes);
        if self.world.is_running(place) {
            return self.world.stop(place, self.random.bool());
        }
        let first = self.world.first_of_name(place);
        if self.world.is_running(first) && self.random.bool() {
            self.world.agent_leaves(first);
        }
        self.world.start(place);
    }

    fn disturb_others(&mut self) {
        let ours = self.world.nodes.len();
        if self.world.foreign.is_empty() {
            return;
        }
        let place = ours + self.random.usize(..self.world.foreign.len());
        let peer = self.ours();
        let peer = self.world.name(peer).clone();
        match self.random.u32(..6) {
            0 => self.world.disconnect_from_registry(place),
            1 => self.world.foreign_offers(place, &peer),
            2 => self.world.foreign_at(place).is_stalled ^= true,
            _ => {
                for _ in 0..self.random.usize(..20) {
                    let size = self.random.usize(..5_000);
                    self.world.foreign_sends(place, &peer, size);
                }
            }
        }
    }

    /// Everything works again: everybody finds everybody, and nothing is left undone.
    fn end_well(&mut self) {
        let world = &mut self.world;
        world.network.spare();
        world.network.heal(Weather::FAIR);
        world.registry.is_up = true;
        for place in 0..world.nodes.len() {
            match (world.is_running(place), world.is_namesake(place)) {
                (false, false) => world.start(place),
                (true, true) => world.stop(place, self.random.bool()),
                (true, false) | (false, true) => {}
            }
        }
        for foreign in &mut world.foreign {
            foreign.is_stalled = false;
        }
        for place in 0..world.places.len() {
            if world.nodes[place].agent.generation.is_none() {
                world.agent_arrives(place);
            }
            world.agent_resumes(place);
            let agent = &mut world.nodes[place].agent;
            agent.pace = agent.pace.min(Duration::from_millis(1));
        }
        if world.settings.mode == MeshMode::Lazy {
            // Nobody connects unless there is something to say.
            world.run_for(world.settings.recovery_timeout);
            for place in 0..world.places.len() {
                for other in 0..world.nodes.len() + world.foreign.len() {
                    let name = world.name(other).as_str().to_owned();
                    if other != place && !world.is_namesake(other) {
                        world.connect(place, &name);
                    }
                }
            }
        }
        if !world.foreign.is_empty() {
            // One of another make that is not heard, but hears, is the only one to notice.
            world.run_for(foreign::PATIENCE);
        }
        world.settle(HEALING);
    }
}

fn weather(random: &mut fastrand::Rng) -> Weather {
    match random.u32(..4) {
        0 => Weather::FOUL,
        1 => Weather {
            lost: random.u32(..20),
            latency: Duration::from_micros(random.u64(..100_000)),
            jitter: Duration::from_micros(random.u64(..20_000)),
            doubled: random.u32(..5),
        },
        _ => Weather::FAIR,
    }
}

/// Names the seed if the run fails.
pub(super) struct Announcement(pub(super) u64);

impl Drop for Announcement {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            println!("seed {seed} failed; again with SIMULATION_SEED={seed} SIMULATION_TRACE=1");
        }
    }
}

/// Runs the simulation with each seed that the environment asks for, on two threads, and prints the sums.
pub(super) fn run_seeds(default_count: u64, walk: impl Fn(u64) -> World<FakeStack> + Sync) {
    let announced = |seed| {
        let _announcement = Announcement(seed);
        walk(seed)
    };
    if let Some(seed) = number("SIMULATION_SEED") {
        announced(seed);
        return;
    }
    let began = Instant::now();
    let first = number("SIMULATION_FIRST").unwrap_or(0);
    let seeds = number("SIMULATION_SEEDS").unwrap_or(default_count);
    let next = AtomicU64::new(first);
    let [steps, messages] = [(); 2].map(|()| AtomicU64::new(0));
    let failures = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let world = announced(seed);
                    steps.fetch_add(world.steps, Ordering::Relaxed);
                    messages.fetch_add(world.ledger.deliveries, Ordering::Relaxed);
                    let mut failures = failures.lock().unwrap();
                    for (code, count) in &world.ledger.failures {
                        *failures.entry(*code).or_insert(0) += count;
                    }
                }
            });
        }
    });
    println!(
        "{seeds} seeds, {steps:?} steps, {messages:?} messages delivered, in {:.1?}; reported \
         failed: {:?}",
        began.elapsed(),
        failures.lock().unwrap(),
    );
}

pub(super) fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().unwrap())
}

fn walk(seed: u64) -> World<FakeStack> {
    Walk::new(seed).run()
}

#[test]
fn whatever_happens_each_message_arrives_once_and_in_order_or_is_reported() {
    run_seeds(DEFAULT_SEEDS, walk);
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..3 {
        let [one, other] = [walk(seed), walk(seed)];
        assert_eq!(one.steps, other.steps);
        assert_eq!(one.trace.digest(), other.trace.digest());
    }
}
