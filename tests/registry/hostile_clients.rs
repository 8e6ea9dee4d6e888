//! Tests with clients that send too much, too little, too slowly or nonsense: they lose, and others do not
//! notice.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Error, Message};

use super::support::{
    Client, PATIENCE, RunningRegistry, listed_options, open_options, read_to_end,
};

const FRAME_BYTES: usize = 256 * 1024;

fn starts_with_status(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}

#[test]
fn a_frame_of_the_limit_passes_and_a_longer_one_closes_its_sender() {
    let registry = RunningRegistry::open();
    let (mut a, mut b) = (registry.registered("a"), registry.registered("b"));
    let empty = a.offer("b", "").len();
    b.receive();
    let largest = a.offer("b", &"x".repeat(FRAME_BYTES - empty));
    assert_eq!(largest.len(), FRAME_BYTES);
    assert_eq!(b.receive(), largest);

    a.offer("b", &"x".repeat(FRAME_BYTES - empty + 1));
    assert_eq!(a.await_close(), 1009);
    b.await_others(&[]);
}

#[test]
fn a_message_that_grows_over_the_limit_in_fragments_closes_its_sender() {
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};

    let registry = RunningRegistry::open();
    let mut a = registry.registered("a");
    let part = vec![b'x'; FRAME_BYTES / 4];
    let mut opcode = OpCode::Data(Data::Text);
    for _ in 0..5 {
        let frame = Frame::message(part.clone(), opcode, false);
        a.socket.send(Message::Frame(frame)).unwrap();
        opcode = OpCode::Data(Data::Continue);
    }
    assert_eq!(a.await_close(), 1009);
}

#[test]
fn what_is_no_websocket_closes_its_sender() {
    let registry = RunningRegistry::open();
    let mut other = registry.registered("other");
    let mut a = registry.registered("a");
    a.socket.get_mut().write_all(&[0xff; 64]).unwrap();
    assert_eq!(a.await_close(), 1002);

    let mut b = registry.registered("b");
    // A text frame of one byte that is not UTF-8, masked with zeros.
    let bytes = [0x81, 0x81, 0, 0, 0, 0, 0xff];
    b.socket.get_mut().write_all(&bytes).unwrap();
    assert_eq!(b.await_close(), 1007);
    other.await_others(&[]);
}

#[test]
fn a_client_that_does_not_read_is_closed_while_others_flow() {
    let registry = RunningRegistry::open();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&registry.address.into()).unwrap();
    let mut slow = registry.client_on(TcpStream::from(socket), "slow");
    slow.register();
    let (mut a, mut b) = (registry.registered("a"), registry.registered("b"));

    // 40 MB: the queue of 1 MiB and far more than the kernel holds.
    let mut rounds_left = 200;
    let load = "x".repeat(200 * 1024);
    while a.register().contains(&"slow".to_owned()) {
        a.offer("slow", &load);
        let offer = a.offer("b", "between the others");
        assert_eq!(b.receive(), offer);
        rounds_left -= 1;
        assert!(rounds_left > 0, "slow is never closed");
    }
    assert_eq!(b.register(), ["a"]);
}

#[test]
fn a_client_that_floods_does_not_starve_others() {
    let registry = RunningRegistry::open();
    let (mut a, mut b) = (registry.registered("a"), registry.registered("b"));
    let address = registry.address;
    let mut flood = registry.registered("flood");
    let flooding = std::thread::spawn(move || {
        let frame = Message::text(r#"{"type":"heartbeat","peer_id":"flood","payload":{}}"#);
        while flood.socket.send(frame.clone()).is_ok() {}
    });
    for round in 0..200 {
        let offer = a.offer("b", &round.to_string());
        assert_eq!(b.receive(), offer);
    }
    drop(registry);
    flooding.join().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_silent_websocket_is_closed_and_one_that_answers_pings_stays() {
    let mut options = open_options();
    options.ping_interval = Duration::from_millis(100);
    options.silence_timeout = Duration::from_millis(1500);
    let registry = RunningRegistry::start(options);
    let mut silent = registry.registered("silent");
    let mut alive = registry.registered("alive");
    let mut pings = 0;
    // Reading answers the pings, for longer than silence is tolerated.
    while pings < 18 {
        if let Message::Ping(_) = alive.socket.read().unwrap() {
            pings += 1;
        }
    }
    alive.await_others(&[]);
    let stream = silent.socket.get_mut();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.starts_with(&[0x89, 0]), "it was pinged");
}

#[test]
fn pings_of_a_client_are_answered() {
    let registry = RunningRegistry::open();
    let mut a = registry.registered("a");
    a.socket.send(Message::Ping("mark".into())).unwrap();
    assert_eq!(a.socket.read().unwrap(), Message::Pong("mark".into()));
}

#[test]
fn what_is_no_http_is_answered_and_ended() {
    let registry = RunningRegistry::open();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nbroken header\r\n\r\n",
        b"\xff\xfe\xfd",
    ] {
        let answer = registry.exchange(garbage);
        assert!(starts_with_status(&answer, 400), "{garbage:?}: {answer}");
    }
    let mut endless = b"GET / HTTP/1.1\r\nx: ".to_vec();
    endless.resize(20 * 1024, b'a');
    assert!(starts_with_status(&registry.exchange(&endless), 431));
}

#[test]
fn a_client_that_is_still_sending_its_body_reads_why_it_is_refused() {
    let registry = RunningRegistry::open();
    let mut client = registry.connect();
    let mut request = b"POST /api/token HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    request.resize(100_000, b'x');
    client.write_all(&request).unwrap();
    let mut first = [0; 12];
    client.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 413");
    for _ in 0..9 {
        client.write_all(&[b'x'; 100_000]).unwrap();
    }
    assert!(read_to_end(&mut client).contains("the body is over 65536 bytes"));
}

#[test]
fn a_request_that_does_not_come_to_its_end_is_timed_out() {
    let mut options = open_options();
    options.request_timeout = Duration::from_millis(500);
    let registry = RunningRegistry::start(options);
    let mut half = registry.connect();
    half.write_all(b"POST /api/token HTTP/1.1\r\nx-api-")
        .unwrap();
    let mut mute = registry.connect();
    assert!(starts_with_status(&read_to_end(&mut half), 408));
    assert_eq!(read_to_end(&mut mute), "");
    let mut a = registry.registered("a");
    assert_eq!(a.register(), [""; 0], "a WebSocket is not timed out");
}

#[test]
fn connections_over_the_limit_are_refused_until_one_ends() {
    let mut options = open_options();
    options.max_connections = 8;
    let registry = RunningRegistry::start(options);
    let mut online = registry.registered("a");
    // One address gets a quarter of them.
    let held: Vec<TcpStream> = (0..7).map(|n| registry.connect_from(2 + n / 2)).collect();
    let health = || {
        let mut stream = registry.connect();
        // A refused connection may be reset before its answer is read.
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\n\r\n");
        let mut answer = String::new();
        match stream.read_to_string(&mut answer) {
            Ok(_) => answer,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("{error}"),
        }
    };
    let refused = health();
    assert!(refused.is_empty() || starts_with_status(&refused, 503));
    assert_eq!(online.register(), [""; 0]);

    drop(held);
    let deadline = Instant::now() + PATIENCE;
    while !starts_with_status(&health(), 200) {
        assert!(Instant::now() < deadline, "the place is never free again");
    }
}

#[test]
fn a_closed_socket_ends_in_good_order() {
    let registry = RunningRegistry::open();
    let mut a: Client = registry.registered("a");
    a.socket.close(None).unwrap();
    let end = loop {
        match a.socket.read() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::ConnectionClosed), "{end}");
}

#[test]
fn agents_of_one_key_and_what_they_tell_are_bounded() {
    let registry = RunningRegistry::start(listed_options(&["greedy", "modest"]));
    let (greedy, modest) = (registry.asker("greedy"), registry.asker("modest"));
    let agent = |name: String| json!({"agent_id": name, "hostname": "h"});
    for number in 0..64 {
        greedy.post("/api/registry/agents", &agent(format!("a{number}")));
    }
    let one_more = agent("a64".to_owned());
    let refused = greedy.ask("POST", "/api/registry/agents", Some(&one_more));
    assert_eq!(refused.0, 429);
    // Its heartbeat still brings it its tasks.
    greedy.post("/api/hub/heartbeat", &one_more);
    modest.post("/api/registry/agents", &agent("modest".to_owned()));
    let large = json!({"agent_id": "m", "hostname": "h".repeat(9_000)});
    let refused = modest.ask("POST", "/api/registry/agents", Some(&large));
    assert_eq!(refused.0, 413);
    let deep = format!("{}{}", "[".repeat(600), "]".repeat(600));
    let deep = format!(r#"{{"agent_id": "m", "capabilities": {{"mcp_servers": {deep}}}}}"#);
    let request = format!(
        "POST /api/registry/agents HTTP/1.1\r\nx-api-key: modest\r\nContent-Length: {}\r\n\r\n{deep}",
        deep.len()
    );
    let answer = registry.exchange(request.as_bytes());
    assert!(starts_with_status(&answer, 400), "{answer}");
}

#[test]
fn invitations_are_bounded() {
    let registry = RunningRegistry::start(listed_options(&["greedy"]));
    let greedy = registry.asker("greedy");
    for _ in 0..16 {
        greedy.post("/api/pairing/generate-code", &Value::Null);
    }
    let refused = greedy.ask("POST", "/api/pairing/generate-code", None);
    assert_eq!(refused.0, 503);
}

#[test]
fn reports_of_connections_are_bounded_and_disturb_nobody() {
    let registry = RunningRegistry::open();
    let anybody = registry.asker("");
    for name in ["flood", "other"] {
        let peer = format!("{name}-sidecar");
        let agent = json!({"agent_id": name, "hostname": "h", "sidecar_peer_id": peer});
        anybody.post("/api/registry/agents", &agent);
    }
    let mut flood = registry.registered("flood-sidecar");
    let mut names: Vec<String> = (0..5000).map(|number| format!("peer{number}")).collect();
    names.push("other-sidecar".to_owned());
    let report = json!({"type": "heartbeat", "peer_id": "flood-sidecar",
        "payload": {"mesh_peers": names}});
    for _ in 0..100 {
        flood.send(&report.to_string());
    }
    flood.register();
    let topology = anybody.get("/api/hub/network/topology");
    assert_eq!(
        topology["mesh_edges"],
        json!([]),
        "it is cut before that name"
    );
}
