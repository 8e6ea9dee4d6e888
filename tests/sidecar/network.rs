//! Tests of the UDP side: which sockets are used, and what strangers may send to them.

use std::net::{SocketAddr, UdpSocket};

use serde_json::json;

use crate::support::{Agent, Node, Site};

/// The two ends of the path to the only peer.
fn path_of(agent: &mut Agent) -> [SocketAddr; 2] {
    let stats = agent.ask("stats", &json!({}));
    let path = stats.payload()["peers"][0]["path"].clone();
    ["local", "remote"].map(|end| {
        let address = path[end]["address"].as_str();
        address.expect("a path").parse().unwrap()
    })
}

fn ping_pong(alice: &mut Node, bob: &mut Node) {
    for _ in 0..100 {
        alice.agent.send("bob", &json!({"type": "ping"}));
        bob.agent.until_peer("message", "alice");
        bob.agent.send("alice", &json!({"type": "pong"}));
        alice.agent.until_peer("message", "bob");
    }
}

#[test]
fn datagrams_of_strangers_harm_nothing() {
    let site = Site::new();
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let memory = alice.sidecar.resident_bytes();
    let [target, _] = path_of(&mut alice.agent);
    let stranger = UdpSocket::bind((target.ip(), 0)).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    // STUN, DTLS records of every kind, and anything else, with their usual beginnings.
    let heads: [&[u8]; 8] = [
        b"",
        b"\x00\x01\x00\x08\x21\x12\xa4\x42",
        b"\x01\x01\x00\x0c\x21\x12\xa4\x42",
        b"\x16\xfe\xfd\0\0\0\0\0\0\0\0",
        b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x05",
        b"\x15\xfe\xfd\0\0\0\0\0\0\0\x01\0\x02\x02\x28",
        b"\x80\x60",
        b"\xff",
    ];
    for round in 0..20_000 {
        let head = heads[round % heads.len()];
        let mut datagram = head.to_vec();
        datagram.extend((0..random.usize(..600)).map(|_| random.u8(..)));
        stranger.send_to(&datagram, target).unwrap();
    }
    ping_pong(&mut alice, &mut bob);
    let stats = alice.agent.ask("stats", &json!({}));
    let drops = &stats.payload()["process"]["drops"];
    assert!(drops["stray_datagrams"].as_u64() > Some(0), "{drops}");
    assert_eq!(stats.payload()["peers"][0]["restarts"], 0);
    let grown = alice.sidecar.resident_bytes().saturating_sub(memory);
    assert!(grown < 4_000_000, "grown by {grown} bytes");
}

#[test]
fn only_the_address_and_the_port_that_are_set_are_used() {
    let site = Site::new();
    let free_port = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    };
    let ports = [free_port(), free_port()];
    let setup = |(name, port): (&str, u16)| {
        site.setup(name)
            .unset("INTERFACES")
            .set("BIND_ADDRESS", "127.0.0.1")
            .set("UDP_PORT", port.to_string())
    };
    let [mut alice, mut bob] = Node::meet([setup(("alice", ports[0])), setup(("bob", ports[1]))]);
    let expected = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(path_of(&mut alice.agent), expected);
    ping_pong(&mut alice, &mut bob);
    // One socket has to do for the old connection and for the one that replaces it.
    bob.sidecar.kill();
    let mut bob = Node::start(setup(("bob", ports[1])));
    bob.await_peers(&["alice"]);
    ping_pong(&mut alice, &mut bob);
    assert_eq!(path_of(&mut alice.agent), expected);
}

#[test]
fn ipv6_can_be_switched_off_and_be_all_there_is() {
    for (settings, is_ipv4) in [(["IPV6", "off"], true), (["BIND_ADDRESS", "::1"], false)] {
        let site = Site::new();
        let setup = |name| site.setup(name).set(settings[0], settings[1]);
        let [mut alice, mut bob] = Node::meet(["alice", "bob"].map(setup));
        ping_pong(&mut alice, &mut bob);
        for end in path_of(&mut alice.agent) {
            assert_eq!(end.is_ipv4(), is_ipv4, "{end}");
        }
    }
}
