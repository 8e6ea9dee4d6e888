//! Tests of trust: a registry that lies, with somebody between two sidecars who ends the DTLS of each.

use std::path::Path;
use std::time::{Duration, Instant};

use chatixia_sidecar::mesh::link::Channel;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::middle::{Middle, Running};
use crate::scripted_registry::{Script, ScriptedRegistry, Seen, SocketScript};
use crate::support::{Agent, DEADLINE, Event, Place, Setup, Sidecar};

const SECRET: &str = "correct horse battery staple";

/// A registry for each of the two, so that the test has all that is between them in its hands. Alice is told of
/// bob, so she offers.
struct Lies {
    place: Place,
    of_alice: ScriptedRegistry,
    of_bob: ScriptedRegistry,
}

impl Lies {
    fn new() -> Self {
        let listing = |peers: &[&str]| {
            let peers = peers.iter().map(|peer| (*peer).to_owned()).collect();
            ScriptedRegistry::start(Script::with_sockets(&[SocketScript::Serve(peers)]))
        };
        Lies {
            place: Place::new(),
            of_alice: listing(&["bob"]),
            of_bob: listing(&[]),
        }
    }

    fn setup(&self, name: &str) -> Setup {
        let registry = match name {
            "alice" => &self.of_alice,
            _ => &self.of_bob,
        };
        Setup::new(name, self.place.join(name))
            .registry(registry.address)
            .set("HOME", self.place.join("home").join(name))
            .set("CONNECT_TIMEOUT", "20")
    }

    /// Starts bob, then alice, who offers to him at once.
    fn start(&self, change: impl Fn(Setup) -> Setup) -> [(Sidecar, Agent); 2] {
        let start = |name, registry: &ScriptedRegistry| {
            let sidecar = change(self.setup(name)).start();
            let agent = sidecar.agent();
            registry.wait_for(|seen| frame_of(&seen, "register"));
            (sidecar, agent)
        };
        let bob = start("bob", &self.of_bob);
        [start("alice", &self.of_alice), bob]
    }

    /// Hands on what the two send each other, as an honest registry does, until `is_over`.
    fn is_honest_until(&self, mut is_over: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_over() {
            assert!(Instant::now() < deadline, "not in time");
            for (from, to) in [
                (&self.of_alice, &self.of_bob),
                (&self.of_bob, &self.of_alice),
            ] {
                for seen in from.seen() {
                    if let Seen::Frame { text, .. } = seen
                        && text.contains("\"target_id\"")
                    {
                        to.send(&Message::text(text));
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for alice's offer, and sits between her and bob.
    fn sit_between(&self) -> Running {
        let offer = self.of_alice.wait_for(|seen| frame_of(&seen, "offer"));
        let payload = &offer["payload"];
        let (middle, answer, forged) = Middle::between(payload["sdp"].as_str().unwrap());
        let with = |sdp: String, session: &str| {
            let conn = &payload["conn"];
            json!({"sdp": sdp, "v": 1, "conn": conn, "session": session})
        };
        let frame = |kind, from, to, payload: Value| {
            let frame = json!({"type": kind, "peer_id": from, "target_id": to, "payload": payload});
            Message::text(frame.to_string())
        };
        let session = payload["session"].as_str().unwrap();
        let answer = with(answer, "of nobody");
        self.of_alice.send(&frame("answer", "bob", "alice", answer));
        let offer = with(forged, session);
        self.of_bob.send(&frame("offer", "alice", "bob", offer));
        let answer = self.of_bob.wait_for(|seen| frame_of(&seen, "answer"));
        middle.start(answer["payload"]["sdp"].as_str().unwrap())
    }
}

fn frame_of(seen: &Seen, kind: &str) -> Option<Value> {
    let Seen::Frame { text, .. } = seen else {
        return None;
    };
    let frame: Value = serde_json::from_str(text).unwrap();
    (frame["type"] == kind).then_some(frame)
}

fn send(text: &str) -> Value {
    json!({"target_peer": "bob", "message": {"type": "x", "request_id": "r", "payload": text}})
}

/// Shows a line of the transcript; `cargo test -- --nocapture` prints it.
fn show(who: &str, what: &str) {
    println!("{who:>9}  {what:.300}");
}

fn show_events(who: &str, events: &[Event]) {
    for event in events {
        show(who, event.text());
    }
}

/// All events until the answer to a question, which is asked now.
fn events_so_far(agent: &mut Agent) -> Vec<Event> {
    agent.command("so far", "list_peers", &json!({}));
    agent.all_until(|event| event.id() == Some(&"so far".into()))
}

fn none_is(events: &[Event], kinds: &[&str]) -> bool {
    !events.iter().any(|event| kinds.contains(&event.kind()))
}

const OF_PEERS: [&str; 3] = ["peer_connected", "peer_disconnected", "message"];

#[test]
fn without_a_secret_who_sits_between_reads_everything_and_nobody_notices() {
    let lies = Lies::new();
    let [(_a, mut alice), (_b, mut bob)] = lies.start(|setup| setup);
    alice.command("1", "send", &send("for bob alone"));
    let middle = lies.sit_between();
    let got = bob.until_peer("message", "alice");
    let answer = alice.until(|event| event.id() == Some(&"1".into()));
    assert_eq!(answer.kind(), "ok", "{answer:?}");
    show("bob", got.text());
    show("alice", answer.text());
    let read = middle.read(Channel::Mesh);
    show("between", &format!("has read {read:?}"));
    assert!(read.iter().any(|text| text.contains("for bob alone")));
}

#[test]
fn with_a_secret_who_sits_between_gets_nothing_and_the_sender_is_told() {
    let lies = Lies::new();
    let [(a, mut alice), (b, mut bob)] = lies.start(|setup| setup.set("MESH_SECRET", SECRET));
    alice.command("1", "send", &send("for bob alone"));
    let middle = lies.sit_between();
    let events = alice.all_until(|event| event.id() == Some(&"1".into()));
    show_events("alice", &events);
    let refused = events.last().unwrap();
    assert_eq!(refused.code(), "untrusted_peer", "{refused:?}");
    assert_eq!(refused.payload()["request_id"], "r");
    assert!(none_is(&events, &OF_PEERS), "{events:?}");
    // Bob has seen alice's proof, made for another certificate than his.
    b.await_log("alice is not trusted: its proof is wrong");
    let events = events_so_far(&mut bob);
    show_events("bob", &events);
    assert!(none_is(&events, &OF_PEERS), "{events:?}");
    let read = middle.read(Channel::Mesh);
    show("between", &format!("has read {read:?}"));
    assert!(read.is_empty(), "{read:?}");
    let hellos = middle.read(Channel::Control);
    assert!(hellos.iter().all(|text| text.starts_with("{\"hello\"")));
    assert!(hellos.iter().any(|text| text.contains("\"proof\":\"")));
    for log in [a.log(), b.log()] {
        for line in log.lines().filter(|line| line.contains("WARN")) {
            show("log", line);
        }
        assert!(!log.contains(SECRET));
    }
}

#[test]
fn with_a_secret_the_two_talk_through_a_registry_that_is_honest() {
    let lies = Lies::new();
    let [(_a, mut alice), (_b, mut bob)] = lies.start(|setup| setup.set("MESH_SECRET", SECRET));
    alice.command("1", "send", &send("for bob alone"));
    let got = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| bob.until_peer("message", "alice"));
        lies.is_honest_until(|| waiting.is_finished());
        waiting.join().unwrap()
    });
    show("bob", got.text());
    let answer = alice.until(|event| event.id() == Some(&"1".into()));
    assert_eq!(answer.kind(), "ok", "{answer:?}");
    let stats = alice.ask("stats", &json!({}));
    let peer = &stats.payload()["peers"][0];
    assert_eq!(peer["proven"], true, "{peer}");
    assert!(peer["fingerprint"].as_str().unwrap().len() == 95);
}

#[test]
fn at_first_use_another_certificate_is_refused_and_both_are_told() {
    let lies = Lies::new();
    let change = |setup: Setup| setup.set("PEER_TRUST", "first-use");
    let known = |name: &str| {
        let path = format!("home/{name}/.config/chatixia-sidecar/known_peers");
        std::fs::read_to_string(lies.place.join(&path)).unwrap_or_default()
    };
    let [(mut a, mut alice), (mut b, mut bob)] = lies.start(change);
    // The first time nobody sits between.
    alice.command("1", "send", &send("first"));
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| bob.until_peer("message", "alice"));
        lies.is_honest_until(|| {
            let both = known("alice").contains(" bob\n") && known("bob").contains(" alice\n");
            waiting.is_finished() && both
        });
    });
    show("alice", &format!("knows {}", known("alice").trim()));
    for sidecar in [&mut a, &mut b] {
        sidecar.signal(rustix::process::Signal::TERM);
        assert_eq!(sidecar.exit_code(), 0);
    }
    lies.of_alice.seen();
    lies.of_bob.seen();
    // Both come again with their certificates, and this time somebody does.
    let [(a, mut alice), (b, mut bob)] = lies.start(change);
    alice.command("2", "send", &send("second"));
    let offer = lies.of_alice.wait_for(|seen| frame_of(&seen, "offer"));
    let payload = &offer["payload"];
    let (_middle, answer, forged) = Middle::between(payload["sdp"].as_str().unwrap());
    let frame = |kind, from, to, sdp: String| {
        let payload = json!({"sdp": sdp, "v": 1, "conn": payload["conn"], "session": "s"});
        let frame = json!({"type": kind, "peer_id": from, "target_id": to, "payload": payload});
        Message::text(frame.to_string())
    };
    lies.of_alice.send(&frame("answer", "bob", "alice", answer));
    lies.of_bob.send(&frame("offer", "alice", "bob", forged));
    let events = alice.all_until(|event| event.id() == Some(&"2".into()));
    show_events("alice", &events);
    let refused = events.last().unwrap();
    assert_eq!(refused.code(), "untrusted_peer", "{refused:?}");
    let text = refused.payload()["message"].as_str().unwrap();
    let of_bob = known("alice");
    let of_bob = of_bob.split(' ').nth(1).unwrap();
    assert!(
        text.contains(of_bob) && text.contains("(line 1 when it was read)"),
        "{text}"
    );
    assert!(none_is(&events, &OF_PEERS), "{events:?}");
    b.await_log("alice is not trusted: its certificate is ");
    let events = events_so_far(&mut bob);
    show_events("bob", &events);
    assert!(none_is(&events, &OF_PEERS), "{events:?}");
    assert_eq!(a.log().matches("bob is not trusted").count(), 1);
}

#[test]
fn a_peer_without_the_secret_is_refused_and_who_is_not_allowed_too() {
    let site = crate::support::Site::new();
    let secured = |name: &str| site.setup(name).set("MESH_SECRET", SECRET);
    let [mut alice, _bob] = crate::support::Node::meet([secured("alice"), secured("bob")]);
    let _mallory = site.node("mallory");
    let _carol = crate::support::Node::start(
        secured("carol").set("MESH_SECRET", "another secret, of the same length"),
    );
    for name in ["mallory", "carol"] {
        let payload = json!({"target_peer": name, "message": {"type": "x"}});
        let refused = alice.agent.ask("send", &payload);
        show("alice", refused.text());
        assert_eq!(refused.code(), "untrusted_peer", "{refused:?}");
    }
    let peers = alice.agent.ask("list_peers", &json!({}));
    assert_eq!(peers.payload(), &json!({"peers": ["bob"]}));
    let warned = |name: &str| {
        let log = alice.sidecar.log();
        let lines = log.lines().filter(|line| line.contains("WARN"));
        lines
            .filter(|line| line.contains(&format!("{name} is not trusted")))
            .count()
    };
    assert_eq!(
        [warned("mallory"), warned("carol"), warned("bob")],
        [1, 1, 0]
    );
    let mut dora = crate::support::Node::start(secured("dora").set("ALLOW_PEERS", "b*,somebody"));
    dora.await_peers(&["bob"]);
    let payload = json!({"target_peer_id": "alice"});
    let refused = dora.agent.ask("connect", &payload);
    show("dora", refused.text());
    assert_eq!(refused.code(), "untrusted_peer", "{refused:?}");
}

fn run(place: &Place, file: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .env("HOME", place.join("home"))
        .env("IDENTITY_FILE", file)
        .env("IPC_SOCKET", place.join("s"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn an_identity_is_told_everywhere_and_stays() {
    let site = crate::support::Site::new();
    let file = site.place.join("identity");
    let (code, told, _) = run(&site.place, &file, &["identity"]);
    assert_eq!(code, Some(0));
    let fingerprint = told.strip_prefix("sha-256 ").unwrap().trim_end().to_owned();
    assert_eq!(fingerprint.len(), 95);
    for _ in 0..2 {
        let sidecar = site.setup("alice").set("IDENTITY_FILE", &file).start();
        sidecar.await_socket();
        let mut agent = Agent::connect(&sidecar.socket);
        let ready = agent.next();
        assert_eq!(ready.payload()["fingerprint"], *fingerprint);
        let stats = agent.ask("stats", &json!({}));
        assert_eq!(stats.payload()["process"]["fingerprint"], *fingerprint);
    }
    assert_eq!(run(&site.place, &file, &["identity"]).1, told);
    let (code, told, _) = run(&site.place, Path::new("none"), &["identity"]);
    assert_eq!((code, told.as_str()), (Some(2), ""));
}

#[test]
fn an_identity_that_others_can_read_or_that_is_damaged_ends_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let file = place.join("identity");
    assert_eq!(run(&place, &file, &["identity"]).0, Some(0));
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, complaint) = run(&place, &file, &[]);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("(mode 0644)"), "{complaint}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let cut = &whole[..whole.len() - 60];
    std::fs::write(&file, cut).unwrap();
    let (code, _, complaint) = run(&place, &file, &[]);
    assert_eq!(
        (code, complaint.lines().count()),
        (Some(2), 1),
        "{complaint}"
    );
    assert!(complaint.contains("no private key"), "{complaint}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), cut);
    assert!(!place.join("s").exists(), "no socket was made");
}

/// All that must never be shown, by what it is.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, text: impl Into<String>) {
        let text = text.into();
        assert!(text.len() >= 8, "{what} is too short to be looked for");
        self.0.push((what, text));
    }

    fn check(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            assert!(!text.contains(secret.as_str()), "{what} is in {place}");
        }
    }
}

#[test]
fn a_log_of_everything_shows_no_secret() {
    let lies = Lies::new();
    let directory = |name: &str| lies.place.join("home").join(name);
    std::fs::create_dir_all(lies.place.join("home")).unwrap();
    let secret_file = lies.place.join("secret");
    std::fs::write(&secret_file, format!("{SECRET}\n")).unwrap();
    let key = |name: &str| format!("ak_0123456789.{name}");
    let started = |name: &str, registry: &ScriptedRegistry| {
        let sidecar = lies
            .setup(name)
            .set("RUST_LOG", "trace")
            .set("API_KEY", key(name))
            .set("MESH_SECRET_FILE", &secret_file)
            .set("PEER_TRUST", "first-use")
            .set(
                "TURN_URL",
                "turn:127.0.0.1:9,turn:127.0.0.1:9?transport=tcp",
            )
            .set("TURN_USERNAME", "somebody")
            .set("TURN_PASSWORD", "the turn password")
            .set("HTTP_PROXY", "http://me:proxypass99@127.0.0.1:9")
            .set("NO_PROXY", "127.0.0.0/8")
            .start();
        let agent = sidecar.agent();
        registry.wait_for(|seen| frame_of(&seen, "register"));
        (sidecar, agent)
    };
    let (mut b, mut bob) = started("bob", &lies.of_bob);
    let (mut a, mut alice) = started("alice", &lies.of_alice);
    let mut secrets = Secrets(Vec::new());
    secrets.add("MESH_SECRET", SECRET);
    secrets.add("API_KEY", "ak_0123456789");
    secrets.add("the token", "s3cret/token");
    secrets.add("the token, as URLs have it", "s3cret%2Ftoken");
    secrets.add("TURN_PASSWORD", "the turn password");
    secrets.add("the proxy's password", "proxypass99");

    // One that nobody hands on, so that the rest of the way is seen, too.
    alice.command("1", "send", &send("a message is for the agent alone"));
    secrets.add("a message", "a message is for the agent alone");
    let offer = lies.of_alice.wait_for(|seen| frame_of(&seen, "offer"));
    lies.of_bob.send(&Message::text(offer.to_string()));
    let answer = lies.of_bob.wait_for(|seen| frame_of(&seen, "answer"));
    lies.of_alice.send(&Message::text(answer.to_string()));
    for frame in [&offer, &answer] {
        let sdp = frame["payload"]["sdp"].as_str().unwrap();
        let password = sdp.lines().find_map(|line| line.strip_prefix("a=ice-pwd:"));
        secrets.add("a password of ICE", password.unwrap());
    }
    bob.until_peer("message", "alice");
    assert_eq!(
        alice.until(|event| event.id() == Some(&"1".into())).kind(),
        "ok"
    );
    for name in ["alice", "bob"] {
        let file = directory(name).join(".config/chatixia-sidecar/identity");
        let text = std::fs::read_to_string(file).unwrap();
        let key = text.split("BEGIN PRIVATE KEY-----\n").nth(1).unwrap();
        let lines: Vec<_> = key.lines().take_while(|l| !l.starts_with('-')).collect();
        for line in &lines {
            secrets.add("the private key", *line);
        }
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(lines.concat())
            .unwrap();
        // Beyond what all keys have in common.
        let some = &bytes[bytes.len() - 40..bytes.len() - 20];
        let hex: String = some.iter().map(|byte| format!("{byte:02x}")).collect();
        secrets.add("the private key in hexadecimal", hex.to_uppercase());
        secrets.add("the private key in hexadecimal", hex);
        let list = format!("{some:?}");
        secrets.add("the private key as a list", list.trim_matches(['[', ']']));
    }
    let command_line = |sidecar: &Sidecar| {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", sidecar.pid())).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    secrets.check("alice's command line", &command_line(&a));
    for agent in [&mut alice, &mut bob] {
        let stats = agent.ask("stats", &json!({}));
        secrets.check("stats", stats.text());
    }
    for sidecar in [&mut a, &mut b] {
        sidecar.signal(rustix::process::Signal::TERM);
        let (_, log) = sidecar.end_within(DEADLINE);
        let count = log.lines().count();
        show(
            "log",
            &format!("{count} lines, {} secrets", secrets.0.len()),
        );
        assert!(log.contains("DEBUG"), "it is a log of everything");
        secrets.check("a log", &log);
    }
}
