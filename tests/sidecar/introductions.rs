//! Tests with peers that the registry lets in and that break the rules.

use serde_json::{Value, json};

use crate::registry::Client;
use crate::support::{Node, Site};

fn send(client: &mut Client, kind: &str, target: &str, payload: &Value) {
    let frame = json!({
        "type": kind,
        "peer_id": client.peer,
        "target_id": target,
        "payload": payload,
    });
    client.send(&frame.to_string());
}

/// The payload of the next frame of this type from this peer.
fn await_frame(client: &mut Client, kind: &str, from: &str) -> Value {
    loop {
        let frame: Value = serde_json::from_str(&client.receive()).unwrap();
        if frame["type"] == kind && frame["peer_id"] == from {
            return frame["payload"].clone();
        }
    }
}

#[test]
fn offers_of_garbage_cost_nobody_else_anything() {
    let site = Site::new();
    let mut alice = Node::start(site.setup("alice").unset("RUST_LOG"));
    let memory = alice.sidecar.resident_bytes();
    let mut mallory = site.registry.registered("mallory");
    for number in 0..3000 {
        let candidate = json!({"candidate": format!("garbage {number}"), "sdpMid": "0"});
        send(&mut mallory, "ice_candidate", "alice", &candidate);
        let sdp = format!("v=0\r\ngarbage {number}");
        send(&mut mallory, "offer", "alice", &json!({"sdp": sdp}));
        let offer = json!({"sdp": sdp, "v": 1, "conn": number.to_string(), "session": "s"});
        send(&mut mallory, "offer", "alice", &offer);
        send(&mut mallory, "answer", "alice", &offer);
    }
    let mut bob = site.node("bob");
    bob.await_peers(&["alice"]);
    alice.await_peers(&["bob"]);
    bob.agent.send("alice", &json!({"type": "x"}));
    alice.agent.until_peer("message", "bob");
    let grown = alice.sidecar.resident_bytes().saturating_sub(memory);
    assert!(grown < 8_000_000, "grown by {grown} bytes");
    let log = alice.sidecar.log();
    assert!(!log.contains("panicked"));
    assert!(log.lines().count() < 1000, "{} lines", log.lines().count());
}

#[test]
fn an_answer_of_garbage_or_of_another_is_not_taken() {
    let site = Site::new();
    // Registered first, so that alice offers.
    let mut mallory = site.registry.registered("mallory");
    let mut alice = site.node("alice");
    let offer = await_frame(&mut mallory, "offer", "alice");
    assert_eq!(offer["v"], 1);
    let (conn, sdp) = (&offer["conn"], offer["sdp"].as_str().unwrap());
    assert!(conn.is_string() && offer["session"].is_string());
    assert!(sdp.contains("a=setup:actpass") && sdp.contains("webrtc-datachannel"));
    assert!(sdp.contains("a=max-message-size:262144"), "{sdp}");
    for answer in [
        json!({"sdp": "garbage"}),
        json!({"sdp": "garbage", "v": 1, "conn": "of another attempt", "session": "s"}),
        // Our own description, at which nobody can be reached.
        json!({"sdp": sdp, "v": 1, "conn": conn, "session": "s"}),
    ] {
        send(&mut mallory, "answer", "alice", &answer);
    }
    let payload = json!({"target_peer_id": "bob"});
    let mut bob = site.node("bob");
    let answer = alice.agent.ask("connect", &payload);
    assert_eq!(answer.kind(), "ok", "{answer:?}");
    bob.await_peers(&["alice"]);
    assert!(!alice.sidecar.log().contains("panicked"));
}

#[test]
fn offers_to_one_who_is_gone_end_with_him() {
    let site = Site::new();
    let mut mallory = site.registry.registered("mallory");
    let setup = site.setup("alice").set("CONNECT_TIMEOUT", "1");
    let mut alice = Node::start(setup);
    await_frame(&mut mallory, "offer", "alice");
    drop(mallory);
    let payload = json!({"target_peer": "mallory", "message": {"type": "x"}});
    let error = alice.agent.ask("send", &payload);
    assert!(
        ["unknown_peer", "connect_failed"].contains(&error.code()),
        "{error:?}"
    );
}

#[test]
fn what_is_sent_to_one_who_said_goodbye_is_reported_until_he_returns() {
    let site = Site::new();
    let setup = |name| {
        site.setup(name)
            .set("CONNECT_TIMEOUT", "1")
            .set("RECOVERY_TIMEOUT", "2")
    };
    let [mut alice, mut bob] = Node::meet(["alice", "bob"].map(setup));
    bob.sidecar.signal(rustix::process::Signal::TERM);
    alice.agent.until_peer("peer_disconnected", "bob");
    let message = json!({"type": "x", "request_id": "r"});
    let payload = json!({"target_peer": "bob", "message": message});
    let not_sent = alice.agent.ask("send", &payload);
    assert_eq!(not_sent.payload()["request_id"], "r");
    let connect = json!({"target_peer_id": "bob"});
    let not_connected = alice.agent.ask("connect", &connect);
    // The registry's last list may or may not have had him.
    for error in [not_sent, not_connected] {
        let codes = ["unknown_peer", "connect_failed"];
        assert!(codes.contains(&error.code()), "{error:?}");
    }
    assert_eq!(bob.sidecar.exit_code(), 0);
    let _bob = Node::start(setup("bob"));
    alice.agent.until_peer("peer_connected", "bob");
    assert_eq!(alice.agent.ask("send", &payload).kind(), "ok");
}
