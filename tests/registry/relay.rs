//! Hostile and mistaken clients of `registry --relay`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use serde_json::Value;

use super::process::{Process, complaint};
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
