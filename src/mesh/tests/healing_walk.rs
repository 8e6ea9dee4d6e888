//! Healing at random: schedules of cuts, moves and outages of the registry, of one side or several at once.
//! Within two seconds after some path works again, and the registry or a common peer can be reached, what
//! was accepted flows.
//!
//! The environment chooses the seeds as in [`super::walk`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::fake_link::FakeStack;
use super::healing;
use super::network::Weather;
use super::walk::run_seeds;
use super::world::World;

const DEFAULT_SEEDS: u64 = 30;
const ROUNDS: usize = 8;
const HEALED: Duration = Duration::from_secs(2);
/// The signaling thread finds the registry within this time; see [`super::registry`].
const RECONNECTED: Duration = Duration::from_millis(600);
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

struct Walk {
    world: World<FakeStack>,
    random: fastrand::Rng,
    /// The next address of a sidecar that moves.
    port: u16,
    /// Who has moved since all were connected.
    moved: BTreeSet<usize>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let count = random.usize(2..=NAMES.len());
        let mut world = World::new(seed, &NAMES[..count]);
        world.network.weather.latency = Duration::from_micros(random.u64(100..60_000));
        world.start_all();
        world.run_until_connected(Duration::from_secs(5));
        Walk {
            world,
            random,
            port: 7000,
            moved: BTreeSet::new(),
        }
    }

    /// Everybody says something to everybody.
    fn talk(&mut self) {
        self.world.ledger.pass_settled();
        for from in 0..self.world.nodes.len() {
            self.world.broadcast(from, 200, true);
            for to in 0..self.world.nodes.len() {
                let name = self.world.name(to).as_str().to_owned();
                if from != to {
                    self.world.send(from, &name, 100, true);
                }
            }
        }
    }

    fn disturb(&mut self) {
        let count = self.world.nodes.len();
        for _ in 0..self.random.usize(1..4) {
            let (one, other) = (self.random.usize(..count), self.random.usize(..count));
            match self.random.u32(..6) {
                0 | 1 => self.world.network.partition(one, other),
                2 => self.world.network.block(one, other),
                3 | 4 => self.move_away(one),
                _ => self.world.stop_registry(false),
            }
        }
    }

    /// The sidecar gets other addresses, and its link to the registry breaks.
    fn move_away(&mut self, place: usize) {
        self.world.disconnect_from_registry(place);
        self.port += 1;
        self.moved.insert(place);
        healing::move_away(&mut self.world, place, 1, self.port);
    }

    /// Everything works again, and within two seconds what was accepted has arrived.
    fn heal(&mut self, what: &str) {
        let weather = Weather {
            latency: self.world.network.weather.latency,
            ..Weather::FAIR
        };
        self.world.network.heal(weather);
        // Without the registry somebody has to be where the others last knew it to be.
        let nobody_stayed = std::mem::take(&mut self.moved).len() == self.world.nodes.len();
        if nobody_stayed || self.random.u32(..3) > 0 {
            self.world.registry.is_up = true;
            let places = self.world.nodes.len();
            self.world.run_until(RECONNECTED, "registry", |world| {
                (0..places).all(|place| world.registry.has_socket(place))
            });
        }
        self.talk();
        self.world
            .run_until(HEALED, what, |world| world.ledger.is_settled());
    }

    fn run(mut self) -> World<FakeStack> {
        for round in 0..ROUNDS {
            self.disturb();
            let until = self.world.now + Duration::from_millis(self.random.u64(..40_000));
            while self.world.now < until {
                self.talk();
                let pause = self.random.u64(..3_000);
                self.world.run_for(Duration::from_millis(pause));
            }
            self.heal(&format!("healed, round {round}"));
            let rest = Duration::from_millis(self.random.u64(..8_000));
            self.world.run_for(rest);
        }
        assert_eq!(self.world.ledger.failed(), 0);
        self.world.registry.is_up = true;
        self.world.settle(Duration::from_secs(60));
        self.world
    }
}

#[test]
fn whatever_was_cut_or_has_moved_messages_flow_two_seconds_after_it_works_again() {
    run_seeds(DEFAULT_SEEDS, |seed| Walk::new(seed).run());
}
