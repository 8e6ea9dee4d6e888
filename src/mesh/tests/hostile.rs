//! Commands that cannot be carried out, and peers that send nonsense.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::link_pair::LinkPair;
use super::world::{MAX_MESSAGE_BYTES, World};
use crate::limits;
use crate::mesh::MeshMode;
use crate::mesh::link::{Channel, Datagram, Link, Linker, Packets, Transmit};
use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorCode, Event};
use crate::protocol::signaling::{Extension, Incoming, Signal};

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(2);
const HEALED: Duration = Duration::from_secs(40);

#[test]
fn a_peer_that_nobody_knows_is_unknown() {
    let mut world = World::connected(60);
    world.send(0, "nobody", 100, true);
    world.send(0, "a", 100, false);
    world.run_for(SOON);
    assert_eq!(world.ledger.failures_of(ErrorCode::UnknownPeer), 2);
    assert_eq!(world.nodes[0].mesh.peers.len(), 1);
}

#[test]
fn beyond_max_peers_others_are_refused_and_room_is_made_when_one_goes() {
    let mut world = World::new(61, &["a", "b", "c"]);
    world.settings.max_peers = 1;
    world.start_all();
    world.run_for(SOON);
    let connected_to = |world: &World<FakeStack>| world.nodes[0].mesh.reachable().count();
    assert_eq!(connected_to(&world), 1);
    world.broadcast(0, 100, true);
    for target in ["b", "c"] {
        world.send(0, target, 100, true);
    }
    world.run_for(MOMENT);
    assert_eq!(world.ledger.failures_of(ErrorCode::TooManyPeers), 1);
    let peer = world.nodes[0].mesh.reachable().next().unwrap().clone();
    let place = world.places[&peer];
    world.stop(place, true);
    world.run_for(world.settings.recovery_timeout * 3);
    assert_eq!(connected_to(&world), 1, "the other took its place");
}

#[test]
fn a_message_larger_than_the_peer_takes_is_refused() {
    let mut world = World::connected(62);
    world.send(0, "b", MAX_MESSAGE_BYTES + 1, true);
    world.send(0, "b", MAX_MESSAGE_BYTES, true);
    world.run_for(SOON);
    assert_eq!(world.ledger.failures_of(ErrorCode::MessageTooLarge), 1);
    assert_eq!(world.ledger.deliveries, 1);
    // One that announces no size is sent less than 64 KiB.
    let make = |seed| FakeStack::new(seed, None);
    let mut world = World::of(63, &["a", "b"], &[], Box::new(make));
    world.start_all();
    world.send(0, "b", 65_536, true);
    world.send(0, "b", 65_535, true);
    world.run_for(SOON);
    assert_eq!(world.ledger.failures_of(ErrorCode::MessageTooLarge), 1);
    world.send(0, "b", 65_536, true);
    world.settle(SOON);
    assert_eq!(world.ledger.failures_of(ErrorCode::MessageTooLarge), 2);
    assert_eq!(world.ledger.deliveries, 1);
}

#[test]
fn bad_lines_are_answered_and_survived() {
    let mut world = World::connected(64);
    for line in [
        "",
        "{",
        "[]",
        r#"{"type":1}"#,
        r#"{"type":"send","payload":{}}"#,
    ] {
        world.write_line(0, line);
    }
    world.send(0, "b", 100, true);
    world.list_peers(0);
    world.ask_statistics(0);
    world.settle(SOON);
    assert_eq!(world.ledger.deliveries, 1);
}

#[test]
fn nonsense_through_the_registry_harms_nothing() {
    let mut world = World::connected(65);
    let texts = ["", "v=0\r\n", "a=fake-tag:xyz\r\n", "candidate:", "\u{0}"];
    for (number, text) in texts.iter().cycle().take(3000).enumerate() {
        let (sdp, candidate) = (text.to_string(), text.to_string());
        let signal = match number % 3 {
            0 => Signal::Offer { sdp },
            1 => Signal::Answer { sdp },
            _ => Signal::Candidate { candidate },
        };
        let sender = ["b", "x", "a"][number / 3 % 3];
        let frame = Incoming::Relay {
            sender: PeerId::new(sender).unwrap(),
            target: None,
            signal,
            extension: Extension {
                ours: number % 2 == 0,
                conn: (number % 5 > 0).then(|| format!("c{number}")),
                ..Extension::default()
            },
        };
        let now = world.now;
        world.nodes[0].mesh.handle_frame(now, frame);
        world.after_input(0);
        world.run_for(Duration::from_millis(7));
    }
    world.send(0, "b", 100, true);
    world.send(1, "a", 100, true);
    world.run_for(limits::EARLY_CANDIDATE_LIFETIME + SOON);
    world.settle(SOON);
    assert_eq!(
        world.nodes[0].mesh.peers.len(),
        1,
        "nobody else is remembered"
    );
    assert_eq!(world.ledger.failed(), 0);
}

/// A new offer of one of ours, on the fake stack.
fn offer(name: &str, number: usize) -> Incoming {
    Incoming::Relay {
        sender: PeerId::new(name).unwrap(),
        target: None,
        signal: Signal::Offer {
            sdp: format!("v=0\r\na=fake-tag:{number:x}1\r\n"),
        },
        extension: Extension {
            ours: true,
            conn: Some(format!("c{number}")),
            ..Extension::default()
        },
    }
}

#[test]
fn offers_without_end_make_no_connections_without_end() {
    let mut world = World::connected(66);
    for number in 0..500 {
        let frame = offer("b", number);
        let now = world.now;
        world.nodes[0].mesh.handle_frame(now, frame);
        world.after_input(0);
    }
    assert!(world.nodes[0].mesh.next_connection <= 2 + u64::from(limits::OFFER_BURST));
    world.send(0, "b", 100, true);
    world.settle(Duration::from_secs(60));
    assert_eq!(world.ledger.failed(), 0);
}

/// Writes to a channel of the connection that `b` has to `a`.
pub(super) fn write(world: &mut World<FakeStack>, channel: Channel, bytes: &[u8]) {
    let now = world.now;
    let mesh = &mut world.nodes[1].mesh;
    let id = mesh.peers.values().next().unwrap().current.unwrap();
    let link = &mut mesh.connections.get_mut(&id).unwrap().link;
    assert!(link.write(channel, bytes).unwrap());
    mesh.drive(now, id);
    world.after_input(1);
    world.run_for(MOMENT);
}

#[test]
fn nonsense_on_the_control_channel_is_ignored() {
    let mut world = World::connected(67);
    for frame in [
        "",
        "{}",
        "nonsense",
        r#"{"ack":-1,"window":0}"#,
        r#"{"hello":{"session":"x","received":7}}"#,
        r#"{"hello":{}}"#,
        r#"{"ping":{"deep":[1]}}"#,
        r#"{"unknown":1}"#,
    ] {
        write(&mut world, Channel::Control, frame.as_bytes());
    }
    write(&mut world, Channel::Control, &vec![b'x'; 10_000]);
    world.send(0, "b", 100, true);
    world.send(1, "a", 100, true);
    world.settle(SOON);
    assert_eq!(world.ledger.deliveries, 2);
}

#[test]
fn a_window_of_nothing_stops_and_starts_again() {
    let mut world = World::connected(68);
    write(&mut world, Channel::Control, br#"{"ack":0,"window":0}"#);
    world.send(0, "b", 100, true);
    world.run_for(MOMENT);
    assert_eq!(world.ledger.deliveries, 0);
    write(&mut world, Channel::Control, br#"{"ack":0,"window":1}"#);
    world.run_for(MOMENT);
    assert_eq!(world.ledger.deliveries, 1);
}

#[test]
fn what_is_no_mesh_message_is_dropped_counted_and_acknowledged() {
    let mut world = World::connected(69);
    for _ in 0..200 {
        for unusable in [&b""[..], b"\xff\xfe", b"[]", b"{\"no\":\"type\"}"] {
            // As a message of its session: what is written is numbered.
            let now = world.now;
            let mesh = &mut world.nodes[1].mesh;
            let id = mesh.peers.values().next().unwrap().current.unwrap();
            let link = &mut mesh.connections.get_mut(&id).unwrap().link;
            assert!(link.write(Channel::Mesh, unusable).unwrap());
            mesh.drive(now, id);
            world.after_input(1);
        }
        world.run_for(Duration::from_millis(5));
    }
    let mesh = &world.nodes[0].mesh;
    assert_eq!(mesh.totals.drops.unusable_messages, 800);
    let peer = mesh.peers.values().next().unwrap();
    assert_eq!(peer.session.taken(), 800);
    // What the other believes to have sent cannot be told any more, but our direction works.
    world.send(0, "b", 100, true);
    world.run_for(SOON);
    assert_eq!(world.ledger.deliveries, 1);
}

/// Has `b` write to the mesh channel of its connection to `a`, past its session, while it may.
fn flood(world: &mut World<FakeStack>, messages: usize, bytes: &[u8]) {
    for _ in 0..messages.div_ceil(100) {
        let now = world.now;
        let mesh = &mut world.nodes[1].mesh;
        let Some(id) = mesh.peers.values().next().and_then(|peer| peer.current) else {
            return;
        };
        let link = &mut mesh.connections.get_mut(&id).unwrap().link;
        for _ in 0..100 {
            assert!(link.write(Channel::Mesh, bytes).unwrap());
        }
        mesh.drive(now, id);
        world.after_input(1);
        world.run_for(Duration::from_millis(5));
    }
}

#[test]
fn unusable_messages_without_end_behind_one_that_waits_take_no_room() {
    let mut world = World::connected(72);
    world.agent_stalls(0);
    world.send(1, "a", 100, true);
    world.run_for(MOMENT);
    flood(&mut world, 20_000, b"x");
    let peer = world.nodes[0].mesh.peers.values().next().unwrap();
    assert_eq!((peer.session.taken(), peer.session.unusable_runs()), (0, 1));
    world.agent_resumes(0);
    // What `b` has not written it does not let count as taken: it ends the session.
    world.excuse(0, 1);
    world.run_until(SOON, "all taken", |world| {
        let peer = world.nodes[0].mesh.peers.values().next().unwrap();
        peer.session.taken() == 20_001
    });
    assert_eq!(world.ledger.deliveries, 1);
    world.settle(HEALED);
}

#[test]
fn messages_without_end_before_the_hello_end_the_connection() {
    let mut world = World::connected(73);
    let mesh = &mut world.nodes[0].mesh;
    let id = mesh.peers.values().next().unwrap().current.unwrap();
    // As if it had not been said yet.
    let connection = mesh.connections.get_mut(&id).unwrap();
    connection.handshake.received = false;
    flood(&mut world, 2 * limits::EARLY_MESSAGES, b"");
    assert!(!world.nodes[0].mesh.connections.contains_key(&id));
}

/// `b` has died without a word, but `forged` comes in again and again, from its address: `a` must miss
/// it all the same.
pub(super) fn check_missed<K: Linker>(world: &mut World<K>, forged: &[Transmit]) {
    let died = world.now;
    let lost = |event: &Event| matches!(event, Event::PeerDisconnected { .. });
    while world.count(0, lost) == 0 {
        let silence = world.now - died;
        assert!(silence < Duration::from_millis(5400), "{silence:?}");
        world.run_for(MOMENT);
        for forged in forged {
            let now = world.now;
            let datagram = Datagram {
                destination: forged.destination,
                source: forged.source,
                bytes: &forged.bytes,
            };
            world.nodes[0].mesh.handle_datagram(now, datagram);
            world.after_input(0);
        }
    }
}

#[test]
fn what_anybody_could_send_from_a_peers_address_does_not_keep_it_alive() {
    let mut world = World::connected(70);
    let path = world.nodes[0].mesh.current_of(world.name(1)).unwrap().path;
    let path = path.unwrap();
    world.stop(1, false);
    let forged = [0, 1, 22, 23].map(|first| Transmit {
        source: path.remote,
        destination: path.local,
        bytes: [&[first][..], &[7; 60]].concat(),
    });
    check_missed(&mut world, &forged);
}

/// The peer knows our password, so its checks are true wherever they come from.
#[test]
fn checks_from_ever_new_addresses_are_not_taken_without_end() {
    let mut pair = LinkPair::connect(Packets::Full);
    let first = &mut pair.ends[0].link;
    first.ask(pair.now, LinkPair::address(0), LinkPair::address(1));
    pair.drain(0);
    let check = pair.ends[0].sent.pop_front().unwrap();
    let mut take = |port: u16| {
        let datagram = Datagram {
            destination: LinkPair::address(1),
            source: ([198, 51, 100, 7], port).into(),
            bytes: &check,
        };
        let second = &mut pair.ends[1].link;
        let is_accepted = second.accepts(pair.now, &datagram);
        second.handle_datagram(pair.now, &datagram).unwrap();
        pair.drain(1);
        is_accepted
    };
    let taken: Vec<_> = (1..2000).filter(|port| take(*port)).collect();
    assert!(
        taken.len() <= limits::CHECK_SOURCES_PER_CONNECTION,
        "{} are taken",
        taken.len()
    );
    assert!(take(taken[0]), "what is known stays so");
    let answered = pair.ends[1].sent.len();
    assert!(answered < 1000, "{answered} checks and answers are sent");
    pair.ends[1].sent.clear();
    assert!(pair.write(1, b"it goes on"));
    pair.settle();
    assert_eq!(pair.ends[0].received, [b"it goes on"]);
}

#[test]
fn a_frame_of_a_type_that_nobody_knows_changes_nothing() {
    let mut world = World::connected(71);
    let now = world.now;
    let kind = "news".to_owned();
    let frame = Incoming::Unknown { kind };
    world.nodes[0].mesh.handle_frame(now, frame);
    world.after_input(0);
    world.send(0, "b", 100, true);
    world.settle(SOON);
    assert_eq!(world.ledger.deliveries, 1);
}

#[test]
fn offers_under_ever_new_names_make_few_connections_and_others_still_connect() {
    let mut world = World::connected(79);
    let before = world.nodes[0].mesh.next_connection;
    world.nodes[0].mesh.settings.max_peers = 10_000;
    let hear = |world: &mut World<FakeStack>, name: &str, number: usize| {
        let now = world.now;
        let frame = offer(name, number);
        world.nodes[0].mesh.handle_frame(now, frame);
        while world.nodes[0].mesh.poll_frame().is_some() {}
    };
    for number in 0..2000 {
        hear(&mut world, &format!("new-{number}"), number);
    }
    let made = world.nodes[0].mesh.next_connection - before;
    assert_eq!(made, u64::from(limits::STRANGER_BURST));
    assert_eq!(world.nodes[0].mesh.totals.drops.ignored_offers, 2000 - made);
    // Who was met before is not affected.
    hear(&mut world, "b", 2000);
    assert_eq!(world.nodes[0].mesh.next_connection - before, made + 1);
}

#[test]
fn candidates_under_ever_new_names_take_no_place_from_those_who_offer() {
    let mut world = World::connected(82);
    let (now, mesh) = (world.now, &mut world.nodes[0].mesh);
    mesh.settings.max_peers = 4;
    for number in 0..100 {
        let candidate = "candidate:1 1 udp 1 192.0.2.1 9 typ host".to_owned();
        let frame = Incoming::Relay {
            sender: PeerId::new(&format!("nobody-{number}")).unwrap(),
            target: None,
            signal: Signal::Candidate { candidate },
            extension: Extension::default(),
        };
        mesh.handle_frame(now, frame);
        assert!(mesh.peers.len() <= 4);
    }
    let before = mesh.next_connection;
    for number in 0..4 {
        mesh.handle_frame(now, offer(&format!("new-{number}"), number));
    }
    assert_eq!(mesh.next_connection - before, 3, "one place is b's");
    world.send(0, "b", 100, true);
    world.run_for(SOON);
    assert_eq!(world.ledger.deliveries, 1);
}

#[test]
fn offers_under_ever_new_names_keep_nobody_out_whom_a_lazy_sidecar_knows() {
    for sender in [0, 1] {
        let mut world = World::connected(83);
        for node in &mut world.nodes {
            node.mesh.settings.mode = MeshMode::Lazy;
        }
        world.nodes[0].mesh.settings.max_peers = 3;
        world.run_for(limits::ROOM_IDLE + SOON);
        let (now, b) = (world.now, world.name(1).clone());
        let mesh = &mut world.nodes[0].mesh;
        for number in 0..10 {
            mesh.handle_frame(now, offer(&format!("new-{number}"), number));
        }
        assert!(mesh.current_of(&b).is_none(), "it was idle");
        world.after_input(0);
        world.run_for(limits::UNHEARD_KEEPS_PLACE);
        let receiver = world.name(1 - sender).as_str().to_owned();
        world.send(sender, &receiver, 100, false);
        world.run_for(SOON);
        assert_eq!(world.ledger.deliveries, 1, "from {sender}");
    }
}

/// A lazy sidecar offers to nobody that is listed, and they are no strangers all the same.
#[test]
fn those_that_the_registry_lists_to_a_lazy_sidecar_are_all_answered() {
    const MANY: u64 = 200;
    let mut world = World::connected(81);
    let mesh = &mut world.nodes[0].mesh;
    mesh.settings.mode = MeshMode::Lazy;
    mesh.settings.max_peers = 10_000;
    let names: Vec<_> = (0..MANY).map(|number| format!("new-{number}")).collect();
    let listed = names.iter().map(|name| PeerId::new(name).unwrap());
    let list = Incoming::PeerList {
        peers: listed.collect(),
        left_out: 0,
    };
    mesh.handle_frame(world.now, list);
    let before = mesh.next_connection;
    for (number, name) in names.iter().enumerate() {
        mesh.handle_frame(world.now, offer(name, number));
    }
    assert_eq!(mesh.next_connection - before, MANY);
}

#[test]
fn a_list_of_ever_so_many_is_offered_to_a_few_at_a_time() {
    const MANY: u64 = 500;
    let (burst, interval) = limits::OWN_OFFERS;
    let mut world = World::connected(80);
    world.nodes[0].mesh.settings.max_peers = 10_000;
    let made = |world: &World<FakeStack>| world.nodes[0].mesh.next_connection;
    let before = made(&world);
    let names = (0..MANY).map(|number| PeerId::new(&format!("new-{number}")).unwrap());
    let list = Incoming::PeerList {
        peers: names.chain([world.name(1).clone()]).collect(),
        left_out: 0,
    };
    let now = world.now;
    world.nodes[0].mesh.handle_frame(now, list);
    let at_once = made(&world) - before;
    assert!(
        (1..=u64::from(burst)).contains(&at_once),
        "{at_once} at once"
    );
    world.after_input(0);
    world.run_for(interval * 10);
    let offered = made(&world) - before;
    assert!(offered <= u64::from(burst) + 10, "{offered} offers");
    world.run_for(interval * MANY as u32);
    assert_eq!(made(&world) - before, MANY);
    world.send(0, "b", 100, true);
    world.run_for(MOMENT);
    assert_eq!(world.ledger.deliveries, 1);
}
