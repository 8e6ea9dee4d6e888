//! Tests of `--stdio`: what is particular to an agent on standard input and output. What is as on the socket is
//! tested with it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::scripted_registry::quiet_address;
use crate::support::{Agent, Event, Node, Setup, Sidecar, Site, Transport};

const LIST: &str = "{\"type\":\"list_peers\",\"id\":1}\n";

/// The events of an agent up to the end of the sidecar's output.
fn all_of(agent: &mut Agent) -> Vec<Event> {
    std::iter::from_fn(|| agent.next_or_end()).collect()
}

#[test]
fn there_is_no_socket_and_nothing_but_lines_on_standard_output() {
    let site = Site::over(Transport::Stdio);
    let mut alice = Node::start(site.setup("alice").within(&site.place));
    alice.agent.write(LIST);
    assert_eq!(alice.agent.next().kind(), "peer_list");
    assert!(site.place.names().is_empty());
    alice.agent.finish();
    // Each line is parsed.
    all_of(&mut alice.agent);
    assert_eq!(alice.sidecar.exit_code(), 0);
    assert!(alice.sidecar.log().contains("an agent is connected"));
}

#[test]
fn on_a_socket_that_was_asked_for_others_are_refused_and_may_come_later() {
    let site = Site::over(Transport::Stdio);
    let socket = site.place.join("s");
    let setup = site.setup_at("alice", "s").set("IPC_SOCKET", &socket);
    let mut bob = site.node("bob");
    let mut alice = Node::start(setup.set("AGENT_LINGER", "30"));
    alice.await_peers(&["bob"]);
    alice.sidecar.await_socket();
    let refusal = Agent::connect(&socket).next();
    assert_eq!((refusal.kind(), refusal.code()), ("error", "busy"));
    assert_eq!(
        alice.agent.ask("list_peers", &json!({})).kind(),
        "peer_list"
    );

    drop(alice.agent);
    alice.sidecar.await_log("the agent has gone");
    bob.agent.send("alice", &json!({"type": "for the next"}));
    let mut next = Agent::greeted(&socket);
    next.until_peer("message", "bob");
    alice.sidecar.signal(Signal::TERM);
    assert_eq!(alice.sidecar.exit_code(), 0);
    assert!(site.place.names().is_empty());
}

#[test]
fn what_was_written_before_the_end_of_input_is_delivered_although_nobody_was_connected_yet() {
    let site = Site::over(Transport::Stdio);
    let mut bob = site.node("bob");
    let mut alice = site.setup("alice").start();
    let mut agent = alice.connect();
    for number in 0..10 {
        agent.send("bob", &json!({"type": "x", "payload": number}));
    }
    // Without an id, and before the greeting was read.
    agent.finish();
    for number in 0..10 {
        let event = bob.agent.until_peer("message", "alice");
        assert_eq!(event.message()["payload"], number);
    }
    let told = all_of(&mut agent);
    assert!(told.iter().all(|event| event.kind() != "error"), "{told:?}");
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn what_cannot_be_delivered_after_the_end_of_input_is_reported() {
    let site = Site::over(Transport::Stdio);
    let mut alice = site
        .setup("alice")
        .registry(quiet_address())
        .set("CONNECT_TIMEOUT", "0.5")
        .start();
    let mut agent = alice.agent();
    let message = json!({"type": "x", "request_id": "r"});
    agent.send("bob", &message);
    agent.finish();
    let told = all_of(&mut agent);
    let errors: Vec<_> = told
        .iter()
        .filter(|event| event.kind() == "error")
        .collect();
    assert_eq!(errors.len(), 1, "{told:?}");
    assert_eq!(errors[0].payload()["request_id"], "r");
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn it_ends_when_nobody_reads_its_output_although_its_input_is_open() {
    let site = Site::over(Transport::Stdio);
    let mut bob = site.node("bob");
    let mut alice = Node::start(site.setup("alice"));
    alice.await_peers(&["bob"]);
    let mut writer = alice.agent.writer();
    let message = json!({"type": "last words"});
    let payload = json!({"target_peer": "bob", "message": message});
    let line = json!({"type": "send", "payload": payload}).to_string() + "\n";
    writer.write_all(line.as_bytes()).unwrap();
    drop(alice.agent);
    bob.agent.until_peer("message", "alice");
    bob.agent.until_within(Duration::from_secs(2), |event| {
        event.is("peer_disconnected", "alice")
    });
    assert_eq!(alice.sidecar.exit_code(), 0);
    drop(writer);
}

#[test]
fn it_ends_at_once_where_there_is_neither_input_nor_a_reader() {
    let site = Site::over(Transport::Stdio);
    let (reader, output) = io::pipe().unwrap();
    drop(reader);
    let setup = site.setup("alice").stdio(Stdio::null(), output);
    assert_eq!(setup.start().exit_code(), 0);
    let setup = site.setup("alice").stdio(Stdio::null(), Stdio::null());
    assert_eq!(setup.start().exit_code(), 0);
}

#[test]
fn files_are_input_and_output() {
    let site = Site::over(Transport::Stdio);
    let mut bob = site.node("bob");
    let [commands, events] = ["commands", "events"].map(|name| site.place.join(name));
    let message = json!({"type": "x", "filling": "x".repeat(100_000)});
    let payload = json!({"target_peer": "bob", "message": message});
    let line = |id: usize| json!({"type": "send", "id": id, "payload": payload}).to_string() + "\n";
    // The last line has no end.
    let lines = (0..20).map(line).collect::<String>() + LIST.trim();
    std::fs::write(&commands, lines).unwrap();
    // The output begins behind what is there.
    let mut output = File::create(&events).unwrap();
    output.write_all(b"before\n").unwrap();
    let mut alice = site
        .setup("alice")
        .stdio(File::open(&commands).unwrap(), output)
        .start();
    for _ in 0..20 {
        bob.agent.until_peer("message", "alice");
    }
    assert_eq!(alice.exit_code(), 0);
    let told = std::fs::read_to_string(&events).unwrap();
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some("before"));
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["type"], "ready");
    let receipts = events.iter().filter(|event| event["type"] == "ok");
    assert_eq!(receipts.count(), 20);
    assert!(events.iter().any(|event| event["type"] == "peer_list"));
}

/// A sidecar with these as standard input and output, and the agent at their other ends.
fn at(
    setup: Setup,
    [input, output]: [OwnedFd; 2],
    [write, read]: [OwnedFd; 2],
) -> (Sidecar, Agent) {
    (setup.stdio(input, output).start(), Agent::at(write, read))
}

#[test]
fn sockets_are_input_and_output() {
    let site = Site::over(Transport::Stdio);
    let ends = || {
        let (ours, its) = UnixStream::pair().unwrap();
        (OwnedFd::from(ours), OwnedFd::from(its))
    };
    // As Node starts a program.
    let ((write, input), (read, output)) = (ends(), ends());
    let (mut alice, mut agent) = at(site.setup("alice"), [input, output], [write, read]);
    agent.take_greeting();
    agent.write(LIST);
    agent.until(|event| event.kind() == "peer_list");
    agent.finish();
    all_of(&mut agent);
    assert_eq!(alice.exit_code(), 0);

    // As inetd does.
    let (ours, its) = ends();
    let both = its.try_clone().unwrap();
    let read = ours.try_clone().unwrap();
    let (mut bob, mut agent) = at(site.setup("bob"), [its, both], [ours, read]);
    agent.take_greeting();
    agent.write(LIST);
    agent.until(|event| event.kind() == "peer_list");
    drop(agent);
    assert_eq!(bob.exit_code(), 0);
}

/// Pipes to and from a sidecar.
fn pipes() -> ([OwnedFd; 2], [OwnedFd; 2]) {
    let ((input, write), (read, output)) = (io::pipe().unwrap(), io::pipe().unwrap());
    ([input.into(), output.into()], [write.into(), read.into()])
}

fn is_nonblocking(descriptor: impl AsFd) -> bool {
    fcntl_getfl(descriptor).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn a_description_that_others_share_is_left_as_it_is() {
    let site = Site::over(Transport::Stdio);
    let (its, ours) = pipes();
    let shared = its.each_ref().map(|end| end.try_clone().unwrap());
    let (mut alice, mut agent) = at(site.setup("alice"), its, ours);
    agent.take_greeting();
    for _ in 0..1000 {
        agent.write(LIST);
    }
    for _ in 0..1000 {
        agent.until(|event| event.kind() == "peer_list");
    }
    assert!(!shared.iter().any(is_nonblocking));
    agent.finish();
    drop(shared);
    all_of(&mut agent);
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn a_description_that_others_made_non_blocking_is_as_good() {
    let site = Site::over(Transport::Stdio);
    let (its, ours) = pipes();
    for end in &its {
        fcntl_setfl(end, OFlags::NONBLOCK).unwrap();
    }
    let (mut alice, mut agent) = at(site.setup("alice"), its, ours);
    agent.take_greeting();
    // More than the pipe holds.
    let asked: String = (0..5000)
        .map(|id| json!({"type": "stats", "id": id}).to_string() + "\n")
        .collect();
    let mut writer = agent.writer();
    let writing = std::thread::spawn(move || writer.write_all(asked.as_bytes()).unwrap());
    for id in 0..5000 {
        agent.until(|event| event.id() == Some(&json!(id)));
    }
    writing.join().unwrap();
    agent.finish();
    all_of(&mut agent);
    assert_eq!(alice.exit_code(), 0);
}

/// A program that gives a sidecar a terminal, at which somebody types, and then one at which nobody looks.
const AT_A_TERMINAL: &str = r#"
import fcntl, os, pty, signal, subprocess, sys

def start():
    ours, its = pty.openpty()
    sidecar = subprocess.Popen([sys.argv[1], "--stdio"], stdin=its, stdout=its)
    return ours, its, sidecar

ours, its, sidecar = start()
os.write(ours, b'{"type":"list_peers","id":"typed"}\n')
shown = b""
while b'{"type":"peer_list","id":"typed"' not in shown:
    shown += os.read(ours, 4096)
assert not fcntl.fcntl(its, fcntl.F_GETFL) & os.O_NONBLOCK
os.write(ours, b"\x04")
assert sidecar.wait(20) == 0

ours, its, sidecar = start()
assert b"ready" in os.read(ours, 4096)
os.set_blocking(ours, False)
try:
    while True:
        os.write(ours, b'{"type":"stats"}\n' * 10)
except BlockingIOError:
    pass
sidecar.send_signal(signal.SIGTERM)
assert sidecar.wait(20) == 0
print("done")
"#;

#[test]
fn terminals_are_input_and_output() {
    let played = Command::new("python3")
        .args(["-c", AT_A_TERMINAL, env!("CARGO_BIN_EXE_chatixia-sidecar")])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("REGISTRY_URL", format!("http://{}", quiet_address()))
        .env("INTERFACES", "lo")
        .output()
        .expect("python3 plays the terminal in this test");
    let said = [played.stdout, played.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(said[0], "done\n", "{}", said[1]);
}

#[test]
fn its_settings_are_checked_before_a_line_is_written() {
    let site = Site::over(Transport::Stdio);
    let mut alice = site.setup("alice").set("MAX_PEERS", "none").start();
    assert!(all_of(&mut alice.connect()).is_empty());
    let (status, log) = alice.end_within(Duration::from_secs(5));
    assert_eq!(status.code(), Some(2));
    assert!(log.contains("MAX_PEERS"), "{log}");
}

#[test]
fn the_doctor_needs_no_socket_for_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .args(["doctor", "--stdio", "--json", "--interfaces", "lo"])
        .arg(format!("--registry-url=http://{}", quiet_address()))
        .output()
        .unwrap();
    let mut said = String::new();
    output.stdout.as_slice().read_to_string(&mut said).unwrap();
    let first: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(first["check"], "socket");
    assert_eq!(first["verdict"], "ok");
    let message = first["message"].as_str().unwrap();
    assert!(message.contains("standard input and output"), "{message}");
}
