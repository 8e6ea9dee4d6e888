//! Tests with a registry that refuses, hangs, breaks off or talks nonsense.

use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::Message;

use crate::registry::RunningRegistry;
use crate::scripted_registry::{
    Script, ScriptedRegistry, Seen, SocketScript, TokenReply, quiet_address,
};
use crate::support::{Agent, Node, Place, Setup, Sidecar};

#[test]
fn a_key_that_is_refused_at_first_ends_it_with_one_line() {
    let place = Place::new();
    let registry = ScriptedRegistry::start(Script::with_tokens(&[TokenReply::Status(401)]));
    let mut sidecar = Setup::new("s3cret-key", place.join("s"))
        .registry(registry.address)
        .unset("RUST_LOG")
        .start();
    assert_eq!(sidecar.exit_code(), 3);
    let log = sidecar.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("API key"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    assert!(place.names().is_empty());
}

#[test]
fn a_device_token_that_is_refused_may_be_approved_later() {
    let place = Place::new();
    let address = quiet_address();
    let sidecar = Setup::new("unused", place.join("s"))
        .registry(address)
        .set("DEVICE_TOKEN", "dt.alice")
        .start();
    let mut agent = sidecar.agent();
    let registry =
        ScriptedRegistry::start_at(address, Script::with_tokens(&[TokenReply::Status(401)]));
    let refused = agent.until_registry("refused");
    assert!(refused.payload()["reason"].is_string(), "{refused:?}");
    let request = registry.wait_for(|seen| match seen {
        Seen::TokenRequest(request) => Some(request),
        _ => None,
    });
    assert_eq!(request.header("x-device-token"), Some("dt.alice"));
    assert_eq!(request.header("x-api-key"), None);
    registry.set_script(Script::faultless());
    let connected = agent.until_registry("connected");
    assert_eq!(connected.payload()["peer_id"], "alice");
    assert!(!sidecar.log().contains("dt."), "{}", sidecar.log());
}

#[test]
fn a_refusal_later_on_is_an_event_and_it_keeps_trying() {
    let place = Place::new();
    let registry = ScriptedRegistry::start(Script::faultless());
    let mut alice = Node::start(Setup::new("alice", place.join("s")).registry(registry.address));
    registry.set_script(Script::with_tokens(&[TokenReply::Status(401)]));
    registry.drop_sockets();
    alice.agent.until_registry("disconnected");
    alice.agent.until_registry("refused");
    registry.set_script(Script::faultless());
    alice.agent.until_registry("connected");
}

/// Whatever the registry does at first, a later try succeeds, and meanwhile the agent is served.
#[test]
fn every_fault_on_the_way_to_the_registry_is_survived() {
    let grant = TokenReply::Grant;
    let tokens = [
        TokenReply::Status(500),
        TokenReply::Status(404),
        TokenReply::Redirect(302, "http://127.0.0.1:1/".to_owned()),
        TokenReply::Body(b"<html>".to_vec()),
        TokenReply::Body(br#"{"token":"t"}"#.to_vec()),
        TokenReply::Body(br#"{"token":"t","peer_id":"","role":"x"}"#.to_vec()),
        TokenReply::Body(vec![b' '; 1_000_000]),
        TokenReply::Raw(b"\0\xff garbage".to_vec()),
        TokenReply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()),
        TokenReply::Raw(Vec::new()),
        TokenReply::Hang,
    ];
    let sockets = [
        SocketScript::Refuse(401),
        SocketScript::Refuse(503),
        SocketScript::Close,
        SocketScript::Raw(Vec::new()),
        SocketScript::Raw(b"\xff\xff\xff garbage".to_vec()),
        // The head of a long text frame, and only its beginning.
        SocketScript::Raw(b"\x81\x7e\x10\x00{\"type\":\"peer_list\"".to_vec()),
        SocketScript::HangUpgrade,
    ];
    let with_tokens = tokens.map(|fault| Script::with_tokens(&[fault, grant.clone()]));
    let good = SocketScript::Serve(Vec::new());
    let with_sockets = sockets.map(|fault| Script::with_sockets(&[fault, good.clone()]));
    let scripts: Vec<_> = with_tokens.into_iter().chain(with_sockets).collect();
    let place = Place::new();
    let cases: Vec<_> = scripts
        .into_iter()
        .enumerate()
        .map(|(number, script)| {
            let registry = ScriptedRegistry::start(script);
            let sidecar = Setup::new("alice", place.join(&number.to_string()))
                .registry(registry.address)
                .start();
            (registry, sidecar)
        })
        .collect();
    for (registry, sidecar) in &cases {
        let mut agent = sidecar.agent();
        let list = agent.ask("list_peers", &json!({}));
        assert_eq!(list.kind(), "peer_list");
        // It has registered.
        registry.wait_for(|seen| match seen {
            Seen::Frame { text, .. } => text.contains("register").then_some(()),
            _ => None,
        });
        assert!(!sidecar.log().contains("panicked"));
    }
}

fn frame(kind: &str, from: &Value, payload: &Value) -> Value {
    json!({"type": kind, "peer_id": from, "target_id": "alice", "payload": payload})
}

/// Frames that no honest registry would send.
fn nonsense() -> Vec<Message> {
    let sdp = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    // More than a frame of a peer may have.
    let long = "x".repeat(300_000);
    let mut texts = vec![
        String::new(),
        "nonsense".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        r#"{"type":"offer""#.to_owned(),
        "[".repeat(100_000),
        json!({"type": 5}).to_string(),
        json!({"type": "no such type", "peer_id": "x", "payload": {}}).to_string(),
        json!({"type": "peer_list"}).to_string(),
        json!({"type": "peer_list", "peer_id": "registry", "payload": {"peers": "all"}}).to_string(),
        json!({"type": "peer_list", "peer_id": "registry", "payload": {"peers": [1, null, "", "a\nb"]}})
            .to_string(),
    ];
    for from in [
        json!("mallory"),
        json!("alice"),
        json!(""),
        json!(null),
        json!(7),
    ] {
        for payload in [
            json!(null),
            json!({}),
            json!({"sdp": 1}),
            json!({"sdp": ""}),
            json!({"sdp": "garbage"}),
            json!({"sdp": sdp}),
            json!({"sdp": long}),
            json!({"sdp": sdp, "v": 1, "conn": "c", "session": "s"}),
            json!({"sdp": sdp, "v": "one", "conn": 5, "session": []}),
        ] {
            texts.push(frame("offer", &from, &payload).to_string());
            texts.push(frame("answer", &from, &payload).to_string());
        }
        for candidate in [
            json!(null),
            json!(1),
            json!(""),
            json!("garbage"),
            json!("candidate:1 1 udp 1 host.local 5000 typ host"),
            json!("candidate:1 1 udp 99999999999999999999 127.0.0.1 5000 typ host"),
            json!("candidate:1 1 udp 1 127.0.0.1 70000 typ host"),
            json!(long),
        ] {
            let payload = json!({"candidate": candidate, "sdpMid": 0, "sdpMLineIndex": "0"});
            texts.push(frame("ice_candidate", &from, &payload).to_string());
        }
    }
    let mut messages: Vec<_> = texts.into_iter().map(Message::text).collect();
    messages.push(Message::binary(vec![0xff; 1000]));
    messages.push(Message::Ping("ping".into()));
    messages
}

/// The agent is served, and a good registry that takes the place of the bad one makes peers meet.
fn connects_all_the_same(mut alice: Node, place: &Place, registry: ScriptedRegistry) {
    let list = alice.agent.ask("list_peers", &json!({}));
    assert_eq!(list.payload(), &json!({"peers": []}));
    let address = registry.address;
    drop(registry);
    let _registry = RunningRegistry::succeed(address);
    let mut bob = Node::start(Setup::new("bob", place.join("b")).registry(address));
    bob.await_peers(&["alice"]);
    alice.await_peers(&["bob"]);
    alice.agent.send("bob", &json!({"type": "x"}));
    bob.agent.until_peer("message", "alice");
    assert!(!alice.sidecar.log().contains("panicked"));
}

#[test]
fn frames_of_nonsense_harm_nothing() {
    let place = Place::new();
    let script = Script::with_sockets(&[SocketScript::Send(nonsense())]);
    let registry = ScriptedRegistry::start(script);
    let alice = Node::start(Setup::new("alice", place.join("a")).registry(registry.address));
    // The answer to the last frame: it was read to the end.
    registry.wait_for(|seen| matches!(seen, Seen::Pong { .. }).then_some(()));
    connects_all_the_same(alice, &place, registry);
}

#[test]
fn a_list_of_more_peers_than_there_may_be_is_borne() {
    let place = Place::new();
    let names = (0..5000).map(|number| format!("ghost-{number}")).collect();
    let registry = ScriptedRegistry::start(Script::with_sockets(&[SocketScript::Serve(names)]));
    let alice = Node::start(
        Setup::new("alice", place.join("a"))
            .registry(registry.address)
            .set("MAX_PEERS", "8")
            .set("CONNECT_TIMEOUT", "1"),
    );
    let offers = |sidecar: &Sidecar| {
        let mut agent = Agent::greeted(&sidecar.socket);
        agent.ask("stats", &json!({})).payload()["process"]["peers"].clone()
    };
    registry.wait_for(|seen| match seen {
        Seen::Frame { text, .. } => text.contains(r#""offer""#).then_some(()),
        _ => None,
    });
    let Node { agent, sidecar } = alice;
    drop(agent);
    sidecar.await_log("the registry lists 5000 peers; 904 are left out");
    let peers = offers(&sidecar);
    assert_eq!(peers["connected"], 0);
    assert!(peers["connecting"].as_u64() <= Some(8), "{peers}");
    let mut agent = Agent::greeted(&sidecar.socket);
    let payload = json!({"target_peer": "ghost-4000", "message": {"type": "x"}});
    let error = agent.ask("send", &payload);
    assert!(
        ["too_many_peers", "connect_failed"].contains(&error.code()),
        "{error:?}"
    );
}

#[test]
fn a_listed_peer_that_never_answers_is_given_up_in_time() {
    let place = Place::new();
    let ghosts = vec!["ghost".to_owned()];
    let registry = ScriptedRegistry::start(Script::with_sockets(&[SocketScript::Serve(ghosts)]));
    let setup = Setup::new("alice", place.join("a"))
        .registry(registry.address)
        .set("CONNECT_TIMEOUT", "0.5");
    let mut alice = Node::start(setup);
    let message = json!({"type": "x", "request_id": "r"});
    let payload = json!({"target_peer": "ghost", "message": message});
    alice.agent.command(1, "send", &payload);
    let payload = json!({"target_peer_id": "ghost"});
    alice.agent.command(2, "connect", &payload);
    for id in [1, 2] {
        let error = alice
            .agent
            .until_within(Duration::from_secs(5), |event| event.kind() == "error");
        assert_eq!(error.code(), "connect_failed");
        assert_eq!(error.id(), Some(&json!(id)));
        assert_eq!(error.payload()["target_peer"], "ghost");
    }
    connects_all_the_same(alice, &place, registry);
}

#[test]
fn a_failure_whose_numbers_change_is_one_event_and_one_warning() {
    let place = Place::new();
    let bodies = (0..10).map(|n| TokenReply::Body(format!("{}x", " ".repeat(n)).into_bytes()));
    let replies: Vec<_> = bodies.chain([TokenReply::Grant]).collect();
    let registry = ScriptedRegistry::start(Script::with_tokens(&replies));
    let sidecar = Setup::new("alice", place.join("s"))
        .registry(registry.address)
        .start();
    let mut agent = sidecar.agent();
    let mut events = agent.all_until(|event| event.payload()["state"] == "connected");
    events.retain(|event| event.kind() == "registry");
    assert!(events.len() <= 2, "{events:?}");
    let log = sidecar.log();
    let warnings = log.lines().filter(|line| line.contains("not JSON"));
    assert_eq!(warnings.count(), 1, "{log}");
}

#[test]
fn only_one_of_the_two_urls_is_told_in_one_line() {
    let place = Place::new();
    let registry = ScriptedRegistry::start(Script::faultless());
    for (unset, set) in [
        ("TOKEN_URL", "SIGNALING_URL"),
        ("SIGNALING_URL", "TOKEN_URL"),
    ] {
        let sidecar = Setup::new("alice", place.join(set))
            .registry(registry.address)
            .unset(unset)
            .start();
        let expected = format!("{set} is set and {unset} is not, so its default");
        sidecar.await_log(&expected);
        sidecar.await_socket();
        let log = sidecar.log();
        let lines = log.lines().filter(|line| line.contains(&expected));
        assert_eq!(lines.count(), 1, "{log}");
    }
}
