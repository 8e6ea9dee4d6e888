//! What a peer may do, and may not, that brings signals of others over its connection.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::healing;
use super::world::World;
use crate::limits;
use crate::mesh::link::Channel;
use crate::protocol::PeerId;
use crate::protocol::control::Control;
use crate::protocol::signaling::{Extension, Outgoing, Signal};

const SOON: Duration = Duration::from_millis(100);
const CONNECTED: Duration = Duration::from_secs(3);

/// `a`, `b` and `c`, connected with each other.
fn three(seed: u64) -> World<FakeStack> {
    let mut world = World::new(seed, &["a", "b", "c"]);
    world.start_all();
    world.run_until_connected(CONNECTED);
    world.run_for(Duration::from_secs(1));
    world
}

/// The frame of a signal about an attempt of which nobody knows.
fn frame(sender: &str, target: &str, signal: Signal, session: Option<String>) -> String {
    let conn = Some(format!("c{}", fastrand::u32(..)));
    frame_of(conn, sender, target, signal, session)
}

fn frame_of(
    conn: Option<String>,
    sender: &str,
    target: &str,
    signal: Signal,
    session: Option<String>,
) -> String {
    let [sender, target] = [sender, target].map(|name| PeerId::new(name).unwrap());
    let extension = Extension {
        ours: true,
        conn,
        session,
        refused: None,
    };
    let signal = Outgoing::Relay {
        target,
        signal,
        extension,
    };
    let text = signal.to_text(&sender);
    Control::Frame { text }.to_text()
}

fn offer(certificate: &str) -> Signal {
    let sdp = format!("v=0\r\na=fake-tag:abc1\r\na=fingerprint:sha-256 {certificate}\r\n");
    Signal::Offer { sdp }
}

/// `c` sends `a` these bytes on `mesh-control`.
fn c_brings(world: &mut World<FakeStack>, text: &str) {
    let (now, a) = (world.now, world.name(0).clone());
    let mesh = &mut world.nodes[2].mesh;
    let id = mesh.peers[&a].current.unwrap();
    let connection = mesh.connections.get_mut(&id).unwrap();
    connection.write(Channel::Control, text.as_bytes()).unwrap();
    mesh.drive(now, id);
    world.after_input(2);
    world.run_for(SOON);
}

/// The session and the certificate of `b`, as `a` knows them.
fn known_of_b(world: &World<FakeStack>) -> (Option<String>, String) {
    let peer = &world.nodes[0].mesh.peers[world.name(1)];
    let theirs = peer.session.theirs().unwrap().clone();
    (Some(theirs.session), theirs.certificate.unwrap())
}

fn connections_to_b(world: &World<FakeStack>) -> usize {
    let peer = &world.nodes[0].mesh.peers[world.name(1)];
    peer.connections.len()
}

#[test]
fn a_peer_that_is_well_is_not_introduced() {
    let mut world = three(900);
    let (session, certificate) = known_of_b(&world);
    for session in [session, None, Some("another".to_owned())] {
        c_brings(&mut world, &frame("b", "a", offer(&certificate), session));
        assert_eq!(connections_to_b(&world), 1);
    }
    assert!(world.are_connected(0, 1));
}

#[test]
fn whoever_introduces_another_certificate_or_session_is_not_believed() {
    let mut world = three(901);
    let (session, certificate) = known_of_b(&world);
    world.stop_registry(false);
    world.network.partition(0, 1);
    world.run_for(Duration::from_secs(6));
    let before = connections_to_b(&world);
    let own = super::fake_link::certificate(1);
    let twice = format!(" {certificate}\r\na=fingerprint:sha-256 {own}");
    let foreign = [
        frame(
            "b",
            "a",
            offer(&super::fake_link::certificate(1)),
            session.clone(),
        ),
        // What the stack would not read, and then what it would.
        frame("b", "a", offer(&twice), session.clone()),
        frame("b", "a", offer(&certificate), Some("another".to_owned())),
        frame("b", "a", offer(&certificate), None),
        // One that was never met.
        frame("x", "a", offer("FF"), None),
    ];
    for text in foreign {
        c_brings(&mut world, &text);
        assert!(connections_to_b(&world) <= before);
        assert!(
            !world.nodes[0]
                .mesh
                .peers
                .contains_key(&PeerId::new("x").unwrap())
        );
    }
    c_brings(&mut world, &frame("b", "a", offer(&certificate), session));
    let is_answered = world.nodes[0].mesh.connections.values().any(|connection| {
        connection.peer == *world.name(1) && connection.introducers.contains(world.name(2))
    });
    assert!(is_answered, "the right one is answered");
}

#[test]
fn offers_of_an_introducer_stand_back_behind_a_young_attempt_and_have_a_measure() {
    let mut world = three(906);
    let (session, certificate) = known_of_b(&world);
    world.stop_registry(false);
    world.network.partition(0, 1);
    world.run_for(Duration::from_secs(6));
    let before = world.nodes[0].mesh.next_connection;
    let brings = |world: &mut World<FakeStack>, count: u32| {
        for _ in 0..count {
            let text = frame("b", "a", offer(&certificate), session.clone());
            c_brings(world, &text);
        }
    };
    brings(&mut world, 5);
    let made = world.nodes[0].mesh.next_connection - before;
    assert!((1..=2).contains(&made), "{made} in half a second");
    // Each of them costs a connection, so there are not many whatever the introducer brings.
    brings(&mut world, 100);
    let seconds = 105 * SOON.as_millis() as u64 / 1000;
    let made = world.nodes[0].mesh.next_connection - before;
    let most = u64::from(limits::INTRODUCED_OFFERS.0) + 2 * seconds;
    assert!(made <= most, "{made} in {seconds} s");
}

#[test]
fn whose_offer_the_registry_has_brought_without_listing_him_is_not_introduced() {
    let mut world = three(907);
    let now = world.now;
    let x = PeerId::new("x").unwrap();
    let roster = &mut world.nodes[0].mesh.roster;
    roster.heard_of(&x);
    assert!(roster.lists(&x) && !roster.has_listed(&x));
    roster.update(now, vec![x.clone()]);
    assert!(roster.has_listed(&x));
}

#[test]
fn a_new_address_of_a_peer_is_taken_from_an_introducer_for_the_connection_that_it_has() {
    let mut world = three(905);
    let given = |world: &World<FakeStack>| {
        let current = world.nodes[0].mesh.current_of(world.name(1)).unwrap();
        (current.link.candidates, current.attempt.clone())
    };
    let signal = Signal::Candidate {
        candidate: "candidate:1 1 udp 1 10.1.0.9 9 typ host".to_owned(),
    };
    let (before, attempt) = given(&world);
    c_brings(&mut world, &frame("b", "a", signal.clone(), None));
    assert_eq!(given(&world).0, before, "of another attempt");
    let text = frame_of(attempt, "b", "a", signal, None);
    c_brings(&mut world, &text);
    assert_eq!(given(&world).0, before + 1);
}

#[test]
fn signals_without_end_are_counted_and_passed_on_by_measure() {
    let mut world = three(902);
    let signal = || Signal::Candidate {
        candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host".to_owned(),
    };
    let text = frame("c", "b", signal(), None);
    for _ in 0..3 * limits::SIGNALS_TO_PASS.0 {
        c_brings(&mut world, &text);
    }
    let seconds = 3 * limits::SIGNALS_TO_PASS.0 * SOON.as_millis() as u32 / 1000;
    let passed = limits::SIGNALS_TO_PASS.0 + 2 * seconds + 2;
    let ignored = world.nodes[0].mesh.totals.drops.ignored_frames;
    assert!(ignored >= u64::from(3 * limits::SIGNALS_TO_PASS.0 - passed));
    assert!(world.all_connected());
}

#[test]
fn a_frame_is_passed_on_once_and_only_for_who_has_sent_it() {
    let mut world = three(903);
    world.network.partition(0, 1);
    let candidate = "candidate:1 1 udp 1 192.0.2.1 9 typ host".to_owned();
    let signal = Signal::Candidate { candidate };
    let before = world.nodes[1].mesh.totals.drops.ignored_candidates;
    // `a` is to pass on what `c` says that `b` has said.
    c_brings(&mut world, &frame("b", "c", signal.clone(), None));
    c_brings(&mut world, &frame("x", "b", signal, None));
    assert_eq!(world.nodes[1].mesh.totals.drops.ignored_candidates, before);
    assert!(
        world.nodes[1]
            .mesh
            .peers
            .values()
            .all(|peer| peer.early.is_empty())
    );
}

#[test]
fn of_many_peers_of_whom_one_knows_both_that_one_is_found() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let mut world = World::new(904, &names);
    world.start_all();
    world.run_until_connected(CONNECTED);
    world.stop_registry(false);
    // Only `i` reaches `b`, whose addresses are others now.
    let others = 2..names.len() - 1;
    for other in others.chain([0]) {
        world.network.partition(other, 1);
    }
    world.run_for(Duration::from_secs(8));
    // Neither of the two knows the other's new addresses.
    for place in [0, 1] {
        healing::move_away(&mut world, place, 2, 6000);
    }
    world.run_for(Duration::from_secs(2));
    world.network.unblock(0, 1);
    world.send(0, "b", 100, true);
    world.run_until(Duration::from_secs(6), "found", |world| {
        world.ledger.deliveries == 1
    });
}
