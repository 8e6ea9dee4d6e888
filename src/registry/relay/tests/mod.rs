//! Clients of the server, good and bad ones, in simulated time.

mod garble;
mod shell;
mod world;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turn_client_proto::stun::types::attribute::{AttributeType, RawAttribute, XorMappedAddress};
use turn_client_proto::stun::types::message::{BINDING, Message, MessageClass, MessageWriteVec};
use turn_client_proto::types::attribute::{Data, Lifetime, RequestedTransport, XorPeerAddress};
use turn_client_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};
use turn_client_proto::types::stun::prelude::{MessageWrite as _, MessageWriteExt as _};

use super::messages;
use super::reaction::Reaction;
use crate::protocol::PeerId;
use crate::registry::limits;
use crate::secret::Secret;
use world::{Part, World, address, answer_of, channel, code, lifetime, over_udp, peer};

#[test]
fn a_binding_is_answered_to_anybody() {
    let mut world = World::new();
    let guest = world.guest("a", "198.51.100.7:4000");
    let request = world.message(BINDING, MessageClass::Request, &[]).finish();
    let answer = answer_of(world.says(&guest, &request));
    let answer = Message::from_bytes(&answer).unwrap();
    let mapped = answer.attribute::<XorMappedAddress>().unwrap();
    assert_eq!(mapped.addr(answer.transaction_id()), guest.client.address);
    let unknown = |message: &mut MessageWriteVec, _| {
        let change_request = RawAttribute::new(AttributeType::new(3), &[0, 0, 0, 2]);
        message.add_attribute(&change_request).unwrap();
    };
    let request = world
        .message(BINDING, MessageClass::Request, &[&unknown])
        .finish();
    assert_eq!(code(&answer_of(world.says(&guest, &request))), 420);
}

#[test]
fn an_allocation_needs_a_login() {
    let mut world = World::new();
    let mut guest = world.guest("a", "198.51.100.7:4000");
    world.greet(&mut guest);
    let good = guest.login.clone();
    guest.login.password = Secret::new("wrong".to_owned());
    assert_eq!(world.asks(&guest, ALLOCATE, &[&over_udp]), 401);
    guest.login.username = good.username.replace(":a", ":b");
    guest.login.password = good.password.clone();
    assert_eq!(
        world.asks(&guest, ALLOCATE, &[&over_udp]),
        401,
        "another's name"
    );
    guest.login.username = "9999999999:a".to_owned();
    assert_eq!(
        world.asks(&guest, ALLOCATE, &[&over_udp]),
        401,
        "a longer life"
    );
    guest.login = good;
    guest.nonce = "1-00".to_owned();
    assert_eq!(world.asks(&guest, ALLOCATE, &[&over_udp]), 438);
    assert!(!world.turn.has_allocation(guest.client));
    let (id, answer) = world.allocate(&mut guest);
    assert!(id.is_some());
    assert_eq!(code(&answer), 0);
}

#[test]
fn a_login_and_a_nonce_are_over_some_time() {
    let mut world = World::new();
    let (mut guest, ..) = world.lodger("a", "198.51.100.7:4000");
    assert_eq!(world.asks(&guest, REFRESH, &[&lifetime(3600)]), 0);
    for _ in 0..limits::RELAY_LOGIN_LIFETIME.as_secs() / 1800 - 1 {
        world.wait(Duration::from_secs(1800));
        if world.asks(&guest, REFRESH, &[&lifetime(3600)]) == 438 {
            world.greet(&mut guest);
            assert_eq!(world.asks(&guest, REFRESH, &[&lifetime(3600)]), 0);
        }
    }
    world.wait(Duration::from_secs(1800));
    world.greet(&mut guest);
    assert_eq!(world.asks(&guest, REFRESH, &[&lifetime(3600)]), 401);
    let other = world.guest("a", "198.51.100.7:4000");
    guest.login = other.login;
    assert_eq!(
        world.asks(&guest, REFRESH, &[]),
        441,
        "it is another login's"
    );
}

#[test]
fn an_allocation_that_is_asked_for_again_is_the_same() {
    let mut world = World::new();
    let mut guest = world.guest("a", "198.51.100.7:4000");
    world.greet(&mut guest);
    let request = world.signed(&guest, ALLOCATE, &[&over_udp, &lifetime(9)]);
    let Reaction::Open(opening) = world.says(&guest, &request) else {
        panic!("no allocation");
    };
    let relayed = address("198.51.100.1:50000");
    let (_, first) = world
        .turn
        .opened(world.now.at, *opening, Some(relayed))
        .unwrap();
    let message = Message::from_bytes(&first).unwrap();
    assert_eq!(message.attribute::<Lifetime>().unwrap().seconds(), 600);
    assert_eq!(answer_of(world.says(&guest, &request)), first);
    assert_eq!(world.asks(&guest, ALLOCATE, &[&over_udp]), 437);
}

#[test]
fn what_cannot_be_lent_is_refused() {
    let mut world = World::new();
    let mut guest = world.guest("a", "198.51.100.7:4000");
    world.greet(&mut guest);
    let over_tcp = |message: &mut MessageWriteVec, _| {
        let tcp = RequestedTransport::new(RequestedTransport::TCP);
        message.add_attribute(&tcp).unwrap();
    };
    let ipv6 = |message: &mut MessageWriteVec, _| {
        let family = RawAttribute::new(AttributeType::new(0x17), &[2, 0, 0, 0]);
        message.add_attribute(&family).unwrap();
    };
    let even_port = |message: &mut MessageWriteVec, _| {
        let even = RawAttribute::new(AttributeType::new(0x18), &[0]);
        message.add_attribute(&even).unwrap();
    };
    assert_eq!(world.asks(&guest, ALLOCATE, &[]), 400);
    assert_eq!(world.asks(&guest, ALLOCATE, &[&over_tcp]), 442);
    assert_eq!(world.asks(&guest, ALLOCATE, &[&over_udp, &ipv6]), 440);
    assert_eq!(world.asks(&guest, ALLOCATE, &[&over_udp, &even_port]), 420);
    assert_eq!(world.asks(&guest, REFRESH, &[]), 437);
    assert_eq!(
        world.asks(&guest, CREATE_PERMISSION, &[&peer("8.8.8.8:1")]),
        437
    );
    // The system has no socket for it.
    let request = world.signed(&guest, ALLOCATE, &[&over_udp]);
    let Reaction::Open(opening) = world.says(&guest, &request) else {
        panic!("no allocation");
    };
    let (id, answer) = world.turn.opened(world.now.at, *opening, None).unwrap();
    assert_eq!((id, code(&answer)), (None, 508));
    assert!(!world.turn.has_allocation(guest.client));
}

#[test]
fn data_passes_between_a_client_and_the_peers_it_permits() {
    let mut world = World::new();
    let (guest, id, _) = world.lodger("a", "198.51.100.7:4000");
    let (friend, stranger) = (address("203.0.113.5:9"), address("203.0.113.6:9"));
    let now = world.now.at;
    assert!(matches!(
        world.sends(&guest, friend, b"hello"),
        Reaction::Nothing
    ));
    assert!(
        world
            .turn
            .peer_datagram(now, id, friend, b"hello")
            .is_none()
    );

    assert_eq!(
        world.asks(&guest, CREATE_PERMISSION, &[&peer("203.0.113.5:1")]),
        0
    );
    let Reaction::Forward(from, to, _) = world.sends(&guest, friend, b"hello") else {
        panic!("it is not relayed");
    };
    assert_eq!((from, to), (id, friend));
    let (client, message) = world.turn.peer_datagram(now, id, friend, b"hi").unwrap();
    assert_eq!(client, guest.client);
    let message = Message::from_bytes(&message).unwrap();
    assert_eq!(message.attribute::<Data>().unwrap().data(), b"hi");
    let from = message.attribute::<XorPeerAddress>().unwrap();
    assert_eq!(from.addr(message.transaction_id()), friend);
    assert!(world.turn.peer_datagram(now, id, stranger, b"hi").is_none());

    let bind: [Part<'_>; 2] = [&channel(0x4001), &peer("203.0.113.5:9")];
    assert_eq!(world.asks(&guest, CHANNEL_BIND, &bind), 0);
    let data = messages::to_channel(0x4001, b"hello").unwrap();
    let Reaction::Forward(_, to, range) = world.says(&guest, &data) else {
        panic!("it is not relayed");
    };
    assert_eq!((to, &data[range]), (friend, &b"hello"[..]));
    let back = world.turn.peer_datagram(now, id, friend, b"hi").unwrap().1;
    assert_eq!(back, messages::to_channel(0x4001, b"hi").unwrap());

    world.wait(limits::PERMISSION_LIFETIME);
    assert!(matches!(world.says(&guest, &data), Reaction::Nothing));
    assert!(
        world
            .turn
            .peer_datagram(world.now.at, id, friend, b"hi")
            .is_none()
    );
}

#[test]
fn private_addresses_and_our_own_are_not_relayed_to() {
    let mut world = World::new();
    let (guest, ..) = world.lodger("a", "198.51.100.7:4000");
    for private in [
        "10.0.0.1:9",
        "127.0.0.1:9",
        "169.254.169.254:80",
        "224.0.0.1:9",
    ] {
        assert_eq!(
            world.asks(&guest, CREATE_PERMISSION, &[&peer(private)]),
            403
        );
        let bind: [Part<'_>; 2] = [&channel(0x4000), &peer(private)];
        assert_eq!(world.asks(&guest, CHANNEL_BIND, &bind), 403);
        let to = address(private);
        assert!(matches!(world.sends(&guest, to, b"x"), Reaction::Nothing));
    }
    // One that is forbidden spoils the others.
    let both: [Part<'_>; 2] = [&peer("203.0.113.5:9"), &peer("10.0.0.1:9")];
    assert_eq!(world.asks(&guest, CREATE_PERMISSION, &both), 403);
    let friend = address("203.0.113.5:9");
    assert!(matches!(
        world.sends(&guest, friend, b"x"),
        Reaction::Nothing
    ));
    // Our own address may be that of another allocation.
    let own = "198.51.100.1:22";
    assert_eq!(world.asks(&guest, CREATE_PERMISSION, &[&peer(own)]), 0);
    assert!(matches!(
        world.sends(&guest, address(own), b"x"),
        Reaction::Nothing
    ));
    let bind: [Part<'_>; 2] = [&channel(0x4000), &peer(own)];
    assert_eq!(world.asks(&guest, CHANNEL_BIND, &bind), 403);
    assert_eq!(
        world.asks(&guest, CREATE_PERMISSION, &[&peer("[2001:db8::1]:9")]),
        443
    );
}

#[test]
fn what_is_opened_is_relayed_to() {
    let mut world = World::with("10.0.0.0/8");
    let (guest, ..) = world.lodger("a", "198.51.100.7:4000");
    assert_eq!(
        world.asks(&guest, CREATE_PERMISSION, &[&peer("10.0.0.1:9")]),
        0
    );
    let sent = world.sends(&guest, address("10.0.0.1:9"), b"x");
    assert!(matches!(sent, Reaction::Forward(..)));
}

#[test]
fn two_clients_reach_each_other_at_their_relayed_addresses() {
    let mut world = World::new();
    let (a, _, at_a) = world.lodger("a", "198.51.100.7:4000");
    let (b, _, at_b) = world.lodger("b", "198.51.100.8:4000");
    assert_eq!(
        world.asks(&a, CREATE_PERMISSION, &[&peer(&at_b.to_string())]),
        0
    );
    assert!(
        matches!(world.sends(&a, at_b, b"hello"), Reaction::Nothing),
        "b permits nobody"
    );
    let bind: [Part<'_>; 2] = [&channel(0x4000), &peer(&at_a.to_string())];
    assert_eq!(world.asks(&b, CHANNEL_BIND, &bind), 0);
    let Reaction::Deliver(client, message) = world.sends(&a, at_b, b"hello") else {
        panic!("it is not handed over");
    };
    assert_eq!(client, b.client);
    assert_eq!(message, messages::to_channel(0x4000, b"hello").unwrap());
}

#[test]
fn allocations_end_when_nobody_refreshes_them() {
    let mut world = World::new();
    let (a, first, _) = world.lodger("a", "198.51.100.7:4000");
    let (b, second, _) = world.lodger("b", "198.51.100.8:4000");
    assert_eq!(world.asks(&b, REFRESH, &[&lifetime(100_000)]), 0);
    world.wait(Duration::from_secs(600));
    assert_eq!(world.turn.take_ended(), [first]);
    assert!(!world.turn.has_allocation(a.client));
    assert!(world.turn.has_allocation(b.client));
    world.wait(Duration::from_secs(3000));
    assert_eq!(world.turn.take_ended(), [second]);
    assert_eq!(world.turn.next_timeout(), None);
}

#[test]
fn an_allocation_is_given_back() {
    let mut world = World::new();
    let (a, id, _) = world.lodger("a", "198.51.100.7:4000");
    assert_eq!(world.asks(&a, REFRESH, &[&lifetime(0)]), 0);
    assert_eq!(world.turn.take_ended(), [id]);
    assert_eq!(world.asks(&a, REFRESH, &[&lifetime(0)]), 437);
    let (a, id, _) = world.lodger("a", "198.51.100.7:4000");
    world.turn.client_gone(a.client);
    assert_eq!(world.turn.take_ended(), [id]);
}

#[test]
fn a_peer_that_is_barred_loses_its_allocations_and_its_login() {
    let mut world = World::new();
    let (mut a, id, _) = world.lodger("a", "198.51.100.7:4000");
    let (b, ..) = world.lodger("b", "198.51.100.8:4000");
    world.turn.bar(world.now.unix, &PeerId::new("a").unwrap());
    assert_eq!(world.turn.take_ended(), [id]);
    assert!(world.turn.has_allocation(b.client));
    assert_eq!(code(&world.allocate(&mut a).1), 401);
}

#[test]
fn a_peer_may_have_some_allocations_and_all_together_so_many() {
    let mut world = World::new();
    let mut allocated = |peer: u32, client: u32| {
        world.wait(Duration::from_millis(10));
        let client = SocketAddr::new(IpAddr::V4((0x0800_0000 + client).into()), 4000);
        let mut guest = world.guest(&format!("peer {peer}"), &client.to_string());
        code(&world.allocate(&mut guest).1)
    };
    let own: Vec<u16> = (0..100).map(|client| allocated(0, client)).collect();
    let (granted, refused) = own.split_at(limits::ALLOCATIONS_OF_PEER);
    assert!(granted.iter().all(|code| *code == 0));
    assert!(refused.iter().all(|code| *code == 486));
    let others: Vec<u16> = (100..10_100)
        .map(|client| allocated(client, client))
        .collect();
    let (granted, refused) = others.split_at(limits::ALLOCATIONS - limits::ALLOCATIONS_OF_PEER);
    assert!(granted.iter().all(|code| *code == 0));
    assert!(refused.iter().all(|code| *code == 508));
}

#[test]
fn a_peer_is_relayed_what_its_rate_allows() {
    let mut world = World::new();
    let (a, id, _) = world.lodger("a", "198.51.100.7:4000");
    let friend = address("203.0.113.5:9");
    let passed_of = |world: &mut World| {
        assert_eq!(
            world.asks(&a, CREATE_PERMISSION, &[&peer("203.0.113.5:9")]),
            0
        );
        let data = [0; 1000];
        let mut passed = 0;
        for _ in 0..200 {
            passed += u32::from(matches!(
                world.sends(&a, friend, &data),
                Reaction::Forward(..)
            ));
            let back = world.turn.peer_datagram(world.now.at, id, friend, &data);
            passed += u32::from(back.is_some());
        }
        passed
    };
    assert_eq!(passed_of(&mut world), 100, "both ways together");
    world.wait(Duration::from_millis(500));
    assert_eq!(passed_of(&mut world), 50);
}

#[test]
fn garbage_is_not_answered() {
    let mut world = World::new();
    let (a, ..) = world.lodger("a", "198.51.100.7:4000");
    let mut random = fastrand::Rng::with_seed(1);
    let good = [
        world.signed(&a, CREATE_PERMISSION, &[&peer("203.0.113.5:9")]),
        world.signed(
            &a,
            CHANNEL_BIND,
            &[&channel(0x4000), &peer("203.0.113.5:9")],
        ),
        messages::to_channel(0x4000, b"hello").unwrap(),
    ];
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = match random.usize(..4) {
            3 => (0..random.usize(..64)).map(|_| random.u8(..)).collect(),
            index => good[index].clone(),
        };
        for _ in 0..random.usize(..4) {
            if let Some(byte) = (!bytes.is_empty()).then(|| random.usize(..bytes.len())) {
                bytes[byte] = random.u8(..);
            }
        }
        bytes.truncate(random.usize(..=bytes.len()));
        let seen = world.says(&a, &bytes);
        assert!(!matches!(seen, Reaction::Open(_)));
        let stranger = world.guest("b", "203.0.113.9:1");
        let seen = world.says(&stranger, &bytes);
        assert!(matches!(seen, Reaction::Nothing | Reaction::Answer(_)));
    }
}

#[test]
fn strangers_are_answered_so_often_and_no_more() {
    let mut world = World::new();
    let victim = world.guest("a", "203.0.113.9:1");
    let request = world
        .message(ALLOCATE, MessageClass::Request, &[&over_udp])
        .finish();
    let mut bytes = 0;
    for _ in 0..10_000 {
        if let Reaction::Answer(answer) = world.says(&victim, &request) {
            bytes += answer.len();
        }
    }
    assert!(
        bytes <= 200 * limits::STRANGERS_REQUESTS as usize,
        "{bytes}"
    );
}
