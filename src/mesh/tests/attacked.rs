//! What somebody who holds the registry can do: nothing but harm the connections, where a secret or certificates
//! are demanded; and never go on with somebody's session, whatever is demanded.
//!
//! The environment chooses the seeds as in [`super::walk`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::attacker::Attacker;
use super::fake_link::FakeStack;
use super::network::Place;
use super::walk::run_seeds;
use super::world::World;
use crate::limits;
use crate::mesh::MeshMode;
use crate::mesh::connection::{ConnectionId, Role};
use crate::mesh::trust::PeerTrust;
use crate::mesh::trust::distrust::Distrust;
use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorCode, Event};
use crate::secret::Secret;

const DEFAULT_SEEDS: u64 = 30;
const ACTIONS: usize = 120;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

const CONNECTED: Duration = Duration::from_secs(5);
/// Longer than anybody keeps two apart, so that no session is given up for that.
const KEPT: Duration = Duration::from_secs(3600);
/// A session that was given up, then the longest backoff.
const HEALING: Duration = Duration::from_secs(200);

/// What is demanded of peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Nothing,
    Secret,
    FirstUse,
    Both,
}

impl Demand {
    const ALL: [Demand; 4] = [
        Demand::Nothing,
        Demand::Secret,
        Demand::FirstUse,
        Demand::Both,
    ];

    fn world(self, seed: u64, names: &[&str], recovery: Duration) -> World<FakeStack> {
        let mut world = World::new(seed, names);
        world.settings.recovery_timeout = recovery;
        let trust = &mut world.settings.trust;
        if matches!(self, Demand::Secret | Demand::Both) {
            trust.secret = Some(Secret::new("the secret of this mesh".to_owned()));
        }
        if matches!(self, Demand::FirstUse | Demand::Both) {
            trust.peers = PeerTrust::FirstUse;
        }
        for place in 0..names.len() {
            start(&mut world, place);
        }
        world.run_until_connected(CONNECTED);
        world
    }
}

/// Starts a process with the certificate that its file keeps, and the peers that it knows.
fn start(world: &mut World<FakeStack>, place: Place) {
    let known = world.nodes[place].mesh.known_peers.clone();
    world.start(place);
    let mesh = &mut world.nodes[place].mesh;
    mesh.linker.certificate = 100 + place as u64;
    mesh.set_known_peers(known);
}

fn attacker(world: &World<FakeStack>) -> &Attacker {
    world.attacker.as_ref().unwrap()
}

/// Each session, by our place and process, its peer and our id of it: the certificate that it is with.
type Sessions = BTreeMap<(Place, u64, PeerId, String), String>;

/// Holds that no session has gone on with another certificate.
fn check_sessions(world: &World<FakeStack>, sessions: &mut Sessions) {
    for (place, node) in world.nodes.iter().enumerate() {
        for peer in node.mesh.peers.values() {
            let Some(theirs) = peer.session.theirs() else {
                continue;
            };
            let own = peer.session.own().to_owned();
            let key = (place, node.incarnation, peer.id.clone(), own);
            let certificate = theirs.certificate.clone().unwrap();
            let known = sessions.entry(key.clone()).or_insert(certificate.clone());
            assert_eq!(*known, certificate, "the session {key:?}");
        }
    }
}

struct Walk {
    world: World<FakeStack>,
    random: fastrand::Rng,
    demand: Demand,
    sessions: Sessions,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let demand = Demand::ALL[random.usize(..4)];
        let count = random.usize(2..=NAMES.len());
        let mut world = demand.world(seed, &NAMES[..count], KEPT);
        if demand == Demand::Nothing {
            // Whoever sits between may say that all has arrived.
            world.ledger.liars.extend(world.names.iter().cloned());
        }
        world.attack(random.u64(..));
        let attacker = world.attacker.as_mut().unwrap();
        // Of whom was never met nobody knows that he is one of ours.
        attacker.strips = demand != Demand::FirstUse;
        attacker.renames = demand != Demand::Nothing;
        Walk {
            world,
            random,
            demand,
            sessions: Sessions::new(),
        }
    }

    fn run(mut self) -> World<FakeStack> {
        for _ in 0..ACTIONS {
            self.act();
            let micros = match self.random.u32(..10) {
                0..6 => self.random.u64(..20_000),
                6..9 => self.random.u64(..1_000_000),
                _ => self.random.u64(..10_000_000),
            };
            self.world.run_for(Duration::from_micros(micros));
            self.check();
        }
        let attacker = self.world.attacker.as_mut().unwrap();
        attacker.is_active = false;
        self.world.network.heal(super::network::Weather::FAIR);
        if self.demand == Demand::Nothing {
            // Of what he was told nobody can say what became.
            self.world.run_for(HEALING);
        } else {
            self.world.settle(HEALING);
        }
        self.check();
        self.world
    }

    fn check(&mut self) {
        check_sessions(&self.world, &mut self.sessions);
        let attacker = attacker(&self.world);
        if self.demand != Demand::Nothing {
            assert_eq!((attacker.read, attacker.accepted), (0, 0));
            for node in &self.world.nodes {
                for peer in node.mesh.peers.values() {
                    let theirs = peer.session.theirs();
                    let certificate = theirs.and_then(|theirs| theirs.certificate.as_deref());
                    assert_ne!(certificate, Some(Attacker::certificate().as_str()));
                }
            }
        }
    }

    fn act(&mut self) {
        let world = &mut self.world;
        let count = world.nodes.len();
        let place = self.random.usize(..count);
        let other = (place + self.random.usize(1..count)) % count;
        let target = world.name(other).as_str().to_owned();
        match self.random.u32(..20) {
            0..10 => {
                let has_id = self.random.bool();
                world.send(place, &target, self.random.usize(..2000), has_id);
            }
            10 => world.connect(place, &target),
            11..14 => world.replace_connection(place, other),
            14..17 => world.attacker_plays(place, other),
            17 => world.network.kill_connections(),
            18 => {
                world.stop(place, self.random.bool());
                start(world, place);
            }
            _ => world.stop_registry(true),
        }
    }
}

#[test]
fn who_holds_the_registry_takes_no_place_and_no_session() {
    run_seeds(DEFAULT_SEEDS, |seed| Walk::new(seed).run());
}

#[test]
fn without_any_demand_who_holds_the_registry_can_read_what_is_said() {
    // The other tests would mean nothing if he could not.
    let mut world = World::new(500, &["a", "b"]);
    world.attack(7);
    world.ledger.liars.extend(world.names.iter().cloned());
    world.start_all();
    for _ in 0..50 {
        world.send(0, "b", 100, false);
        world.replace_connection(0, 1);
        world.run_for(Duration::from_secs(2));
    }
    let attacker = attacker(&world);
    assert!(attacker.read > 0, "{} read", attacker.read);
    assert!(attacker.accepted > 0, "{} accepted", attacker.accepted);
}

/// `a` and `b` have never met, and everything of theirs goes through the attacker.
fn strangers(secret: [Option<&str>; 2]) -> World<FakeStack> {
    let mut world = World::new(501, &["a", "b"]);
    for (place, secret) in secret.into_iter().enumerate() {
        world.settings.trust.secret = secret.map(|secret| Secret::new(secret.to_owned()));
        world.start(place);
    }
    world
}

fn is_connected(event: &Event) -> bool {
    matches!(event, Event::PeerConnected { .. })
}

#[test]
fn what_waits_for_one_who_cannot_prove_himself_is_refused_at_once() {
    for (secrets, refuses) in [
        (
            [Some("one secret here"), Some("another secret")],
            [true, true],
        ),
        ([Some("one secret here"), None], [true, false]),
    ] {
        let mut world = strangers(secrets);
        world.send(0, "b", 100, true);
        world.send(1, "a", 100, true);
        world.connect(0, "b");
        world.run_for(Duration::from_secs(3));
        assert_eq!(world.ledger.deliveries, 0);
        for (place, refuses) in refuses.into_iter().enumerate() {
            if refuses {
                assert_eq!(world.count(place, is_connected), 0, "{secrets:?}");
                let drops = world.nodes[place].mesh.totals.drops.untrusted_peers;
                assert!(drops > 0, "{secrets:?}");
            }
        }
        assert!(world.ledger.failures_of(ErrorCode::UntrustedPeer) >= 1);
        assert!(!world.ledger.misses_answer(world.now, 0));
    }
}

#[test]
fn those_who_know_the_secret_talk_and_go_on_with_their_session() {
    let secret = Some("the secret of both");
    let mut world = strangers([secret, secret]);
    world.run_until_connected(CONNECTED);
    world.send(0, "b", 100, true);
    world.replace_connection(1, 0);
    world.send(1, "a", 100, true);
    world.settle(CONNECTED);
    assert_eq!((world.ledger.deliveries, world.ledger.failed()), (2, 0));
    let is_new = |event: &Event| matches!(event, Event::PeerConnected { resumed: false, .. });
    assert_eq!(world.count(0, is_new), 1);
}

/// Two who know the secret are connected. `a` has said hello on a new connection, to somebody who says nothing.
fn silently_answered(seed: u64) -> World<FakeStack> {
    let mut world = Demand::Secret.world(seed, &["a", "b"], KEPT);
    world.run_for(Duration::from_secs(1));
    world.attack(seed);
    world.attacker.as_mut().unwrap().answers = Some(0);
    world.replace_connection(0, 1);
    world.run_until(CONNECTED, "hello said", |world| {
        let mut connections = world.nodes[0].mesh.connections_of(world.name(1));
        connections.any(|(_, other)| other.handshake.sent && !other.is_ready())
    });
    world
}

fn current(world: &World<FakeStack>) -> ConnectionId {
    world.nodes[0].mesh.peers[world.name(1)].current.unwrap()
}

#[test]
fn a_proven_connection_does_not_give_way_to_an_unproven_one() {
    let mut world = silently_answered(507);
    let before = current(&world);
    world.replace_connection(1, 0);
    world.run_until(CONNECTED, "taken", |world| current(world) != before);
    let mesh = &world.nodes[0].mesh;
    assert_eq!(mesh.connections[&current(&world)].role, Role::Answerer);
    assert_eq!(mesh.totals.drops.untrusted_peers, 0);
    world.send(1, "a", 100, true);
    world.settle(CONNECTED);
    assert_eq!(world.ledger.deliveries, 1);
}

#[test]
fn who_proves_nothing_does_not_cost_the_connection_in_use() {
    let mut world = silently_answered(508);
    let is_lost = |event: &Event| matches!(event, Event::PeerDisconnected { .. });
    world.send(1, "a", 100, true);
    world.send(0, "b", 100, true);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.ledger.deliveries, 1, "`a` takes nothing as long");
    world.settle(CONNECTED);
    assert_eq!((world.ledger.deliveries, world.ledger.failed()), (2, 0));
    assert_eq!((world.count(0, is_lost), world.count(1, is_lost)), (0, 0));
}

#[test]
fn an_old_distrust_says_nothing_about_a_later_failure() {
    let mut world = Demand::FirstUse.world(509, &["a", "b"], Duration::from_secs(20));
    let peer = world.name(1).clone();
    let (now, distrust) = (world.now, Distrust::NoProof);
    world.nodes[0].mesh.refuse_untrusted(now, &peer, &distrust);
    world.run_for(Duration::from_secs(30));
    world.stop(1, true);
    world.send(0, "b", 100, true);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.ledger.failures_of(ErrorCode::UntrustedPeer), 0);
    assert_eq!(world.ledger.failed(), 1);
}

#[test]
fn with_a_secret_nobody_gives_his_place_up_for_an_unproven_offer() {
    for (secret, keeps) in [(Some("the secret of this mesh"), true), (None, false)] {
        let mut world = World::new(510, &["a", "b", "c"]);
        world.settings.trust.secret = secret.map(|secret| Secret::new(secret.to_owned()));
        world.settings.mode = MeshMode::Lazy;
        world.start(1);
        world.start(2);
        world.settings.max_peers = 1;
        world.start(0);
        world.send(1, "a", 100, true);
        world.run_for(limits::ROOM_IDLE * 2);
        world.send(2, "a", 100, true);
        world.run_for(Duration::from_secs(3));
        assert_eq!(world.are_connected(0, 1), keeps);
    }
}

#[test]
fn others_are_refused_with_a_secret_unless_they_are_let_in() {
    for allows in [false, true] {
        let mut world = World::with_foreign(502, &["a"], &["c"]);
        let trust = &mut world.settings.trust;
        trust.secret = Some(Secret::new("the secret of this mesh".to_owned()));
        trust.allow_unproven = allows;
        world.start_all();
        world.send(0, "c", 100, true);
        world.run_for(Duration::from_secs(3));
        let failed = world.ledger.failures_of(ErrorCode::UntrustedPeer);
        let expected = if allows { (1, 0) } else { (0, 1) };
        assert_eq!((world.ledger.deliveries, failed), expected);
        assert_eq!(world.count(0, is_connected), usize::from(allows));
    }
}

#[test]
fn a_peer_with_another_certificate_is_refused_at_first_use_and_after() {
    let mut world = Demand::FirstUse.world(503, &["a", "b"], Duration::from_secs(20));
    let remembered = world.nodes[0].mesh.poll_known_peer().unwrap();
    assert_eq!(remembered.peer.as_str(), "b");
    assert_eq!(world.nodes[0].mesh.poll_known_peer(), None);
    // `b` has lost its identity.
    world.stop(1, true);
    world.start(1);
    world.run_for(Duration::from_secs(10));
    world.send(0, "b", 100, true);
    world.run_for(world.settings.recovery_timeout * 2);
    assert_eq!(world.ledger.deliveries, 0);
    assert_eq!(world.ledger.failures_of(ErrorCode::UntrustedPeer), 1);
    // And has found it again.
    world.stop(1, true);
    start(&mut world, 1);
    world.send(0, "b", 100, true);
    world.run_until(HEALING, "delivered", |world| world.ledger.deliveries == 1);
}

#[test]
fn only_known_peers_are_trusted_if_so_demanded() {
    let mut world = World::new(504, &["a", "b"]);
    world.settings.trust.peers = PeerTrust::Known;
    start(&mut world, 0);
    world.settings.trust.peers = PeerTrust::Registry;
    start(&mut world, 1);
    world.send(0, "b", 100, true);
    world.run_for(Duration::from_secs(3));
    assert_eq!(world.ledger.failures_of(ErrorCode::UntrustedPeer), 1);
    let line = format!("sha-256 {} b\n", super::fake_link::certificate(101));
    let known = crate::mesh::trust::known_peers::KnownPeers::parse("file".into(), &line);
    world.nodes[0].mesh.set_known_peers(known.unwrap());
    world.send(0, "b", 100, true);
    world.run_until(HEALING, "delivered", |world| world.ledger.deliveries == 1);
}

#[test]
fn who_is_not_allowed_is_neither_offered_to_nor_answered() {
    use crate::mesh::trust::allowed_peers::AllowedPeers;
    for allowing in [0, 1] {
        let mut world = World::new(505, &["a", "b", "c"]);
        for place in 0..3 {
            world.settings.trust.allowed = match place == allowing {
                true => AllowedPeers::of(vec!["c*".into()]),
                false => AllowedPeers::default(),
            };
            world.start(place);
        }
        world.run_for(CONNECTED);
        let (other, allowed) = (1 - allowing, 2);
        assert!(world.are_connected(allowing, allowed));
        assert!(
            !world.nodes[allowing]
                .mesh
                .peers
                .contains_key(world.name(other))
        );
        let target = world.name(other).as_str().to_owned();
        world.send(allowing, &target, 100, true);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.ledger.failures_of(ErrorCode::UntrustedPeer), 1);
        let told = world.count(other, is_connected);
        assert_eq!(told, 1, "of {allowed} alone");
    }
}
