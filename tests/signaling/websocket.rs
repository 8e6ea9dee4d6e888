//! Tests of the WebSocket: frames, wrong upgrades and ends, keepalive, reconnecting.

use std::time::{Duration, Instant};

use chatixia_sidecar::limits;
use chatixia_sidecar::protocol::PeerId;
use chatixia_sidecar::protocol::signaling::{Incoming, Signal};
use chatixia_sidecar::runtime::signaling::{KeepaliveTimes, Notice, Times};
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::*;
use crate::scripted_registry::{Script, ScriptedRegistry, Seen, SocketScript, quiet_address};

#[test]
fn exchanges_the_key_for_a_token_registers_and_carries_frames_both_ways() {
    let script = Script::with_sockets(&[SocketScript::Serve(vec!["bob".to_owned()])]);
    let registry = ScriptedRegistry::start(script);
    let client = Client::start(&registry, api_key());
    let Notice::Connected { peer_id } = client.next() else {
        panic!("the first notice is not Connected");
    };
    assert_eq!(peer_id.as_str(), "alice");
    let bob = PeerId::new("bob").unwrap();
    let list = Incoming::PeerList {
        peers: vec![bob],
        left_out: 0,
    };
    assert_eq!(client.next(), Notice::Frame(list));

    let request = registry.wait_for(token_request);
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/api/token");
    assert_eq!(request.header("x-api-key"), Some("s3cret.alice"));
    assert_eq!(request.header("x-device-token"), None);
    assert_eq!(request.header("content-length"), Some("0"));
    assert_eq!(registry.wait_for(upgrade), "/ws?token=s3cret%2Ftoken%200");
    let (_, first) = registry.wait_for(frame);
    assert!(first.contains(r#""register""#), "{first}");

    assert!(client.handle.send(offer("o-1")));
    frame_with(&registry, "o-1");
    registry.send(&Message::text(
        r#"{"type":"offer","peer_id":"bob","target_id":"alice","payload":{"sdp":"o-2"}}"#,
    ));
    let Notice::Frame(Incoming::Relay { sender, signal, .. }) = client.next() else {
        panic!("no frame came in");
    };
    assert_eq!(sender.as_str(), "bob");
    assert_eq!(signal, Signal::Offer { sdp: "o-2".into() });
}

#[test]
fn a_registry_that_comes_up_later_is_found() {
    let address = quiet_address();
    let client = Client::launch(
        &format!("ws://{address}/ws"),
        &format!("http://{address}/api/token"),
        api_key(),
        times(),
        None,
        64,
    );
    let reason = client.disconnected();
    let expected = format!("token exchange at http://{address}/api/token: connection refused; ");
    assert!(reason.starts_with(&expected), "{reason}");
    assert!(!client.handle.send(offer("nobody hears this")));
    let registry = ScriptedRegistry::start_at(address, Script::faultless());
    client.connected();
    drop(registry);
}

#[test]
fn a_restarted_registry_gets_a_new_token_and_register() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let address = registry.address;
    let client = Client::start(&registry, api_key());
    client.connected();
    registry.wait_for(upgrade);
    drop(registry);
    let reason = client.disconnected();
    assert!(reason.starts_with("WebSocket at ws://"), "{reason}");

    let registry = ScriptedRegistry::start_at(address, Script::faultless());
    client.connected();
    registry.wait_for(token_request);
    assert!(registry.wait_for(frame).1.contains(r#""register""#));
    registry.drop_sockets();
    client.connected();
    assert!(registry.wait_for(upgrade).contains("token%201"));
}

#[test]
fn every_wrong_upgrade_is_told_and_survived() {
    let cases = [
        (SocketScript::Refuse(401), "refused the token (401"),
        (SocketScript::Refuse(404), "answered 404 Not Found in place"),
        (SocketScript::HangUpgrade, "not open within 2"),
    ];
    let scripts: Vec<_> = cases.iter().map(|(script, _)| script.clone()).collect();
    let scripts = [&scripts[..], &[SocketScript::Serve(Vec::new())]].concat();
    let registry = ScriptedRegistry::start(Script::with_sockets(&scripts));
    let times = Times {
        handshake: Duration::from_secs(2),
        ..times()
    };
    let client = Client::start_with(&registry, api_key(), times, None);
    for (script, expected) in cases {
        let reason = client.disconnected();
        assert!(reason.contains(expected), "{script:?}: {reason}");
    }
    client.connected();
    let tokens = registry.seen().into_iter().filter_map(token_request);
    assert_eq!(tokens.count(), 4, "a new token for each try");
}

#[test]
fn every_wrong_end_of_a_websocket_is_told_and_survived() {
    let oversize = "x".repeat(limits::REGISTRY_FRAME_BYTES + 1);
    let cases = [
        (SocketScript::Raw(Vec::new()), "closed without a goodbye"),
        (SocketScript::Close, "closed by the registry"),
        // A text frame of 100 bytes, of which three come.
        (
            SocketScript::Raw(b"\x81\x64abc".to_vec()),
            "closed without a goodbye",
        ),
        // An opcode that does not exist.
        (SocketScript::Raw(b"\x83\x01a".to_vec()), "invalid opcode"),
        (
            SocketScript::Send(vec![Message::text(oversize)]),
            "16777216 are allowed",
        ),
    ];
    let scripts: Vec<_> = cases.iter().map(|(script, _)| script.clone()).collect();
    let scripts = [&scripts[..], &[SocketScript::Serve(Vec::new())]].concat();
    let registry = ScriptedRegistry::start(Script::with_sockets(&scripts));
    let client = Client::start(&registry, api_key());
    for (script, expected) in cases {
        let connected = client.next();
        assert!(
            matches!(connected, Notice::Connected { .. }),
            "{script:?}: {connected:?}"
        );
        let reason = client.disconnected();
        assert!(reason.contains(expected), "{script:?}: {reason}");
    }
    client.connected();
}

#[test]
fn garbage_frames_are_skipped_on_the_same_connection() {
    let mut garbage: Vec<_> = ["", "{", "[]", r#"{"type":1}"#, r#"{"type":"offer"}"#]
        .into_iter()
        .map(Message::text)
        .collect();
    garbage.push(Message::binary(vec![0xff; 1000]));
    let text = OpCode::Data(Data::Text);
    garbage.push(Message::Frame(Frame::message(vec![0xff; 1000], text, true)));
    garbage.push(Message::Ping(Vec::new().into()));
    garbage.push(Message::text("x".repeat(limits::REGISTRY_FRAME_BYTES)));
    // An offer that is too long, of a peer who may mean harm.
    let sdp = "x".repeat(limits::SIGNALING_FRAME_BYTES);
    garbage.push(Message::text(format!(
        r#"{{"type":"offer","peer_id":"bob","target_id":"alice","payload":{{"sdp":"{sdp}"}}}}"#
    )));
    garbage.push(Message::text(
        r#"{"type":"news","peer_id":"registry","payload":{}}"#,
    ));
    let registry = ScriptedRegistry::start(Script::with_sockets(&[SocketScript::Send(garbage)]));
    let client = Client::start(&registry, api_key());
    assert!(matches!(client.next(), Notice::Connected { .. }));
    // Which types mean something is for the event loop to know.
    let kind = "news".to_owned();
    assert_eq!(client.next(), Notice::Frame(Incoming::Unknown { kind }));
    assert!(client.handle.send(offer("still here")));
    registry.wait_for(|seen| matches!(seen, Seen::Pong { socket: 0 }).then_some(()));
    assert_eq!(frame_with(&registry, "still here"), 0);
}

#[test]
fn a_dead_connection_is_noticed_and_replaced() {
    let script = [SocketScript::Stall, SocketScript::Serve(Vec::new())];
    let registry = ScriptedRegistry::start(Script::with_sockets(&script));
    let times = Times {
        keepalive: KeepaliveTimes {
            ping: Duration::from_millis(100),
            heartbeat: Duration::from_millis(200),
            dead: Duration::from_secs(1),
            ..times().keepalive
        },
        ..times()
    };
    let client = Client::start_with(&registry, api_key(), times, None);
    assert!(matches!(client.next(), Notice::Connected { .. }));
    let reason = client.disconnected();
    assert!(reason.contains("nothing heard for 1 s"), "{reason}");
    client.connected();
    registry.wait_for(|seen| matches!(seen, Seen::Ping { socket: 1 }).then_some(()));
    // Longer than a connection lives on which nothing is heard.
    for _ in 0..8 {
        assert_eq!(frame_with(&registry, r#""heartbeat""#), 1);
    }
    assert!(client.notices.is_empty(), "{:?}", client.next());
}

#[test]
fn frames_of_a_lost_connection_are_never_sent_on_the_next() {
    let script = [SocketScript::Stall, SocketScript::Serve(Vec::new())];
    let registry = ScriptedRegistry::start(Script::with_sockets(&script));
    let times = Times {
        keepalive: KeepaliveTimes {
            ping: Duration::from_millis(200),
            dead: Duration::from_secs(2),
            ..times().keepalive
        },
        ..times()
    };
    let client = Client::start_with(&registry, api_key(), times, None);
    assert!(matches!(client.next(), Notice::Connected { .. }));
    // More than the TCP buffers hold, so that frames are waiting when the connection dies.
    let stale = offer(&format!("stale {}", "x".repeat(10_000)));
    let mut taken = 0;
    while client.handle.send(stale.clone()) {
        taken += 1;
    }
    assert!(taken >= limits::SIGNALING_QUEUE_FRAMES);
    client.disconnected();
    assert!(matches!(client.next(), Notice::Connected { .. }));
    // It is taken at once: the stale ones must not fill the queue any more.
    assert!(client.handle.send(offer("fresh")));
    registry.wait_for(|seen| {
        let (socket, text) = frame(seen)?;
        assert_eq!(socket, 1);
        assert!(!text.contains("stale"), "a stale frame was sent");
        text.contains("fresh").then_some(())
    });
}

/// Frames come in while ours are stuck; later all of ours arrive on the same connection.
pub(crate) fn a_registry_that_does_not_read_loses_nothing(
    registry: &ScriptedRegistry,
    client: &Client,
) {
    assert!(matches!(client.next(), Notice::Connected { .. }));
    // The first hundred fill the buffers of TCP, each larger than those of TLS.
    let nth = |n| {
        offer(&format!(
            "{n} {}",
            "x".repeat(if n < 100 { 100_000 } else { 10 })
        ))
    };
    let mut sent = 0;
    while client.handle.send(nth(sent)) {
        sent += 1;
    }
    assert!(sent >= limits::SIGNALING_QUEUE_FRAMES);
    for n in 0..NEWS {
        let sdp = n.to_string();
        let Notice::Frame(Incoming::Relay { signal, .. }) = client.next() else {
            panic!("frame {n} is missing");
        };
        assert_eq!(signal, Signal::Offer { sdp });
    }
    for n in 0..sent {
        assert_eq!(frame_with(registry, &format!("\"{n} x")), 0);
    }
}

const NEWS: usize = 200;

/// The script for [`a_registry_that_does_not_read_loses_nothing`].
pub(crate) fn speaks_without_reading() -> Script {
    let news = |n| format!(r#"{{"type":"offer","peer_id":"bob","payload":{{"sdp":"{n}"}}}}"#);
    let news = (0..NEWS).map(|n| Message::text(news(n))).collect();
    Script::with_sockets(&[SocketScript::Send(news)])
}

#[test]
fn a_registry_that_does_not_read_for_a_while_loses_nothing() {
    let registry = ScriptedRegistry::start(speaks_without_reading());
    let client = Client::start(&registry, api_key());
    a_registry_that_does_not_read_loses_nothing(&registry, &client);
}

#[test]
fn a_registry_that_closes_at_once_is_not_hammered() {
    let script = Script::with_sockets(&[SocketScript::Close]);
    let registry = ScriptedRegistry::start(script);
    let times = Times {
        backoff: (Duration::from_millis(20), Duration::from_secs(10)),
        ..Times::default()
    };
    let client = Client::start_with(&registry, api_key(), times, None);
    let start = Instant::now();
    for _ in 0..5 {
        assert!(matches!(client.next(), Notice::Connected { .. }));
        client.disconnected();
    }
    // Half of 20 + 40 + 80 + 160 ms at least.
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_slow_event_loop_slows_the_registry_and_nothing_is_lost() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let urls = (registry.signaling_url(), registry.token_url());
    let client = Client::launch(&urls.0, &urls.1, api_key(), times(), None, 1);
    client.connected();
    let frame = |n| format!(r#"{{"type":"offer","peer_id":"bob","payload":{{"sdp":"{n}"}}}}"#);
    for n in 0..500 {
        registry.send(&Message::text(frame(n)));
    }
    for n in 0..500 {
        let Notice::Frame(Incoming::Relay { signal, .. }) = client.next() else {
            panic!("no frame {n}");
        };
        let sdp = n.to_string();
        assert_eq!(signal, Signal::Offer { sdp });
    }
}

/// Sends the registry a frame and takes two small ones in answer, ten times. Fails if the second of them
/// has always waited for a delayed acknowledgement of the first.
///
/// The system acknowledges at once what comes without having been asked for. So each round asks.
pub(crate) fn the_second_of_two_small_frames_comes_at_once(
    registry: &ScriptedRegistry,
    client: &Client,
) {
    client.connected();
    let news = Message::text(r#"{"type":"offer","peer_id":"bob","payload":{"sdp":"n"}}"#);
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert!(client.handle.send(offer("question")));
        frame_with(registry, "question");
        registry.send(&news);
        registry.send(&news);
        assert!(matches!(client.next(), Notice::Frame(_)));
        let first = Instant::now();
        assert!(matches!(client.next(), Notice::Frame(_)));
        waits.push(first.elapsed());
    }
    let least = waits.iter().min().unwrap();
    // The system delays acknowledgements by 40 ms at least.
    assert!(*least < Duration::from_millis(30), "{waits:?}");
}

/// The script for [`the_second_of_two_small_frames_comes_at_once`].
pub(crate) fn holds_small_frames() -> Script {
    Script {
        holds_small_frames: true,
        ..Script::faultless()
    }
}

#[test]
fn a_registry_that_waits_for_acknowledgements_has_them_at_once() {
    let registry = ScriptedRegistry::start(holds_small_frames());
    let client = Client::start(&registry, api_key());
    the_second_of_two_small_frames_comes_at_once(&registry, &client);
}
