use serde_json::value::RawValue;

use super::super::{Command, ErrorCode, Limits, Request, parse};
use super::*;
use crate::protocol::message::Message;

fn peer(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

fn id(json: &str) -> CommandId {
    let line = format!(r#"{{"type":"stats","id":{json}}}"#);
    let limits = Limits {
        message_bytes: 1024,
        line_bytes: 1024,
    };
    let request = parse(line.as_bytes(), limits).unwrap();
    assert_eq!(
        request,
        Request {
            id: request.id.clone(),
            command: Command::Stats
        }
    );
    request.id.unwrap()
}

/// Checks the line, and that the hint for its size is near.
fn assert_line(event: &Event, expected: &str) {
    let mut out = b"before\n".to_vec();
    event.write_line(&mut out);
    let line = String::from_utf8(out).unwrap();
    assert_eq!(line, format!("before\n{expected}\n"));
    assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
    let (hint, length) = (event.size_hint(), expected.len());
    assert!(
        hint + 64 > length && hint < length + 128,
        "{hint} for {length}"
    );
}

#[test]
fn ready() {
    let version = env!("CARGO_PKG_VERSION");
    let ready = |peer_id, registry_connected: bool| Event::Ready {
        peer_id,
        fingerprint: registry_connected.then(|| "AB:CD".to_owned()),
        max_message_bytes: 262144,
        max_line_bytes: 327680,
        registry_connected,
    };
    assert_line(
        &ready(None, false),
        &format!(
            r#"{{"type":"ready","payload":{{"protocol":1,"version":"{version}","peer_id":null,"max_message_bytes":262144,"max_line_bytes":327680,"registry":"connecting"}}}}"#
        ),
    );
    assert_line(
        &ready(Some(peer("a-sidecar")), true),
        &format!(
            r#"{{"type":"ready","payload":{{"protocol":1,"version":"{version}","peer_id":"a-sidecar","fingerprint":"AB:CD","max_message_bytes":262144,"max_line_bytes":327680,"registry":"connected"}}}}"#
        ),
    );
}

#[test]
fn message_with_its_text_untouched() {
    let json = r#"{"type":"ping","request_id":"","source_agent":"","target_agent":"","payload":{"z":123456789012345678901234567890,"a":"\u00e9é"}}"#;
    let message = Message::from_peer(json.as_bytes()).unwrap();
    assert_line(
        &Event::Message {
            from_peer: peer("b-sidecar"),
            message: message.clone(),
        },
        &format!(r#"{{"type":"message","payload":{{"from_peer":"b-sidecar","message":{json}}}}}"#),
    );
    assert_line(
        &Event::Message {
            from_peer: peer("\"é\\😀"),
            message,
        },
        &format!(r#"{{"type":"message","payload":{{"from_peer":"\"é\\😀","message":{json}}}}}"#),
    );
}

#[test]
fn peer_connected_says_resumed_only_when_it_is() {
    assert_line(
        &Event::PeerConnected {
            peer_id: peer("b"),
            resumed: false,
        },
        r#"{"type":"peer_connected","payload":{"peer_id":"b"}}"#,
    );
    assert_line(
        &Event::PeerConnected {
            peer_id: peer("b"),
            resumed: true,
        },
        r#"{"type":"peer_connected","payload":{"peer_id":"b","resumed":true}}"#,
    );
}

#[test]
fn peer_disconnected() {
    assert_line(
        &Event::PeerDisconnected { peer_id: peer("b") },
        r#"{"type":"peer_disconnected","payload":{"peer_id":"b"}}"#,
    );
}

#[test]
fn peer_list() {
    assert_line(
        &Event::PeerList {
            id: None,
            peers: vec![],
        },
        r#"{"type":"peer_list","payload":{"peers":[]}}"#,
    );
    assert_line(
        &Event::PeerList {
            id: Some(id("12")),
            peers: vec![peer("a"), peer("\"")],
        },
        r#"{"type":"peer_list","id":12,"payload":{"peers":["a","\""]}}"#,
    );
}

#[test]
fn ok_of_a_send() {
    let sent = |receipt| Event::Ok {
        id: id(r#""\u00e91""#),
        payload: Success::Sent {
            target_peer: peer("b"),
            receipt,
        },
    };
    assert_line(
        &sent(Receipt::Agent),
        r#"{"type":"ok","id":"\u00e91","payload":{"target_peer":"b","receipt":"agent"}}"#,
    );
    assert_line(
        &sent(Receipt::Transport),
        r#"{"type":"ok","id":"\u00e91","payload":{"target_peer":"b","receipt":"transport"}}"#,
    );
}

#[test]
fn ok_of_a_broadcast() {
    assert_line(
        &Event::Ok {
            id: id("1"),
            payload: Success::Broadcast {
                delivered: vec![peer("b"), peer("c")],
                failed: vec![
                    (peer("d"), ErrorCode::ConnectionLost),
                    (peer("e"), ErrorCode::PeerStalled),
                ],
            },
        },
        r#"{"type":"ok","id":1,"payload":{"delivered":["b","c"],"failed":[{"peer_id":"d","code":"connection_lost"},{"peer_id":"e","code":"peer_stalled"}]}}"#,
    );
    assert_line(
        &Event::Ok {
            id: id("1"),
            payload: Success::Broadcast {
                delivered: vec![],
                failed: vec![],
            },
        },
        r#"{"type":"ok","id":1,"payload":{"delivered":[],"failed":[]}}"#,
    );
}

#[test]
fn ok_of_a_connect() {
    assert_line(
        &Event::Ok {
            id: id("-1"),
            payload: Success::Connected {
                target_peer_id: peer("b"),
            },
        },
        r#"{"type":"ok","id":-1,"payload":{"target_peer_id":"b"}}"#,
    );
}

#[test]
fn error_with_what_there_is_of_it() {
    assert_line(
        &Event::Error {
            id: None,
            error: ErrorReport::new(ErrorCode::Busy, "another\nagent"),
        },
        r#"{"type":"error","payload":{"code":"busy","message":"another\nagent"}}"#,
    );
    assert_line(
        &Event::Error {
            id: Some(id("7")),
            error: ErrorReport {
                code: ErrorCode::MessageTooLarge,
                message: "too large".into(),
                target_peer: Some(peer("b")),
                request_id: Some("r\"1".into()),
                limit: Some(65535),
            },
        },
        r#"{"type":"error","id":7,"payload":{"code":"message_too_large","message":"too large","target_peer":"b","request_id":"r\"1","limit":65535}}"#,
    );
}

#[test]
fn registry_with_null_for_what_is_not_known() {
    assert_line(
        &Event::Registry {
            state: RegistryState::Connected,
            peer_id: Some(peer("a")),
            reason: None,
        },
        r#"{"type":"registry","payload":{"state":"connected","peer_id":"a","reason":null}}"#,
    );
    for (state, name) in [
        (RegistryState::Disconnected, "disconnected"),
        (RegistryState::Refused, "refused"),
    ] {
        assert_line(
            &Event::Registry {
                state,
                peer_id: None,
                reason: Some("it \"ended\"".into()),
            },
            &format!(
                r#"{{"type":"registry","payload":{{"state":"{name}","peer_id":null,"reason":"it \"ended\""}}}}"#
            ),
        );
    }
}

#[test]
fn pressure() {
    for (state, name) in [(Pressure::High, "high"), (Pressure::Normal, "normal")] {
        assert_line(
            &Event::Pressure {
                target_peer: peer("b"),
                state,
                queued_bytes: 4096,
            },
            &format!(
                r#"{{"type":"pressure","payload":{{"target_peer":"b","state":"{name}","queued_bytes":4096}}}}"#
            ),
        );
    }
}

#[test]
fn stats() {
    let payload = || RawValue::from_string(r#"{"uptime":1}"#.into()).unwrap();
    assert_line(
        &Event::Stats {
            id: None,
            payload: payload(),
        },
        r#"{"type":"stats","payload":{"uptime":1}}"#,
    );
    assert_line(
        &Event::Stats {
            id: Some(id("3")),
            payload: payload(),
        },
        r#"{"type":"stats","id":3,"payload":{"uptime":1}}"#,
    );
}

#[test]
fn every_error_code_is_spelled_as_in_the_contract() {
    let codes = [
        ErrorCode::BadJson,
        ErrorCode::LineTooLong,
        ErrorCode::UnknownCommand,
        ErrorCode::BadCommand,
        ErrorCode::BadMessage,
        ErrorCode::UnknownPeer,
        ErrorCode::ConnectFailed,
        ErrorCode::ConnectionLost,
        ErrorCode::MessageTooLarge,
        ErrorCode::PeerStalled,
        ErrorCode::TooManyPeers,
        ErrorCode::Busy,
        ErrorCode::ShuttingDown,
    ];
    assert_eq!(
        codes.map(ErrorCode::as_str).join(" "),
        "bad_json line_too_long unknown_command bad_command bad_message unknown_peer \
         connect_failed connection_lost message_too_large peer_stalled too_many_peers busy \
         shutting_down"
    );
}
