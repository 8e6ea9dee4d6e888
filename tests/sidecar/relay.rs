//! Sidecars that reach each other only through the relay of `chatixia-sidecar registry --relay`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::registry_process::Process;
use crate::support::{Agent, Node, Place, Setup};

const RUN: &str = "exec \"$0\" \"$@\"";

fn start(arguments: &[&str]) -> Process {
    let relay = ["--open", "--relay", "--relay-listen", "0"];
    Process::start(RUN, &[&relay[..], arguments].concat())
}

fn setup(registry: &Process, place: &Place, name: &str) -> Setup {
    Setup::new(name, place.join(name)).registry(registry.address)
}

/// The kinds of both ends of the path to the only peer.
fn ends(agent: &mut Agent) -> [Value; 2] {
    let stats = agent.ask("stats", &json!({}));
    let path = &stats.payload()["peers"][0]["path"];
    ["local", "remote"].map(|end| path[end]["kind"].clone())
}

fn exchange(nodes: &mut [Node; 2]) {
    for _ in 0..2 {
        let [sender, receiver] = &mut *nodes;
        let message = json!({"type": "ping", "payload": "x".repeat(50_000)});
        sender.agent.send(&receiver.sidecar.name, &message);
        let from = &sender.sidecar.name;
        let arrived = receiver.agent.until(|event| event.is("message", from));
        assert_eq!(arrived.message()["payload"], message["payload"]);
        nodes.reverse();
    }
}

#[test]
fn two_that_show_only_relayed_addresses_meet() {
    let (registry, place) = (start(&[]), Place::new());
    let relayed = |name| setup(&registry, &place, name).set("ICE_TRANSPORT_POLICY", "relay");
    let mut nodes = Node::meet([relayed("alice"), relayed("bob")]);
    exchange(&mut nodes);
    for node in &mut nodes {
        assert_eq!(ends(&mut node.agent), ["relay", "relay"]);
    }
}

#[test]
fn a_peer_on_loopback_is_reached_if_that_is_opened() {
    let (registry, place) = (start(&["--relay-allow", "127.0.0.0/8"]), Place::new());
    let relayed = setup(&registry, &place, "alice").set("ICE_TRANSPORT_POLICY", "relay");
    let direct = setup(&registry, &place, "bob").set("ICE_SERVERS_FROM_REGISTRY", "off");
    let mut nodes = Node::meet([relayed, direct]);
    exchange(&mut nodes);
    assert_eq!(ends(&mut nodes[0].agent)[0], "relay");
}

/// Sidecars that know no relay but this one, by the secret that it shares with them.
fn meet_over(registry: &Process, url: &str, more: &[(&str, &str)]) {
    let place = Place::new();
    let relayed = |name| {
        let setup = setup(registry, &place, name)
            .set("ICE_TRANSPORT_POLICY", "relay")
            .set("ICE_SERVERS_FROM_REGISTRY", "off")
            .set("TURN_URL", url)
            .set("TURN_SECRET", "s3cret");
        more.iter()
            .fold(setup, |setup, (name, value)| setup.set(name, value))
    };
    let mut nodes = Node::meet([relayed("alice"), relayed("bob")]);
    exchange(&mut nodes);
    for node in &mut nodes {
        assert_eq!(ends(&mut node.agent), ["relay", "relay"]);
    }
}

#[test]
fn the_registrys_port_relays_over_tcp() {
    let registry = start(&["--turn-secret", "s3cret"]);
    let url = format!("turn:{}?transport=tcp", registry.address);
    meet_over(&registry, &url, &[]);
}

#[test]
fn the_registrys_port_relays_over_tls() {
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let write = |name: &str, kind: &str, der: &[u8]| {
        let text = BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n");
        let path = place.join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = write("cert.pem", "CERTIFICATE", made.cert.der());
    let key = write("key.pem", "PRIVATE KEY", &made.signing_key.serialize_der());
    let tls = [
        "--registry-tls-cert",
        &certificate,
        "--registry-tls-key",
        &key,
    ];
    let registry = start(&[&["--turn-secret", "s3cret"], &tls[..]].concat());
    let port = registry.address.port();
    let signaling = format!("wss://localhost:{port}/ws");
    let token = format!("https://localhost:{port}/api/token");
    let more = [
        ("SIGNALING_URL", signaling.as_str()),
        ("TOKEN_URL", &token),
        ("CA_FILE", &certificate),
    ];
    meet_over(&registry, &format!("turns:localhost:{port}"), &more);
}
