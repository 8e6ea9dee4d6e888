//! Tests of registering and relaying.

use super::support::RunningRegistry;

#[test]
fn every_register_is_answered_with_the_others_online() {
    let registry = RunningRegistry::open();
    let mut a = registry.client("a");
    assert_eq!(a.register(), [""; 0]);
    let mut b = registry.client("b");
    assert_eq!(a.register(), [""; 0], "b has a socket but did not register");
    assert_eq!(b.register(), ["a"]);
    assert_eq!(b.register(), ["a"]);
    assert_eq!(a.register(), ["b"]);
    drop(b);
    a.await_others(&[]);
}

#[test]
fn frames_are_relayed_to_the_letter() {
    let registry = RunningRegistry::open();
    let (mut a, mut b) = (registry.registered("a"), registry.registered("b"));
    for frame in [
        r#"{"type":"offer","peer_id":"a","target_id":"b","payload":{"sdp":"v=0\r\n"}}"#,
        r#"{ "payload" : {"z":1, "a":123456789012345678901234567890, "conn":"x"},
            "target_id":"b", "extra":[1.0,1e400], "peer_id":"a", "type":"answer"}"#,
        r#"{"type":"ice_candidate","peer_id":"a","target_id":"b","payload":null,"more":"🦀"}"#,
        r#"{"type":"off\u0065r","peer_id":"\u0061","target_id":"\u0062"}"#,
    ] {
        a.send(frame);
        assert_eq!(b.receive(), frame);
    }
}

#[test]
fn what_is_not_the_senders_or_has_no_taker_is_dropped_silently() {
    let registry = RunningRegistry::open();
    let (mut a, mut b) = (registry.registered("a"), registry.registered("b"));
    let _connected_only = registry.client("c");
    for frame in [
        r#"{"type":"offer","peer_id":"b","target_id":"b","payload":{}}"#,
        r#"{"type":"offer","peer_id":"c","target_id":"b","payload":{}}"#,
        r#"{"type":"offer","target_id":"b","payload":{}}"#,
        r#"{"type":"offer","peer_id":"a","target_id":"nobody","payload":{}}"#,
        r#"{"type":"offer","peer_id":"a","target_id":"c","payload":{}}"#,
        r#"{"type":"register","peer_id":"b","payload":{}}"#,
        r#"{"type":"heartbeat","peer_id":"a","payload":{}}"#,
        r#"{"type":"gossip","peer_id":"a","target_id":"b","payload":{}}"#,
        "garbage",
    ] {
        a.send(frame);
    }
    let binary = br#"{"type":"offer","peer_id":"a","target_id":"b"}"#;
    a.socket.send(binary.to_vec().into()).unwrap();
    let last = a.offer("b", "last");
    assert_eq!(b.receive(), last);
    // Its answer is the first frame that comes: nothing above was answered.
    assert_eq!(a.register(), ["b"]);
}

#[test]
fn nobody_is_told_when_a_peer_comes_or_goes() {
    let registry = RunningRegistry::open();
    let mut a = registry.registered("a");
    let mut b = registry.registered("b");
    drop(registry.registered("c"));
    b.await_others(&["a"]);
    let offer = b.offer("a", "first");
    assert_eq!(a.receive(), offer);
}

#[test]
fn a_second_socket_of_a_peer_replaces_the_first_and_outlives_it() {
    let registry = RunningRegistry::open();
    let mut other = registry.registered("other");
    let mut first = registry.registered("a");
    let mut second = registry.registered("a");
    assert_eq!(first.await_close(), 1008);
    drop(first);
    assert_eq!(other.register(), ["a"]);
    let offer = other.offer("a", "to the second");
    assert_eq!(second.receive(), offer);
    assert_eq!(second.register(), ["other"]);
    drop(second);
    other.await_others(&[]);
}

#[test]
fn a_token_opens_more_than_one_socket_and_frames_may_come_with_the_handshake() {
    use std::io::{Read, Write};

    let registry = RunningRegistry::open();
    let token = registry.token("a");
    let mut request = format!(
        "GET /ws?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes();
    let text = br#"{"type":"register","peer_id":"a"}"#;
    request.extend([0x81, 0x80 | text.len() as u8, 0, 0, 0, 0]);
    request.extend(text);
    for _ in 0..2 {
        let mut stream = registry.connect();
        stream.write_all(&request).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(br#"{"peers":[]}}"#) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    }
}

#[test]
fn the_end_of_the_registry_is_told() {
    let mut registry = RunningRegistry::open();
    let mut a = registry.registered("a");
    registry.stop();
    assert_eq!(a.await_close(), 1001);
    assert!(std::net::TcpStream::connect(registry.address).is_err());
}
