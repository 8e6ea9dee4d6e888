//! A registry that means harm, to sidecars without `MESH_SECRET`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::Message;

use crate::figures::{Load, RoundTrips, mib};
use crate::raw_peer::{RawPeer, description};
use crate::registry::RunningRegistry;
use crate::scripted_registry::{Script, ScriptedRegistry, Seen, SocketScript, quiet_address};
use crate::support::{DEADLINE, Node, Place, Setup};

const MOMENT: Duration = Duration::from_secs(2);

/// Longest round trip at one time in two, on a machine that has nothing to spare.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sidecars that a good registry has introduced, and the bad one that has taken its place since.
struct Betrayed {
    alice: Node,
    bob: Node,
    registry: ScriptedRegistry,
    _place: Place,
}

impl Betrayed {
    fn by(script: Script) -> Self {
        let place = Place::new();
        let address = quiet_address();
        let mut good = RunningRegistry::succeed(address);
        let setups = ["alice", "bob"].map(|name| {
            let setup = Setup::new(name, place.join(name)).registry(address);
            setup.set("RUST_LOG", "info")
        });
        let [mut alice, mut bob] = Node::meet(setups);
        good.stop();
        for node in [&mut alice, &mut bob] {
            node.agent.until_registry("disconnected");
        }
        let registry = ScriptedRegistry::start_at(address, script);
        for node in [&mut alice, &mut bob] {
            node.agent.until_registry("connected");
        }
        Betrayed {
            alice,
            bob,
            registry,
            _place: place,
        }
    }

    /// They still talk; prints what the harm has cost.
    fn check(&mut self, what: &str, memory: u64) {
        let load = Load::of(&self.alice.sidecar);
        let times = RoundTrips::measure(&mut self.alice, &mut self.bob, MOMENT);
        eprintln!(
            "{what}: round trip p50 {:?}, p99 {:?}; CPU {} %, memory {:+.1} MiB",
            times.within(50),
            times.within(99),
            load.percent(&self.alice.sidecar),
            mib(self.alice.sidecar.resident_bytes()) - mib(memory),
        );
        assert!(times.within(50) < PATIENCE, "{:?}", times.within(50));
    }
}

/// Hands each frame on as `change` makes it, until it has seen so many answers.
fn relay(registry: &ScriptedRegistry, answers: usize, change: impl Fn(&mut Value)) {
    let mut seen = 0;
    while seen < answers {
        let text = registry.wait_for(|seen| match seen {
            Seen::Frame { text, .. } => Some(text),
            _ => None,
        });
        let mut frame: Value = serde_json::from_str(&text).unwrap();
        seen += usize::from(frame["type"] == "answer");
        change(&mut frame);
        // To both: who has sent it ignores what bears its own name.
        registry.send(&Message::text(frame.to_string()));
    }
}

/// The frame's description with other fingerprints.
fn swap_fingerprint(frame: &mut Value) {
    if let Some(sdp) = frame["payload"]["sdp"].as_str() {
        let swapped = sdp.lines().map(|line| match line.split_once("sha-256 ") {
            Some((attribute, _)) => format!("{attribute}sha-256 {}\r\n", vec!["AB"; 32].join(":")),
            None => format!("{line}\r\n"),
        });
        frame["payload"]["sdp"] = swapped.collect::<String>().into();
    }
}

/// A sidecar of this name that a registry with this script has told of the other.
fn told_of(name: &str, other: &str, place: &Place) -> (ScriptedRegistry, Node) {
    let others = SocketScript::Serve(vec![other.to_owned()]);
    let registry = ScriptedRegistry::start(Script::with_sockets(&[others]));
    let setup = Setup::new(name, place.join(name)).registry(registry.address);
    (registry, Node::start(setup.set("RUST_LOG", "info")))
}

#[test]
fn fingerprints_that_are_swapped_connect_nobody() {
    let place = Place::new();
    let others = SocketScript::Serve(vec!["bob".to_owned()]);
    let registry = ScriptedRegistry::start(Script::with_sockets(&[others]));
    let start = |name| {
        let setup = Setup::new(name, place.join(name)).registry(registry.address);
        Node::start(setup.set("RUST_LOG", "info"))
    };
    let _bob = start("bob");
    let mut alice = start("alice");
    let connect = json!({"target_peer_id": "bob"});
    alice.agent.command("wish", "connect", &connect);
    relay(&registry, 1, swap_fingerprint);
    let answer = alice
        .agent
        .until(|event| event.id() == Some(&"wish".into()));
    assert_eq!(answer.code(), "connect_failed", "{answer:?}");
    eprintln!("swapped fingerprints: {answer:?}");
}

/// What `MESH_SECRET` is for: without it the registry's word is all that there is.
#[test]
fn a_registry_that_answers_in_a_peers_place_is_believed_without_a_secret() {
    let place = Place::new();
    let (registry, mut alice) = told_of("alice", "bob", &place);
    let offer = registry.wait_for(|seen| match seen {
        Seen::Frame { text, .. } => {
            let frame: Value = serde_json::from_str(&text).unwrap();
            let sdp = frame["payload"]["sdp"].as_str().map(str::to_owned);
            sdp.filter(|_| frame["type"] == "offer")
        }
        _ => None,
    });
    let mut middle = RawPeer::new();
    let answer = middle.answer(&offer);
    registry.send(&Message::text(description(
        "answer", "bob", "alice", &answer,
    )));
    middle.await_that("the mesh channel is open", |peer| !peer.opened.is_empty());
    alice.agent.until_peer("peer_connected", "bob");
    alice
        .agent
        .send("bob", &json!({"type": "ping", "payload": "for bob alone"}));
    middle.await_that("the message is read", |peer| !peer.received.is_empty());
    let read = String::from_utf8(middle.received.remove(0)).unwrap();
    assert!(read.contains("for bob alone"));
    eprintln!("a registry in the middle, no secret: it reads {read}");
}

/// The registry knows more of a connection than anybody else; what it knows must not be read in a log either.
#[test]
fn a_log_of_everything_holds_no_secret() {
    let place = Place::new();
    let others = SocketScript::Serve(vec!["bob".to_owned()]);
    let registry = ScriptedRegistry::start(Script::with_sockets(&[others]));
    let start = |name: &str| {
        let setup = Setup::new(&format!("s3cret-key.{name}"), place.join(name));
        Node::start(setup.registry(registry.address).set("RUST_LOG", "trace"))
    };
    let mut bob = start("bob");
    let mut alice = start("alice");
    let secrets = std::sync::Mutex::new(vec!["s3cret".to_owned(), "for bob alone".to_owned()]);
    relay(&registry, 1, |frame| {
        let sdp = frame["payload"]["sdp"].as_str().unwrap_or_default();
        let passwords = sdp
            .lines()
            .filter_map(|line| line.strip_prefix("a=ice-pwd:"));
        secrets.lock().unwrap().extend(passwords.map(str::to_owned));
    });
    alice.agent.until_peer("peer_connected", "bob");
    let message = json!({"type": "ping", "payload": "for bob alone"});
    alice.agent.send("bob", &message);
    bob.agent.until_peer("message", "alice");
    let secrets = secrets.into_inner().unwrap();
    assert!(secrets.len() >= 4, "passwords of both");
    for node in [&alice, &bob] {
        let log = node.sidecar.log();
        let lines = log.lines().count();
        for secret in &secrets {
            assert!(!log.contains(secret.as_str()), "{secret} is in {log}");
        }
        eprintln!(
            "{lines} lines at trace level hold none of {} secrets",
            secrets.len()
        );
    }
}

#[test]
fn a_flood_of_frames_costs_time_and_little_else() {
    let mut betrayed = Betrayed::by(Script::faultless());
    let memory = betrayed.alice.sidecar.resident_bytes();
    let offer = RawPeer::new().offer();
    let names: Vec<String> = (0..4096).map(|number| format!("nobody-{number}")).collect();
    let list = json!({"type": "peer_list", "peer_id": "registry", "payload": {"peers": names}});
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < MOMENT {
        for number in sent..sent + 200 {
            let stranger = format!("stranger-{number}");
            let text = match number % 100 {
                0 => list.to_string(),
                1..50 => description("offer", &stranger, "alice", &offer),
                50..70 => description("answer", "bob", "alice", &offer),
                70..90 => json!({"type": "ice_candidate", "peer_id": "bob", "payload": {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host"}}).to_string(),
                _ => json!({"type": "news", "peer_id": "registry", "payload": {}}).to_string(),
            };
            betrayed.registry.send(&Message::text(text));
        }
        sent += 200;
        std::thread::sleep(Duration::from_millis(10));
    }
    betrayed.check(&format!("a flood of {sent} frames"), memory);
    let grown = betrayed
        .alice
        .sidecar
        .resident_bytes()
        .saturating_sub(memory);
    assert!(grown < 64 * 1024 * 1024, "{:.1} MiB more", mib(grown));
    let lines = betrayed.alice.sidecar.log().lines().count();
    assert!(lines < 2_000, "{lines} lines in the log");
}

#[test]
fn frames_of_sixteen_mebibytes_are_survived_and_larger_ones_end_the_connection() {
    const FRAME: usize = 16 * 1024 * 1024;
    let mut betrayed = Betrayed::by(Script::faultless());
    let memory = betrayed.alice.sidecar.resident_bytes();
    let frame = |bytes: usize| {
        let head = r#"{"type":"offer","peer_id":"bob","payload":{"sdp":""#;
        let padding = "x".repeat(bytes - head.len() - 3);
        Message::text(format!("{head}{padding}\"}}}}"))
    };
    for _ in 0..4 {
        betrayed.registry.send(&frame(FRAME));
    }
    betrayed.check("4 frames of 16 MiB", memory);
    let peak = betrayed.alice.sidecar.peak_bytes();
    eprintln!("4 frames of 16 MiB: peak memory {:.1} MiB", mib(peak));
    assert!(peak < memory + 160 * 1024 * 1024, "{:.1} MiB", mib(peak));

    betrayed.registry.send(&frame(FRAME + 1));
    betrayed.alice.agent.until_registry("disconnected");
    betrayed.alice.agent.until_registry("connected");
    betrayed.check("a frame of more than 16 MiB", memory);
}

#[test]
fn a_registry_that_renames_peers_renames_no_connection() {
    // The first that comes back offers to carol, the other has nobody to offer to.
    let scripts = [vec!["carol".to_owned()], Vec::new()].map(SocketScript::Serve);
    let mut betrayed = Betrayed::by(Script::with_sockets(&scripts));
    let memory = betrayed.alice.sidecar.resident_bytes();
    // Renames the first to carol from now on.
    let mut renamed = None;
    let mut answers = 0;
    let mut end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        for seen in betrayed.registry.seen() {
            let Seen::Frame { text, .. } = seen else {
                continue;
            };
            let mut frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == "offer" {
                renamed.get_or_insert_with(|| frame["peer_id"].clone());
            }
            if Some(&frame["peer_id"]) == renamed.as_ref() {
                frame["peer_id"] = "carol".into();
            }
            if frame["type"] == "answer" && answers == 0 {
                end = Instant::now() + MOMENT;
            }
            answers += usize::from(frame["type"] == "answer");
            betrayed.registry.send(&Message::text(frame.to_string()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let renamed = renamed.expect("nobody has offered to carol");
    assert!(answers > 0, "nobody has answered carol");
    let (alice, bob) = (&mut betrayed.alice, &mut betrayed.bob);
    let (sender, receiver, to) = match renamed == "bob" {
        true => (bob, alice, "alice"),
        false => (alice, bob, "bob"),
    };
    sender.agent.send(to, &json!({"type": "hello"}));
    let heard = receiver.agent.until(|event| event.kind() == "message");
    assert_eq!(heard.payload()["from_peer"], renamed);
    betrayed.check("renamed peers", memory);
}
