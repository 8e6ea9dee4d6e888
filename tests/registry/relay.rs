//! Hostile and mistaken clients of `registry --relay`.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::process::{Place, Process, complaint, printed};
use super::support::PATIENCE;

const RUN: &str = "exec \"$0\" \"$@\"";
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// Requests, by the first two bytes of a message.
const BINDING: [u8; 2] = [0, 1];
const ALLOCATE: [u8; 2] = [0, 3];

/// A registry with a relay on a free port.
fn start() -> Process {
    Process::start(RUN, &["--open", "--relay", "--relay-listen", "0"])
}

/// The servers that the registry names to a caller with these headers.
fn servers(registry: &Process, headers: &[(&str, &str)]) -> Vec<Value> {
    let request = ureq::get(format!("http://{}/api/config", registry.address));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let text = request.call().unwrap().body_mut().read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    answer["iceServers"].as_array().unwrap().clone()
}

/// The address of the relay's UDP socket.
fn relay_of(registry: &Process) -> SocketAddr {
    let servers = servers(registry, &[]);
    let url = servers[0]["urls"][0].as_str().unwrap();
    url.strip_prefix("stun:").unwrap().parse().unwrap()
}

/// A message without attributes.
fn message(kind: [u8; 2], id: u8) -> Vec<u8> {
    [&kind[..], &[0, 0], &COOKIE, &[id; 12]].concat()
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Asks for a Binding and waits for its answer, past answers to what was asked before.
fn until_bound(client: &UdpSocket, relay: SocketAddr) {
    client.send_to(&message(BINDING, 0xFE), relay).unwrap();
    let mut buffer = [0; 1500];
    loop {
        let (length, _) = client.recv_from(&mut buffer).expect("no answer");
        if buffer[..length].starts_with(&[1, 1]) && buffer[8..20] == [0xFE; 12] {
            return;
        }
    }
}

#[test]
fn only_callers_with_a_key_get_a_login() {
    let registry = start();
    assert_eq!(servers(&registry, &[]).len(), 1, "STUN");
    let named = servers(&registry, &[("x-api-key", "alice")]);
    let [stun, turn] = named.as_slice() else {
        panic!("{named:?}");
    };
    assert_eq!(stun.get("credential"), None);
    assert!(turn["username"].as_str().unwrap().ends_with(":alice"));
    let own = registry.address;
    assert_eq!(turn["urls"][1], format!("turn:{own}?transport=tcp"));
}

#[test]
fn a_relay_answers_after_garbage_and_requests_without_login() {
    let mut registry = start();
    let relay = relay_of(&registry);
    let good = client();
    until_bound(&good, relay);
    // From an address of its own, so that its share is its own.
    let bad = UdpSocket::bind("127.0.0.2:0").unwrap();
    for number in 0..10_000_u32 {
        let mut bytes = message(ALLOCATE, number as u8);
        match number % 4 {
            0 => {}
            1 => bytes.truncate((number / 4) as usize % 20),
            2 => bytes.splice(2..4, [0xFF, 0xFC]).for_each(drop),
            _ => bytes = vec![number as u8; number as usize % 100],
        }
        bad.send_to(&bytes, relay).unwrap();
    }
    until_bound(&good, relay);
    assert_eq!(registry.token("alice"), 200);
    assert_eq!(registry.end().0, Some(0));
}

/// Listing the interfaces takes an open file. Whoever asks at an address that is not listed has them listed.
#[test]
fn a_relay_that_cannot_list_its_addresses_says_so_once() {
    let script = "ulimit -n 100; exec \"$0\" \"$@\"";
    let arguments = ["--open", "--relay", "--relay-listen", "0.0.0.0:0"];
    let mut registry = Process::start(script, &arguments);
    let port = relay_of(&registry).port();
    let held: Vec<TcpStream> = (0..120)
        .map(|_| TcpStream::connect(registry.address).unwrap())
        .collect();
    registry.await_log("cannot accept a connection");
    let client = client();
    // Within these two seconds each would have them listed.
    for _ in 0..40 {
        until_bound(&client, SocketAddr::from(([127, 0, 0, 2], port)));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(held);
    let (_, log) = registry.end();
    let told = log.matches("new addresses are not known").count();
    assert_eq!(told, 1, "{log}");
}

/// An answer from another address is none to a client, whose socket or router takes only what comes from where it has sent
/// to.
#[test]
fn a_relay_at_all_addresses_answers_from_the_one_that_was_asked() {
    let registry = Process::start(RUN, &["--open", "--relay", "--relay-listen", "[::]:0"]);
    let port = relay_of(&registry).port();
    let interfaces = if_addrs::get_if_addrs().unwrap().into_iter();
    let ours: Vec<IpAddr> = interfaces.map(|interface| interface.ip()).collect();
    let is_of_link = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    for from in ours.iter().filter(|address| !is_of_link(address)) {
        for to in ours.iter().filter(|address| !is_of_link(address)) {
            let client = UdpSocket::bind((*from, 0)).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            // Some ways are closed on some machines, as from ::1 to an address of a network.
            if from.is_ipv4() != to.is_ipv4() || client.connect((*to, port)).is_err() {
                continue;
            }
            client.send(&message(BINDING, 1)).unwrap();
            let answer = client.recv(&mut [0; 1500]);
            answer.unwrap_or_else(|error| panic!("{to}, asked from {from}: {error}"));
        }
    }
}

/// The address that was reached is lent, and the socket is there, so what it sends comes from there.
#[test]
fn the_address_that_a_client_has_reached_is_lent_to_it() {
    let interfaces = if_addrs::get_if_addrs().unwrap().into_iter();
    let ours = interfaces.map(|interface| interface.ip());
    // A machine without any network has none.
    let network = ours.filter(|address| address.is_ipv4() && !address.is_loopback());
    for reached in network.chain(["127.0.0.1".parse().unwrap()]) {
        let registry = Process::start(RUN, &["--open", "--relay", "--relay-listen", "0.0.0.0:0"]);
        let relay = SocketAddr::new(reached, relay_of(&registry).port());
        let login = servers(&registry, &[("x-api-key", "alice")])[1].clone();
        let said = examined_at(relay, &registry, "alice", &login);
        assert!(said.starts_with("ok "), "{said}");
        if !reached.is_loopback() {
            assert!(said.contains(&format!("lends {reached}:")), "{said}");
        }
    }
}

#[test]
fn an_allocation_without_login_is_refused_with_what_to_sign() {
    let registry = start();
    let (relay, client) = (relay_of(&registry), client());
    client.send_to(&message(ALLOCATE, 1), relay).unwrap();
    let mut buffer = [0; 1500];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(from, relay);
    let answer = &buffer[..length];
    assert!(answer.starts_with(&[1, 0x13]), "an error: {answer:?}");
    // ERROR-CODE, and in it 4 and 01.
    assert!(answer.windows(2).any(|bytes| bytes == [4, 1]));
    assert!(answer.windows(8).any(|bytes| bytes == b"chatixia"));
}

#[test]
fn what_is_no_stun_after_all_ends_its_connection() {
    let registry = start();
    let mut stream = TcpStream::connect(registry.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&message(BINDING, 7)).unwrap();
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(&[1, 1]));
    stream
        .write_all(b"\0\x01\0\x03 GET / HTTP/1.1\r\n\r\n")
        .unwrap();
    let ended = stream.read(&mut answer);
    assert!(ended.is_err() || ended.is_ok_and(|count| count == 0));
}

#[test]
fn a_registry_without_a_relay_names_none_and_takes_no_stun() {
    let registry = Process::start(RUN, &["--open"]);
    assert!(servers(&registry, &[("x-api-key", "alice")]).is_empty());
    let mut stream = TcpStream::connect(registry.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&message(BINDING, 7)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[test]
fn other_servers_are_named_with_logins_of_their_secret() {
    let registry = Process::start(
        "STUN_URL=stun:coturn.example TURN_URL=turn:coturn.example,turns:coturn.example:443 \
         TURN_SECRET=s3cret exec \"$0\" \"$@\"",
        &["--open"],
    );
    let named = servers(&registry, &[("x-api-key", "alice")]);
    assert_eq!(named[0]["urls"][0], "stun:coturn.example:3478");
    assert_eq!(named[1]["urls"][0], "turn:coturn.example:3478");
    assert_eq!(named[1]["urls"][1], "turns:coturn.example:443");
    assert!(named[1]["username"].as_str().unwrap().ends_with(":alice"));
}

/// What the doctor says about the relay with this login.
fn examined(registry: &Process, key: &str, login: &Value) -> String {
    examined_at(relay_of(registry), registry, key, login)
}

/// The same about the relay at one of its addresses.
fn examined_at(relay: SocketAddr, registry: &Process, key: &str, login: &Value) -> String {
    let registry = format!("http://{}", registry.address);
    let interfaces = if_addrs::get_if_addrs().unwrap();
    let reached = interfaces
        .iter()
        .find(|interface| interface.ip() == relay.ip());
    let output = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .env("ENV_FILE", "none")
        .env("CONFIG_FILE", "none")
        .env("REGISTRY_URL", registry)
        .env("API_KEY", key)
        .env("INTERFACES", &reached.unwrap().name)
        .env("ICE_SERVERS_FROM_REGISTRY", "off")
        .env("STUN_URL", "none")
        .env("TURN_URL", format!("turn:{relay}?transport=udp"))
        .env("TURN_USERNAME", login["username"].as_str().unwrap())
        .env("TURN_PASSWORD", login["credential"].as_str().unwrap())
        .arg("doctor")
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = report.lines().find(|line| line.contains(" turn "));
    line.unwrap_or_else(|| panic!("{report}{errors}"))
        .to_owned()
}

#[test]
fn a_login_outlives_a_restart_but_not_a_revocation() {
    let place = Place::new("logins");
    let data = &place.file("data");
    let arguments = [
        "--registry-data",
        data,
        "--relay",
        "--relay-listen",
        "0",
        "--relay-allow",
        "127.0.0.0/8",
    ];
    let order = |words: &[&str]| {
        let text = printed(&[&["registry", "--registry-data", data], words].concat());
        text.lines().next().unwrap().to_owned()
    };
    let mut registry = Process::start(RUN, &arguments);
    let (alice, bob) = (
        order(&["key", "add", "alice"]),
        order(&["key", "add", "bob"]),
    );
    let login = |registry: &Process, key: &str| servers(registry, &[("x-api-key", key)])[1].clone();
    let (of_alice, of_bob) = (login(&registry, &alice), login(&registry, &bob));
    order(&["revoke", "alice"]);
    assert_eq!(registry.end().0, Some(0));

    let registry = Process::start(RUN, &arguments);
    let said = examined(&registry, &bob, &of_bob);
    assert!(said.starts_with("ok "), "{said}");
    let said = examined(&registry, &bob, &of_alice);
    assert!(!said.starts_with("ok "), "{said}");
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = client();
    let port = taken.local_addr().unwrap().port().to_string();
    let arguments = [
        "registry",
        "--open",
        "--port",
        "0",
        "--relay",
        "--relay-listen",
        &port,
    ];
    let said = complaint(&arguments, 1);
    let expected = format!("the relay cannot start on UDP 127.0.0.1:{port}");
    assert!(said.contains(&expected), "{said}");
}
