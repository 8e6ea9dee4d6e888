//! Tests of how the sidecar finds the addresses to tell its peers, with STUN and TURN servers that the
//! test plays.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::registry::{Client, RunningRegistry, open_options};
use crate::support::{Node, Place, Setup, Site};

/// The address that the STUN server reports to everybody.
const OUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// The cookie of RFC 8489.
const COOKIE: u32 = 0x2112_A442;

/// A STUN server that ends with the test.
struct StunServer {
    address: SocketAddr,
    thread: Option<JoinHandle<usize>>,
}

impl StunServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = Some(thread::spawn(move || serve(&socket)));
        StunServer { address, thread }
    }

    /// How many requests it has answered.
    fn stop(mut self) -> usize {
        // An empty datagram is its end.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&[], self.address).unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}

fn serve(socket: &UdpSocket) -> usize {
    let mut answered = 0;
    let mut buffer = [0; 1500];
    loop {
        let (length, source) = socket.recv_from(&mut buffer).unwrap();
        let request = &buffer[..length];
        if request.is_empty() {
            return answered;
        }
        assert_eq!(request[..2], [0, 1], "a Binding request");
        let mut answer = vec![1, 1, 0, 12];
        answer.extend_from_slice(&request[4..20]);
        // XOR-MAPPED-ADDRESS, eight bytes, IPv4.
        answer.extend([0, 0x20, 0, 8, 0, 1]);
        let port = source.port() ^ (COOKIE >> 16) as u16;
        answer.extend(port.to_be_bytes());
        answer.extend((u32::from(OUTER) ^ COOKIE).to_be_bytes());
        socket.send_to(&answer, source).unwrap();
        answered += 1;
    }
}

/// Receives until the sidecar tells of a server-reflexive candidate, in its offer or after it.
fn await_outer_address(peer: &mut Client) {
    loop {
        let frame: Value = serde_json::from_str(&peer.receive()).unwrap();
        let text = frame["payload"].to_string();
        let is_told = |line: &str| line.contains(&OUTER.to_string()) && line.contains("typ srflx");
        if text.split("\\r\\n").any(is_told) {
            return;
        }
    }
}

#[test]
fn the_address_that_a_stun_server_sees_is_told() {
    let site = Site::new();
    let server = StunServer::start();
    let mut peer = site.registry.registered("peer");
    let url = format!("stun:{}", server.address);
    let _alice = Node::start(site.setup("alice").set("STUN_URL", url));
    await_outer_address(&mut peer);
    assert!(server.stop() >= 3, "one request of each socket");
}

#[test]
fn names_of_servers_are_looked_up() {
    let site = Site::new();
    let server = StunServer::start();
    let mut peer = site.registry.registered("peer");
    let url = format!("stun:localhost:{}", server.address.port());
    let _alice = Node::start(site.setup("alice").set("STUN_URL", url));
    await_outer_address(&mut peer);
    server.stop();
}

#[test]
fn the_address_outside_that_the_user_names_is_told() {
    let site = Site::new();
    let mut peer = site.registry.registered("peer");
    let _alice = Node::start(
        site.setup("alice")
            .set("EXTERNAL_ADDRESS", OUTER.to_string()),
    );
    await_outer_address(&mut peer);
}

fn registry_that_names(server: &StunServer) -> RunningRegistry {
    let mut options = open_options();
    let url = format!("stun:{}", server.address);
    options.ice_servers = vec![json!({"urls": ["turn:without-login", url]})];
    RunningRegistry::start(options)
}

#[test]
fn servers_that_the_registry_names_are_asked() {
    let server = StunServer::start();
    let registry = registry_that_names(&server);
    let place = Place::new();
    let mut peer = registry.registered("peer");
    let setup = Setup::new("alice", place.join("alice")).registry(registry.address);
    let _alice = Node::start(setup);
    await_outer_address(&mut peer);
    server.stop();
}

#[test]
fn servers_that_the_registry_names_are_left_alone_when_they_are_not_wanted() {
    let server = StunServer::start();
    let registry = registry_that_names(&server);
    let place = Place::new();
    let setup = |name| Setup::new(name, place.join(name)).registry(registry.address);
    let setup = |name| setup(name).set("ICE_SERVERS_FROM_REGISTRY", "off");
    let _nodes = Node::meet([setup("alice"), setup("bob")]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn relays_that_cannot_be_reached_are_said_once_and_hinder_nothing() {
    let site = Site::new();
    let with_relay = |name| {
        site.setup(name)
            // Nothing listens there: a port that was free a moment ago, on an address of our own.
            .set("TURN_URL", "turn:127.77.0.1:9?transport=tcp")
            .set("TURN_SECRET", "s3cret")
    };
    let nodes = Node::meet([with_relay("alice"), with_relay("bob")]);
    for node in nodes {
        node.sidecar
            .await_log("turn:127.77.0.1:9?transport=tcp over TCP");
        let log = node.sidecar.log();
        assert!(!log.contains("s3cret"));
        assert_eq!(log.matches("WARN  nat::turn").count(), 1, "{log}");
    }
}
