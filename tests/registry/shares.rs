//! Tests of what one address and one peer may take of what is there for all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::process::{Place, Process, printed};
use super::support::{PATIENCE, RunningRegistry, open_options, read_to_end};

const PLACES: usize = 16;

/// A registry with so few places that a test can take them.
fn small() -> RunningRegistry {
    let mut options = open_options();
    options.max_connections = PLACES;
    RunningRegistry::start(options)
}

/// The status of an answer; 0 if there is none.
fn health(mut stream: TcpStream) -> u16 {
    let _ = stream.write_all(b"GET /health HTTP/1.1\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
        .split(' ')
        .nth(1)
        .map_or(0, |status| status.parse().unwrap())
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn one_address_takes_a_quarter_of_the_places_and_no_more() {
    let registry = small();
    let held: Vec<TcpStream> = (0..PLACES).map(|_| registry.connect_from(2)).collect();
    assert_eq!(health(registry.connect()), 200, "others are served");
    for _ in 0..PLACES {
        assert_eq!(health(registry.connect_from(2)), 429);
    }
    drop(held);
    until("the places are never free again", || {
        health(registry.connect_from(2)) == 200
    });
}

/// Who sends its request only after it was refused gets the refusal all the same: the connection is not reset.
#[test]
fn a_refusal_waits_until_the_client_has_sent_its_request() {
    let registry = small();
    let _held: Vec<TcpStream> = (0..PLACES).map(|_| registry.connect_from(2)).collect();
    let mut refused = registry.connect_from(2);
    until("no refusal comes", || begun(&mut refused).contains(" 429 "));
    for _ in 0..8 {
        refused.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    }
    assert_eq!(health(refused), 429);
    assert_eq!(health(registry.connect()), 200, "others are served");
}

/// Begins a request with the largest body.
fn begin_body(stream: &mut TcpStream) {
    let head = "POST /api/hub/tasks HTTP/1.1\r\nX-API-Key: a\r\nContent-Length: 65536\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
}

#[test]
fn slow_bodies_of_one_address_leave_room_for_those_of_others() {
    let registry = RunningRegistry::open();
    let mut slow: Vec<TcpStream> = Vec::new();
    // A quarter of 8 MiB is 32 of them.
    until("no body is refused", || {
        let mut stream = registry.connect_from(2);
        begin_body(&mut stream);
        slow.push(stream);
        let answers = slow.iter_mut().map(begun);
        answers.filter(|answer| answer.contains(" 503 ")).count() > 0
    });
    assert!((33..100).contains(&slow.len()), "{}", slow.len());
    let mut other = registry.connect();
    begin_body(&mut other);
    other.write_all(&[b' '; 65536]).unwrap();
    let answer = read_to_end(&mut other);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

/// Behind a proxy its clients have their shares, not the proxy.
#[test]
fn slow_bodies_of_a_client_of_a_proxy_leave_room_for_those_of_others() {
    let mut options = open_options();
    options.trusted_proxies = "127.0.0.1".parse().unwrap();
    let registry = RunningRegistry::start(options);
    let begin = |client: &str| {
        let mut stream = registry.connect();
        let head = format!(
            "POST /api/hub/tasks HTTP/1.1\r\nX-API-Key: a\r\nX-Forwarded-For: {client}\r\n\
             Content-Length: 65536\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut slow: Vec<TcpStream> = Vec::new();
    until("no body is refused", || {
        slow.push(begin("198.51.100.1"));
        let mut answers = slow.iter_mut().map(begun);
        answers.any(|answer| answer.contains(" 503 "))
    });
    assert!((33..100).contains(&slow.len()), "{}", slow.len());
    let mut other = begin("198.51.100.2");
    other.write_all(&[b' '; 65536]).unwrap();
    let answer = read_to_end(&mut other);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

/// What has come so far.
fn begun(stream: &mut TcpStream) -> String {
    let mut start = [0; 64];
    stream.set_nonblocking(true).unwrap();
    let count = stream.peek(&mut start).unwrap_or(0);
    stream.set_nonblocking(false).unwrap();
    String::from_utf8_lossy(&start[..count]).into_owned()
}

#[test]
fn websockets_do_not_count_for_their_address() {
    let registry = small();
    let names: Vec<String> = (0..PLACES - 1).map(|number| number.to_string()).collect();
    let mut online: Vec<_> = names.iter().map(|name| registry.registered(name)).collect();
    assert_eq!(online[0].register().len(), PLACES - 2);
}

#[test]
fn one_peer_has_sixteen_websockets_and_no_more() {
    const MOST: usize = 16;
    let registry = RunningRegistry::open();
    let mut other = registry.registered("other");
    let token = registry.token("greedy");
    let mut held: Vec<_> = (0..MOST)
        .map(|_| registry.client_with(&token, "greedy"))
        .collect();
    assert_eq!(registry.upgrade(&token), 429);
    assert_eq!(other.register(), [""; 0]);
    let mut last = held.pop().unwrap();
    assert_eq!(last.register(), ["other"]);
    last.socket.close(None).unwrap();
    drop(last);
    until("the place is never free again", || {
        let mut stream = registry.connect();
        let request = format!(
            "GET /ws?token={token} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        start.ends_with(b"101")
    });
}

#[test]
fn frames_that_are_no_objects_or_nested_too_deeply_go_nowhere() {
    let registry = RunningRegistry::open();
    let (mut a, mut b) = (registry.registered("a"), registry.registered("b"));
    a.send(r#"["offer","a","b",{"sdp":"an array"}]"#);
    let (open, close) = ("[".repeat(1000), "]".repeat(1000));
    let head = r#"{"type":"offer","peer_id":"a","target_id":"b","payload":"#;
    a.send(&format!("{head}{open}{close}}}"));
    let honest = a.offer("b", "honest");
    assert_eq!(b.receive(), honest);
}

/// A request whose outcome cannot be written leaves everything as it was, so that it can be made again.
#[test]
fn what_cannot_be_written_has_not_happened() {
    let place = Place::new("unwritable");
    let (data, moved) = (place.file("data"), place.file("moved"));
    let registry = Process::start("exec \"$0\" \"$@\"", &["--registry-data", &data]);
    let key = printed(&["registry", "--registry-data", &data, "key", "add", "owner"]);
    let key = key.lines().next().unwrap();
    let ask = |path: &str, body: &Value| {
        let url = format!("http://{}{path}", registry.address);
        let request = ureq::post(&url)
            .config()
            .http_status_as_error(false)
            .build()
            .header("x-api-key", key);
        let mut answer = request.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let content: Value = serde_json::from_str(&text).unwrap();
        (answer.status().as_u16(), content)
    };
    let (_, invitation) = ask("/api/pairing/generate-code", &Value::Null);
    let redemption = json!({"code": invitation["code"], "agent_name": "laptop"});
    std::fs::rename(&data, &moved).unwrap();
    let (status, answer) = ask("/api/pairing/pair", &redemption);
    assert_eq!(status, 503, "{answer}");
    let text = answer["error"].as_str().unwrap();
    assert!(text.starts_with("nothing has changed"), "{text}");
    std::fs::rename(&moved, &data).unwrap();
    let (status, device) = ask("/api/pairing/pair", &redemption);
    assert_eq!(status, 200, "{device}");
    let id = device["id"].as_str().unwrap();
    let (status, approved) = ask(&format!("/api/pairing/{id}/approve"), &Value::Null);
    assert_eq!(status, 200, "{approved}");
}
