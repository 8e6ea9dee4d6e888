//! Tests of `chatixia-sidecar doctor`: what it prints, its exit code, and what it leaves alone.

use std::ffi::OsStr;
use std::net::UdpSocket;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::registry::{RunningRegistry, open_options};
use crate::scripted_proxy::{Reply, ScriptedProxy};
use crate::scripted_registry::{Script, ScriptedRegistry, SocketScript, TokenReply, quiet_address};
use crate::support::{Place, Site};

/// Ten seconds by its own account, and time to start on a busy machine.
const LONGEST: Duration = Duration::from_secs(15);

const KEY: &str = "s3cret.alice";

struct Doctor {
    command: Command,
    place: Place,
}

impl Doctor {
    /// On the loopback interface, without a registry.
    fn new() -> Self {
        let place = Place::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"));
        command
            .arg("doctor")
            .env_clear()
            .env("IPC_SOCKET", place.join("socket"))
            .env("API_KEY", KEY)
            .env("INTERFACES", "lo")
            .env("RUST_LOG", "warn");
        Doctor { command, place }
    }

    fn registry(self, address: std::net::SocketAddr) -> Self {
        self.set("SIGNALING_URL", format!("ws://{address}/ws"))
            .set("TOKEN_URL", format!("http://{address}/api/token"))
    }

    fn set(mut self, variable: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(variable, value);
        self
    }

    fn output(&mut self) -> Output {
        let began = Instant::now();
        let output = self.command.output().unwrap();
        assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
        let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        assert!(!String::from_utf8_lossy(&all).contains("s3cret"));
        output
    }

    /// The lines of its report, and its exit code.
    fn report(&mut self) -> (Vec<String>, i32) {
        let output = self.output();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(str::to_owned).collect();
        (lines, output.status.code().unwrap())
    }

    /// The same in JSON.
    fn findings(&mut self) -> (Vec<Value>, i32) {
        self.command.arg("--json");
        let (lines, code) = self.report();
        let parse = |line: &String| serde_json::from_str(line).unwrap();
        (lines.iter().map(parse).collect(), code)
    }
}

/// The one line that begins so.
fn line<'a>(lines: &'a [String], beginning: &str) -> &'a str {
    let mut found = lines.iter().filter(|line| line.starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(line), None) => line,
        _ => panic!("not one line begins with {beginning:?}: {lines:#?}"),
    }
}

#[test]
fn with_everything_right_it_says_so_and_leaves_nothing_behind() {
    let registry = RunningRegistry::open();
    let mut doctor = Doctor::new()
        .registry(registry.address)
        .set("API_KEY", "alice");
    let (lines, code) = doctor.report();
    assert_eq!(code, 0, "{lines:#?}");
    assert!(line(&lines, "ok    socket").ends_with("socket: can be made"));
    assert!(lines[1].starts_with("ok    interfaces  used: lo 127.0.0.1"));
    assert!(line(&lines, "ok    registry    http").contains("key accepted, we are alice"));
    assert!(line(&lines, "ok    registry    ws").contains("registered, 0 others online"));
    line(&lines, "ok    clock       ");
    line(&lines, "warn  nat         not told");
    assert_eq!(doctor.place.names(), [""; 0]);
}

#[test]
fn in_json_each_line_is_a_finding() {
    let registry = RunningRegistry::open();
    let mut doctor = Doctor::new()
        .registry(registry.address)
        .set("API_KEY", "alice");
    let (findings, code) = doctor.findings();
    assert_eq!(code, 0, "{findings:#?}");
    let token = &findings.iter().find(|f| f["check"] == "registry").unwrap();
    assert_eq!(token["verdict"], "ok");
    assert_eq!(token["details"]["peer_id"], "alice");
    assert!(
        findings
            .iter()
            .all(|finding| finding["message"].is_string())
    );
}

#[test]
fn a_refused_key_is_a_failure_that_says_what_to_look_at() {
    let script = Script::with_tokens(&[TokenReply::Status(401)]);
    let registry = ScriptedRegistry::start(script);
    let (lines, code) = Doctor::new().registry(registry.address).report();
    assert_eq!(code, 1);
    let line = line(&lines, "fail  registry");
    assert!(line.ends_with("refused the API key (401 Unauthorized): is API_KEY right?"));
}

#[test]
fn a_registry_that_is_not_there_is_a_failure() {
    let (lines, code) = Doctor::new().registry(quiet_address()).report();
    assert_eq!(code, 1);
    let line = line(&lines, "fail  registry");
    assert!(line.ends_with("connection refused; is the registry up, and TOKEN_URL right?"));
}

#[test]
fn a_registry_that_never_answers_is_given_up() {
    let script = Script::with_tokens(&[TokenReply::Hang]);
    let registry = ScriptedRegistry::start(script);
    let (lines, code) = Doctor::new().registry(registry.address).report();
    assert_eq!(code, 1);
    assert!(line(&lines, "fail  registry").contains("no answer within 3.5 s"));
}

#[test]
fn a_websocket_that_is_not_opened_or_not_answered_is_a_failure() {
    for (socket, words) in [
        (SocketScript::Refuse(404), "answered 404 Not Found"),
        (SocketScript::Stall, "\"register\" was not answered"),
    ] {
        let registry = ScriptedRegistry::start(Script::with_sockets(&[socket]));
        let (lines, code) = Doctor::new().registry(registry.address).report();
        assert_eq!(code, 1);
        line(&lines, "ok    registry    http");
        let line = line(&lines, "fail  registry");
        assert!(
            line.contains(words) && line.contains("is SIGNALING_URL right"),
            "{line}"
        );
    }
}

#[test]
fn a_clock_that_is_far_behind_is_a_failure_where_logins_are_made() {
    let body = json!({"token": "t", "peer_id": "alice", "role": "agent"}).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nDate: Fri, 01 Mar 2980 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = TokenReply::Raw(answer.into_bytes());
    let registry = ScriptedRegistry::start(Script::with_tokens(&[reply]));
    let doctor = || Doctor::new().registry(registry.address);
    let (lines, _) = doctor().report();
    assert!(line(&lines, "warn  clock").contains("s behind the registry's; set this machine's"));
    let (lines, code) = doctor()
        .set(
            "TURN_URL",
            format!("turn:{}?transport=tcp", quiet_address()),
        )
        .set("TURN_SECRET", "s3cret")
        .report();
    assert_eq!(code, 1);
    assert!(line(&lines, "fail  clock").contains("logins made of TURN_SECRET"));
}

#[test]
fn servers_that_the_registry_names_are_checked() {
    let mut options = open_options();
    let urls = ["stun:127.0.0.1:9", "turn:127.77.0.1:9?transport=tcp"];
    options.ice_servers = vec![json!({"urls": urls, "username": "alice", "credential": "s3cret"})];
    let registry = RunningRegistry::start(options);
    let doctor = || {
        Doctor::new()
            .registry(registry.address)
            .set("API_KEY", "alice")
    };
    let (lines, code) = doctor().report();
    assert_eq!(code, 1);
    line(
        &lines,
        "ok    servers     the registry names 1 STUN and 1 TURN servers",
    );
    line(
        &lines,
        "fail  stun        stun:127.0.0.1:9: no answer over UDP",
    );
    line(&lines, "warn  nat         no server answers over UDP");
    line(
        &lines,
        "fail  turn        turn:127.77.0.1:9?transport=tcp over TCP: connection refused",
    );
    let (lines, code) = doctor().set("ICE_SERVERS_FROM_REGISTRY", "off").report();
    assert_eq!(code, 0, "{lines:#?}");
}

#[test]
fn a_sidecar_that_runs_keeps_its_place() {
    let site = Site::new();
    let mut node = site.node("alice");
    let (lines, code) = Doctor::new()
        .registry(site.address())
        .set("API_KEY", "alice")
        .set("IPC_SOCKET", &node.sidecar.socket)
        .report();
    assert_eq!(code, 0, "{lines:#?}");
    assert!(line(&lines, "warn  socket").contains("another sidecar with an agent connected"));
    assert!(line(&lines, "ok    registry    ws").contains("not tried"));
    node.agent
        .line(json!({"type": "list_peers", "id": 1}).to_string());
    let answer = node.agent.next();
    assert_eq!(
        answer.kind(),
        "peer_list",
        "nothing was said of the registry: {answer:?}"
    );
    assert!(node.sidecar.is_running());
}

#[test]
fn a_socket_that_cannot_be_made_is_a_failure_and_a_stale_one_is_not() {
    let registry = RunningRegistry::open();
    let doctor = || {
        Doctor::new()
            .registry(registry.address)
            .set("API_KEY", "alice")
    };
    let place = Place::new();
    std::fs::write(place.join("file"), "").unwrap();
    for (path, words) in [
        (place.join("none").join("socket"), "is not a directory"),
        (place.join("file"), "a file that is no socket is there"),
    ] {
        let (lines, code) = doctor().set("IPC_SOCKET", path).report();
        assert_eq!(code, 1);
        let line = line(&lines, "fail  socket");
        assert!(
            line.contains(words) && line.contains("IPC_SOCKET"),
            "{line}"
        );
    }
    drop(UnixListener::bind(place.join("stale")).unwrap());
    let (lines, code) = doctor().set("IPC_SOCKET", place.join("stale")).report();
    assert_eq!(code, 0, "{lines:#?}");
    assert!(line(&lines, "ok    socket").contains("it will be replaced"));
    assert_eq!(place.names(), ["file", "stale"]);
}

#[test]
fn no_address_to_use_is_a_failure() {
    let registry = RunningRegistry::open();
    let (lines, code) = Doctor::new()
        .registry(registry.address)
        .set("API_KEY", "alice")
        .set("INTERFACES", "none0")
        .report();
    assert_eq!(code, 1);
    assert!(line(&lines, "fail  interfaces").contains("look at INTERFACES"));
}

#[test]
fn a_udp_port_that_another_has_is_a_failure() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let doctor = Doctor::new().set("UDP_PORT", port);
    let (lines, code) = doctor.set("BIND_ADDRESS", "127.0.0.1").report();
    assert_eq!(code, 1);
    let line = line(&lines, "fail  interfaces  no UDP socket on 127.0.0.1");
    assert!(line.contains("give UDP_PORT a port"), "{line}");
}

#[test]
fn a_configuration_that_is_wrong_is_code_2() {
    for (variable, value) in [
        ("MAX_PEERS", "many"),
        ("CA_FILE", "/no/such/file"),
        ("IPC_SOCKET", &format!("/{}", "x".repeat(200))),
        ("API_KEY", "s3cret\u{7f}"),
    ] {
        let output = Doctor::new().set(variable, value).output();
        assert_eq!(output.status.code(), Some(2), "{variable}");
        assert_eq!(output.stderr.iter().filter(|b| **b == b'\n').count(), 1);
        assert!(output.stdout.is_empty());
    }
}

/// The answer to a STUN request: 400.
fn refusal(request: &[u8]) -> Vec<u8> {
    let kind = [request[0] | 0x01, request[1] | 0x10, 0, 8];
    let code = [0, 9, 0, 4, 0, 0, 4, 0];
    [&kind[..], &request[4..20], &code].concat()
}

#[test]
fn everything_is_asked_from_the_udp_port_that_is_set() {
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let relay = format!("turn:{address}?transport=udp");
    let mut doctor = Doctor::new()
        .set("UDP_PORT", free.port().to_string())
        .set("BIND_ADDRESS", "127.0.0.1")
        .set("STUN_URL", format!("stun:{address}"))
        .set("TURN_URL", format!("{relay},turn:{address}"))
        .set("TURN_USERNAME", "user")
        .set("TURN_PASSWORD", "s3cret");
    let (lines, sources) = std::thread::scope(|scope| {
        let sources = scope.spawn(move || {
            let mut sources = std::collections::BTreeSet::new();
            let mut buffer = [0; 1500];
            while let Ok((length @ 20.., source)) = server.recv_from(&mut buffer) {
                sources.insert(source);
                let answer = refusal(&buffer[..length]);
                server.send_to(&answer, source).unwrap();
            }
            sources
        });
        let (lines, _) = doctor.report();
        // Less than a message ends it.
        UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .send_to(&[], address)
            .unwrap();
        (lines, sources.join().unwrap())
    });
    assert_eq!(Vec::from_iter(sources), [free]);
    for url in [relay, format!("turn:{address}")] {
        let refused = line(&lines, &format!("fail  turn        {url} over UDP"));
        assert!(refused.contains("refused with 400"), "{refused}");
    }
}

#[test]
fn the_proxy_that_is_used_and_what_it_said_are_told() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let proxy = ScriptedProxy::start(Reply::Connect(registry.address));
    let url = format!("http://user:s3cret@{}", proxy.address);
    let doctor = Doctor::new()
        .set("SIGNALING_URL", "ws://reg.test/ws")
        .set("TOKEN_URL", "http://reg.test/api/token");
    let (lines, _) = doctor.set("http_proxy", url).report();
    let expected = format!(
        "ok    proxy       http://reg.test/api/token: through http://{} (HTTP_PROXY), which answered \
         \"200 Connection established\"",
        proxy.address
    );
    line(&lines, &expected);
    line(
        &lines,
        "ok    registry    http://reg.test/api/token: key accepted",
    );
    line(&lines, "ok    registry    ws://reg.test/ws: registered");

    let closed = ScriptedProxy::start(Reply::Say("HTTP/1.1 403 Filtered\r\n\r\n"));
    let doctor = Doctor::new()
        .set("SIGNALING_URL", "ws://reg.test/ws")
        .set("TOKEN_URL", "http://reg.test/api/token");
    let (lines, code) = doctor.set("ALL_PROXY", closed.address.to_string()).report();
    assert_eq!(code, 1);
    let line = line(&lines, "fail  proxy       ws://reg.test/ws: through ");
    assert!(line.contains("answered \"403 Filtered\""), "{line}");
}

#[test]
fn a_relay_over_tcp_is_asked_for_through_the_proxy_by_its_name() {
    let proxy = ScriptedProxy::start(Reply::Say("HTTP/1.1 502 No such relay\r\n\r\n"));
    let doctor = Doctor::new()
        .set("TURN_URL", "turns:turn.test:443")
        .set("TURN_SECRET", "x")
        .set("ICE_SERVERS_FROM_REGISTRY", "off")
        .set("NO_PROXY", "localhost");
    let (lines, _) = doctor
        .set("HTTPS_PROXY", proxy.address.to_string())
        .report();
    let text = format!(
        "fail  turn        turns:turn.test:443 over TLS through the HTTP proxy http://{}",
        proxy.address
    );
    let line = line(&lines, &text);
    assert!(line.contains("502 No such relay"), "{line}");
    assert!(proxy.next().starts_with("CONNECT turn.test:443 "));
}
