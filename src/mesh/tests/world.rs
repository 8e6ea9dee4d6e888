//! A world of sidecars: steps meshes, agents, registry and network from one event to the next. All
//! of it follows from one seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::agent::Agent;
use super::attacker::Attacker;
use super::fake_link::FakeStack;
use super::foreign::Foreign;
use super::ledger::Ledger;
use super::network::{self, Network, Place, Weather};
use super::registry::Registry;
use super::trace::Trace;
use crate::mesh::MeshMode;
use crate::mesh::link::{Datagram, Linker, Transmit};
use crate::mesh::trust::TrustSettings;
use crate::mesh::{Mesh, Settings};
use crate::nat::candidate::LocalCandidate;
use crate::protocol::PeerId;
use crate::protocol::ipc;

pub(super) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// What will happen.
pub(super) enum Happening {
    Datagram(Transmit),
    AtRegistry {
        from: Place,
        socket: u64,
        text: String,
    },
    FromRegistry {
        to: Place,
        socket: u64,
        text: String,
    },
    Reconnect(Place),
    AgentReads {
        place: Place,
        generation: u64,
    },
}

/// One of our sidecars with its agent.
pub(super) struct Node<K: Linker> {
    pub(super) name: PeerId,
    pub(super) mesh: Mesh<K>,
    pub(super) agent: Agent,
    /// Counts its processes.
    pub(super) incarnation: u64,
    pub(super) is_running: bool,
    pub(super) lanes: Vec<Vec<LocalCandidate>>,
    /// How often it was woken by a timer.
    pub(super) wakes: u64,
    /// Since when each of the others can't be reached.
    pub(super) unreachable: Vec<Option<Instant>>,
    /// When each participant was last heard.
    pub(super) heard: BTreeMap<Place, Instant>,
}

pub(super) struct World<K: Linker> {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) random: fastrand::Rng,
    pub(super) settings: Settings,
    pub(super) network: Network,
    pub(super) registry: Registry,
    /// Who holds the registry, if not its owner.
    pub(super) attacker: Option<Attacker>,
    pub(super) nodes: Vec<Node<K>>,
    pub(super) foreign: Vec<Foreign<K>>,
    pub(super) ledger: Ledger,
    pub(super) trace: Trace,
    /// Our names, to tell other makes by. Of several who bear one name the first.
    pub(super) places: BTreeMap<PeerId, Place>,
    pub(super) names: Vec<PeerId>,
    pub(super) lane_count: usize,
    pub(super) steps: u64,
    make: Box<dyn FnMut(u64) -> K>,
    next_generation: u64,
    next_port: u16,
    happenings: BTreeMap<(Instant, u64), Happening>,
    sequence: u64,
}

pub(super) fn settings() -> Settings {
    Settings {
        mode: MeshMode::Full,
        max_peers: 64,
        limits: ipc::Limits {
            message_bytes: MAX_MESSAGE_BYTES,
            line_bytes: MAX_MESSAGE_BYTES + 64 * 1024,
        },
        queue_bytes: 1024 * 1024,
        overflow_bytes: 256 * 1024,
        connect_timeout: Duration::from_secs(30),
        recovery_timeout: Duration::from_secs(60),
        send_stall: Duration::from_secs(10),
        report_topology: false,
        metered: false,
        trust: TrustSettings::default(),
    }
}

impl World<FakeStack> {
    /// Sidecars of these names on the fake stack, each with an agent, not started yet.
    pub(super) fn new(seed: u64, names: &[&str]) -> Self {
        Self::with_foreign(seed, names, &[])
    }

    /// `a` and `b`, connected.
    pub(super) fn connected(seed: u64) -> Self {
        let mut world = World::new(seed, &["a", "b"]);
        world.start_all();
        world.run_until_connected(Duration::from_millis(300));
        world
    }

    /// The same as [`World::new`], with sidecars of another make beside.
    pub(super) fn with_foreign(seed: u64, names: &[&str], others: &[&str]) -> Self {
        let make = |seed| FakeStack::new(seed, Some(MAX_MESSAGE_BYTES));
        World::of(seed, names, others, Box::new(make))
    }
}

impl<K: Linker> World<K> {
    pub(super) fn of(
        seed: u64,
        names: &[&str],
        others: &[&str],
        make: Box<dyn FnMut(u64) -> K>,
    ) -> Self {
        let start = Instant::now();
        let mut world = World {
            now: start,
            start,
            random: fastrand::Rng::with_seed(seed),
            settings: settings(),
            network: Network::new(Weather::FAIR),
            registry: Registry::new(),
            attacker: None,
            nodes: Vec::new(),
            foreign: Vec::new(),
            ledger: Ledger::default(),
            trace: Trace::default(),
            places: BTreeMap::new(),
            names: Vec::new(),
            lane_count: 3,
            steps: 0,
            make,
            next_generation: 0,
            next_port: 4000,
            happenings: BTreeMap::new(),
            sequence: 0,
        };
        for (place, name) in names.iter().enumerate() {
            let name = PeerId::new(name).unwrap();
            world.places.entry(name.clone()).or_insert(place);
            world.names.push(name.clone());
            let mesh = world.new_mesh();
            world.nodes.push(Node {
                name,
                mesh,
                agent: Agent::default(),
                incarnation: 0,
                is_running: false,
                lanes: Vec::new(),
                wakes: 0,
                unreachable: vec![None; names.len()],
                heard: BTreeMap::new(),
            });
        }
        for (index, name) in others.iter().enumerate() {
            let address = network::address(names.len() + index, 0, 1, 4000);
            let stack = (world.make)(world.random.u64(..));
            let name = PeerId::new(name).unwrap();
            world.foreign.push(Foreign::new(name, address, stack));
        }
        world
    }

    fn new_mesh(&mut self) -> Mesh<K> {
        let stack = (self.make)(self.random.u64(..));
        let seed = self.random.u64(..);
        Mesh::new(self.settings.clone(), stack, seed, self.now)
    }

    /// The process at `place` starts: a new one under the same name, with addresses of its own and a
    /// new agent.
    pub(super) fn start(&mut self, place: Place) {
        if place >= self.nodes.len() {
            return self.connect_to_registry(place);
        }
        let mesh = self.new_mesh();
        self.next_port += 1;
        let port = self.next_port;
        let lanes = (0..self.lane_count)
            .map(|lane| {
                let address = network::address(place, lane, 1, port);
                vec![LocalCandidate::Host { address }]
            })
            .collect();
        let node = &mut self.nodes[place];
        node.mesh = mesh;
        node.incarnation += 1;
        node.is_running = true;
        node.unreachable.fill(None);
        node.heard.clear();
        self.excuse_namesakes(place);
        self.set_lanes(place, lanes);
        self.agent_arrives(place);
        self.connect_to_registry(place);
    }

    pub(super) fn start_all(&mut self) {
        for place in 0..self.nodes.len() + self.foreign.len() {
            self.start(place);
        }
    }

    pub(super) fn set_lanes(&mut self, place: Place, lanes: Vec<Vec<LocalCandidate>>) {
        self.set_candidates(place, lanes, Vec::new());
    }

    pub(super) fn set_candidates(
        &mut self,
        place: Place,
        lanes: Vec<Vec<LocalCandidate>>,
        outdone: Vec<LocalCandidate>,
    ) {
        let node = &mut self.nodes[place];
        node.lanes = lanes.clone();
        if !outdone.is_empty() {
            node.lanes.push(outdone.clone());
        }
        node.mesh.set_candidates(self.now, lanes, outdone);
        self.after_input(place);
    }

    /// The process ends: with a goodbye, or without a word.
    pub(super) fn stop(&mut self, place: Place, is_polite: bool) {
        if is_polite {
            let now = self.now;
            self.nodes[place].mesh.shut_down(now);
            self.after_input(place);
        }
        self.nodes[place].is_running = false;
        self.nodes[place].agent = Agent::default();
        self.ledger.process_ended(place);
        for other in 0..self.nodes.len() {
            self.excuse(place, other);
        }
        self.disconnect_from_registry(place);
    }

    pub(super) fn restart(&mut self, place: Place, is_polite: bool) {
        self.stop(place, is_polite);
        self.start(place);
    }

    /// Offers a connection to replace one that works, unless another is under way.
    pub(super) fn replace_connection(&mut self, from: Place, to: Place) {
        let (now, peer) = (self.now, self.name(to).clone());
        let mesh = &mut self.nodes[from].mesh;
        let found = mesh.peers.get(&peer);
        if found.is_some_and(|found| found.current.is_some() && !found.has_attempt()) {
            mesh.offer(now, &peer);
        }
        self.after_input(from);
    }

    pub(super) fn name(&self, place: Place) -> &PeerId {
        match self.nodes.get(place) {
            Some(node) => &node.name,
            None => &self.foreign[place - self.nodes.len()].name,
        }
    }

    pub(super) fn is_running(&self, place: Place) -> bool {
        self.nodes.get(place).is_none_or(|node| node.is_running)
    }

    pub(super) fn next_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation
    }

    pub(super) fn schedule(&mut self, after: Duration, happening: Happening) {
        self.schedule_at(self.now + after, happening);
    }

    pub(super) fn schedule_at(&mut self, at: Instant, happening: Happening) {
        self.sequence += 1;
        self.happenings.insert((at, self.sequence), happening);
    }

    /// Sends a datagram, if there is a socket at its source.
    pub(super) fn transmit(&mut self, transmit: Transmit) {
        if !self.is_bound(transmit.source) {
            return;
        }
        for delay in self.network.delays(self.now, &mut self.random, &transmit) {
            self.schedule(delay, Happening::Datagram(transmit.clone()));
        }
    }

    /// Loses the datagrams that are under way from one place to another.
    pub(super) fn lose_datagrams(&mut self, from: Place, to: Place) {
        self.happenings.retain(|_, happening| match happening {
            Happening::Datagram(transmit) => {
                let way = [transmit.source, transmit.destination].map(network::place);
                way != [from, to]
            }
            _ => true,
        });
    }

    /// Takes out the datagrams that are under way to a place.
    pub(super) fn intercept(&mut self, to: Place) -> Vec<Transmit> {
        let mut taken = Vec::new();
        self.happenings.retain(|_, happening| match happening {
            Happening::Datagram(transmit) if network::place(transmit.destination) == to => {
                taken.push(transmit.clone());
                false
            }
            _ => true,
        });
        taken
    }

    /// Hands on what the core at `place` has to say, and holds it against its bounds.
    pub(super) fn after_input(&mut self, place: Place) {
        if place >= self.attacker_place() {
            return self.drive_attacker();
        }
        if place >= self.nodes.len() {
            return self.drive_foreign(place);
        }
        if !self.nodes[place].is_running {
            return;
        }
        self.hand_on_requests(place);
        let now = self.now;
        self.nodes[place].mesh.flush(now);
        while let Some(transmit) = self.nodes[place].mesh.poll_transmit() {
            self.transmit(transmit);
        }
        while let Some(frame) = self.nodes[place].mesh.poll_frame() {
            self.tell_registry(place, &frame);
        }
        self.hand_on_events(place);
        self.check_bounds(place);
    }

    /// When the next thing happens.
    fn next(&self) -> Option<Instant> {
        let running = self.nodes.iter().filter(|node| node.is_running);
        let timers = running.filter_map(|node| node.mesh.next_timeout());
        let foreign = self.foreign.iter().filter_map(Foreign::next_timeout);
        let attacker = self.attacker.as_ref().and_then(Attacker::next_timeout);
        let happening = self.happenings.keys().next().map(|(at, _)| *at);
        let all = timers.chain(foreign).chain(attacker).chain(happening);
        all.min()
    }

    /// Goes to the next thing that happens and lets it, unless that is after `until`.
    fn step(&mut self, until: Instant) -> bool {
        let Some(next) = self.next().filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.steps += 1;
        self.now = self.now.max(next);
        if let Some(entry) = self.happenings.first_entry()
            && entry.key().0 <= self.now
        {
            let happening = entry.remove();
            self.happen(happening);
            return true;
        }
        for place in 0..self.nodes.len() {
            let now = self.now;
            let node = &mut self.nodes[place];
            let is_due = node.mesh.next_timeout().is_some_and(|at| at <= now);
            if node.is_running && is_due {
                node.wakes += 1;
                node.mesh.handle_timeout(now);
                self.trace.woken(now - self.start, place);
                self.after_input(place);
            }
        }
        self.wake_foreign();
        self.wake_attacker();
        true
    }

    fn happen(&mut self, happening: Happening) {
        let at = self.now - self.start;
        match happening {
            Happening::Datagram(transmit) => {
                let place = network::place(transmit.destination);
                let mut next = Some(transmit);
                while let Some(transmit) = next {
                    self.trace.datagram(at, &transmit);
                    self.arrive(&transmit);
                    next = self.take_joined(place);
                }
                self.after_input(place);
            }
            Happening::AtRegistry { from, socket, text } => {
                self.trace.frame(at, from, &text);
                self.at_registry(from, socket, &text);
            }
            Happening::FromRegistry { to, socket, text } => {
                self.trace
                    .note(at, || format!("registry > {to}: {:.90}", text));
                self.arrived_from_registry(to, socket, &text);
            }
            Happening::Reconnect(place) => self.connect_to_registry(place),
            Happening::AgentReads { place, generation } => self.agent_reads(place, generation),
        }
    }

    /// Returns whether this is an address of a participant, who may be another make.
    fn is_bound(&self, address: SocketAddr) -> bool {
        self.nodes.get(network::place(address)).is_none_or(|node| {
            let mut addresses = node.lanes.iter().flatten().map(LocalCandidate::source);
            addresses.any(|bound| bound == address)
        })
    }

    fn arrive(&mut self, transmit: &Transmit) {
        let place = network::place(transmit.destination);
        let now = self.now;
        let is_bound = self.is_bound(transmit.destination);
        let is_attacker = place >= self.attacker_place();
        let datagram = Datagram {
            destination: transmit.destination,
            source: transmit.source,
            bytes: &transmit.bytes,
        };
        match self.nodes.get_mut(place) {
            Some(node) => {
                if !node.is_running || !is_bound {
                    return;
                }
                let sender = network::place(transmit.source);
                node.heard.insert(sender, now);
                node.mesh.handle_datagram(now, datagram);
            }
            None if is_attacker => self.attacker_datagram(&datagram),
            None => self.foreign_datagram(place, &datagram),
        }
    }

    /// Takes out the next datagram if it comes at the same moment to the same sidecar of ours.
    fn take_joined(&mut self, place: Place) -> Option<Transmit> {
        let entry = self.happenings.first_entry()?;
        match entry.get() {
            Happening::Datagram(transmit)
                if entry.key().0 <= self.now
                    && place < self.nodes.len()
                    && network::place(transmit.destination) == place =>
            {
                let transmit = transmit.clone();
                entry.remove();
                Some(transmit)
            }
            _ => None,
        }
    }

    /// Lets time pass.
    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Lets time pass until something is so; gives how long that took.
    pub(super) fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        is_so: impl Fn(&Self) -> bool,
    ) -> Duration {
        let (began, until) = (self.now, self.now + limit);
        while !is_so(self) {
            assert!(
                self.step(until),
                "not within {limit:?}: {what}; {}",
                self.report()
            );
        }
        self.now - began
    }
}
