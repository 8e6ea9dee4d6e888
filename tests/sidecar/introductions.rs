//! Peers that the registry lets in and that do not play by the rules.

use serde_json::{Value, json};

use crate::registry::Client;
use crate::support::Site;

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
    let mut alice = site.node("alice");
    let mut mallory = site.registry.registered("mallory");
    for number in 0..300 {
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
    assert!(!alice.sidecar.log().contains("panicked"));
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
        // Our own words, with which nobody can be reached.
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
    let mut alice = crate::support::Node::start(setup);
    await_frame(&mut mallory, "offer", "alice");
    drop(mallory);
    let payload = json!({"target_peer": "mallory", "message": {"type": "x"}});
    let error = alice.agent.ask("send", &payload);
    assert!(
        ["unknown_peer", "connect_failed"].contains(&error.code()),
        "{error:?}"
    );
}
