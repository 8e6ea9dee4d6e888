//! Tests of `METRICS`: the numbers of a running sidecar over HTTP, and clients that mean no good.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{DEADLINE, Node, Place, Setup, Sidecar, Site};

/// More than the sidecar holds at a time.
const MANY: usize = 60;

/// Files that a sidecar may open as it starts after it has told its address: its UDP sockets, and a try at the registry.
const STARTING: usize = 20;

/// The address that the sidecar has logged.
pub(crate) fn address_of(sidecar: &Sidecar) -> SocketAddr {
    const TOLD: &str = "tells its numbers on ";
    sidecar.await_log(TOLD);
    let log = sidecar.log();
    let (_, rest) = log.split_once(TOLD).unwrap();
    rest.split_once(": /").unwrap().0.parse().unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The head and the content of the answer to a request.
fn exchange(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, content) = answer.split_once("\r\n\r\n").expect(&answer);
    (head.to_owned(), content.to_owned())
}

fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, content) = exchange(connect(address), &request);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    content
}

fn status(address: SocketAddr, request: &str) -> String {
    let (head, _) = exchange(connect(address), request);
    head.lines().next().unwrap()["HTTP/1.1 ".len()..].to_owned()
}

fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample} in {text}"));
    line.trim().parse().unwrap()
}

/// Waits until it has no more files open than that.
fn await_open_files(sidecar: &Sidecar, most: usize) {
    let deadline = Instant::now() + DEADLINE;
    while sidecar.open_files() > most {
        let open = sidecar.open_files();
        assert!(Instant::now() < deadline, "{open} files stay");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn measured(setup: Setup) -> Setup {
    setup.set("METRICS", "127.0.0.1:0")
}

#[test]
fn the_numbers_are_those_of_the_messages_that_went() {
    let site = Site::new();
    let setups = ["alice", "bob"].map(|name| measured(site.setup(name)));
    let [mut alice, mut bob] = Node::meet(setups);
    for number in 0..10 {
        let message = json!({"type": "ping", "payload": number});
        let send = json!({"target_peer": "bob", "message": message});
        assert_eq!(alice.agent.ask("send", &send).payload()["receipt"], "agent");
        bob.agent.until_peer("message", "alice");
    }
    let address = address_of(&alice.sidecar);
    let text = get(address, "/metrics");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert_eq!(value(&text, "chatixia_sent_messages_total"), 10.0);
    assert_eq!(value(&text, "chatixia_peers{state=\"connected\"}"), 1.0);
    assert_eq!(value(&text, "chatixia_paths{path=\"host\"}"), 1.0);
    assert_eq!(value(&text, "chatixia_registry_connected"), 1.0);
    assert_eq!(value(&text, "chatixia_queued_messages"), 0.0);
    let receipts = "chatixia_receipt_seconds_count{receipt=\"agent\"}";
    assert_eq!(value(&text, receipts), 10.0);
    let in_a_minute = "chatixia_receipt_seconds_bucket{receipt=\"agent\",le=\"60.0\"}";
    assert_eq!(value(&text, in_a_minute), 10.0);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    assert!(!text.contains("bob"), "names are nobody's business");
    let received = get(address_of(&bob.sidecar), "/metrics");
    assert_eq!(value(&received, "chatixia_received_messages_total"), 10.0);

    let text = "GET /metrics HTTP/1.1\r\nAccept: text/plain\r\n\r\n";
    let (head, content) = exchange(connect(address), text);
    assert!(
        head.contains("\r\nContent-Type: text/plain; version=0.0.4;"),
        "{head}"
    );
    assert!(content.contains("# TYPE chatixia_sent_messages_total counter\n"));
    assert!(!content.contains("# EOF"));
}

#[test]
fn stats_is_what_the_command_answers_and_health_is_short() {
    let site = Site::new();
    let setups = ["alice", "bob"].map(|name| measured(site.setup(name)));
    let [mut alice, _bob] = Node::meet(setups);
    let address = address_of(&alice.sidecar);
    let mut told: Value = serde_json::from_str(&get(address, "/stats")).unwrap();
    let answer = alice.agent.ask("stats", &json!({}));
    let mut answered = answer.payload().clone();
    for numbers in [&mut told, &mut answered] {
        let uptime = &mut numbers["process"]["uptime_seconds"];
        assert!(uptime.take().as_f64().unwrap() > 0.0);
        let peer = &mut numbers["peers"][0];
        assert!(peer["since_seconds"].take().is_number());
        // It may be measured in between.
        peer["round_trip_ms"].take();
    }
    assert_eq!(told, answered);
    assert_eq!(told["peers"][0]["path"]["kind"], "host");

    let health: Value = serde_json::from_str(&get(address, "/health")).unwrap();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["connected_peers"], 1);
}

#[test]
fn peers_are_named_where_that_is_wanted() {
    let site = Site::new();
    let name = r#"we"ird\name"#;
    let alice = measured(site.setup_at("alice", "a")).set("METRICS_PEERS", "on");
    let [alice, _other] = Node::meet([alice, site.setup_at(name, "b")]);
    let text = get(address_of(&alice.sidecar), "/metrics");
    let sample = r#"chatixia_peer_connected{peer="we\"ird\\name"}"#;
    assert_eq!(value(&text, sample), 1.0);
}

#[test]
fn what_is_not_to_be_had_is_refused() {
    let place = Place::new();
    let alice = measured(Setup::new("alice", place.join("s"))).start();
    let address = address_of(&alice);
    let long = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        (
            "POST /metrics HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "405 Method Not Allowed",
        ),
        (
            "POST /metrics HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
            "413 Content Too Large",
        ),
        (
            "GET /metrics HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "411 Length Required",
        ),
        ("\x16\x03\x01 this is TLS", "400 Bad Request"),
        (&long, "431 Request Header Fields Too Large"),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK"),
        ("GET /health HTTP/1.0\r\n\r\n", "200 OK"),
    ] {
        assert_eq!(status(address, request), expected, "{request}");
    }
    let (_, content) = exchange(connect(address), "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert_eq!(content, "");
}

#[test]
fn clients_that_only_hold_connections_keep_nobody_out_and_cost_little() {
    let place = Place::new();
    let alice = measured(Setup::new("alice", place.join("s"))).start();
    let address = address_of(&alice);
    get(address, "/metrics");
    let before = (alice.resident_bytes(), alice.open_files());
    let mut held = Vec::new();
    for _ in 0..MANY {
        let mut stream = connect(address);
        stream.write_all(b"GET /metrics HTTP/1.1\r\nx: ").unwrap();
        held.push(stream);
    }
    let text = get(address, "/metrics");
    assert!(value(&text, "process_threads") < 20.0, "{text}");
    assert!(value(&text, "process_open_fds") < 40.0, "{text}");
    let grown = alice.resident_bytes().saturating_sub(before.0);
    assert!(grown < 4 << 20, "{grown} bytes more");

    // Those that are left are told when their time is over.
    let mut last = held.pop().unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    drop((held, last));
    await_open_files(&alice, before.1);
}

#[test]
fn many_scrapes_at_once_are_answered_or_ended_and_none_leaves_anything() {
    let place = Place::new();
    let alice = measured(Setup::new("alice", place.join("s"))).start();
    let address = address_of(&alice);
    let before = alice.open_files();
    let scrapers: Vec<_> = (0..20)
        .map(|_| {
            std::thread::spawn(move || {
                let mut answered = 0;
                for _ in 0..20 {
                    let mut stream = connect(address);
                    let mut answer = String::new();
                    // One that is the oldest of too many is ended.
                    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
                    if stream.read_to_string(&mut answer).is_ok() && answer.ends_with("# EOF\n") {
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    let answered: u32 = scrapers.into_iter().map(|each| each.join().unwrap()).sum();
    assert!(answered > 0);
    get(address, "/metrics");
    await_open_files(&alice, before + STARTING);
}

#[test]
fn a_unix_socket_is_its_owners_and_goes_with_the_sidecar() {
    let place = Place::new();
    let path = place.join("m");
    // A socket that an earlier process has left.
    drop(UnixListener::bind(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let mut alice = Setup::new("alice", place.join("s"))
        .set("METRICS", &path)
        .start();
    alice.await_log("tells its numbers on ");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&path).unwrap();
    let (head, _) = exchange(stream, "GET /health HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    alice.signal(Signal::TERM);
    assert_eq!(alice.exit_code(), 0);
    assert_eq!(place.names(), [""; 0], "no file is left");
}

#[test]
fn what_others_have_is_left_to_them_and_taken_when_they_are_gone() {
    let place = Place::new();
    let path = place.join("m");
    let file = place.join("f");
    fs::write(&file, "mine").unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = port.local_addr().unwrap();
    let start = |name: &str, metrics: &str| {
        let setup = Setup::new(name, place.join(name)).set("METRICS", metrics);
        setup.start()
    };
    let alice = start("alice", path.to_str().unwrap());
    let bob = start("bob", &taken.to_string());
    let carol = start("carol", file.to_str().unwrap());
    alice.await_log("another program listens there; it is tried again");
    bob.await_log("Address already in use");
    carol.await_log("a file that is no socket is there");
    // The agent has its sidecar all the same.
    alice.agent();
    drop((other, port));
    alice.await_log("tells its numbers on ");
    assert_eq!(address_of(&bob), taken);
    get(taken, "/health");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn an_address_that_others_reach_is_warned_of_once() {
    let place = Place::new();
    let setup = Setup::new("alice", place.join("s")).set("METRICS", "0.0.0.0:0");
    let alice = setup.start();
    address_of(&alice);
    let log = alice.log();
    let warnings = log
        .matches("METRICS=0.0.0.0:0: whoever reaches this address")
        .count();
    assert_eq!(warnings, 1, "{log}");
}

#[test]
fn a_question_that_comes_while_the_process_is_stopped_is_answered_when_it_goes_on() {
    let place = Place::new();
    let alice = measured(Setup::new("alice", place.join("s"))).start();
    let address = address_of(&alice);
    let stopped = alice.stop();
    let mut stream = connect(address);
    stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(stream.read(&mut [0]).is_err(), "who answered?");
    drop(stopped);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
