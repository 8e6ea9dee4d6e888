use super::*;
use crate::protocol::PathKind;
use crate::registry::directory::ConnectionId;
use crate::registry::limits;

const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);

fn peer(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

#[test]
fn register_needs_no_payload() {
    let directory = Directory::default();
    for rest in [
        "",
        r#","payload":{}"#,
        r#","target_id":null"#,
        r#","target_id":"""#,
    ] {
        let frame = format!(r#"{{"type":"register","peer_id":"a"{rest}}}"#);
        assert_eq!(read(&directory, &peer("a"), &frame), Reaction::Register);
    }
}

#[test]
fn offers_answers_and_candidates_go_to_their_target() {
    let mut directory = Directory::default();
    directory.register(SECOND, &peer("b"));
    for kind in ["offer", "answer", "ice_candidate"] {
        let frame = format!(r#"{{"type":"{kind}","peer_id":"a","target_id":"b","payload":1}}"#);
        let reaction = read(&directory, &peer("a"), &frame);
        let relayed = Reaction::Relay {
            kind,
            target: peer("b"),
            place: Place::Here(SECOND),
        };
        assert_eq!(reaction, relayed);
    }
}

#[test]
fn what_is_not_to_be_relayed_is_dropped() {
    let mut directory = Directory::default();
    directory.register(FIRST, &peer("a"));
    directory.register(SECOND, &peer("b"));
    for frame in [
        r#"{"type":"offer","peer_id":"b","target_id":"a"}"#,
        r#"{"type":"register","peer_id":"b"}"#,
        r#"{"type":"offer","peer_id":"a","target_id":"nobody"}"#,
        r#"{"type":"offer","peer_id":"a","target_id":""}"#,
        r#"{"type":"offer","peer_id":"a","target_id":7}"#,
        r#"{"type":"offer","peer_id":"a","target_id":null}"#,
        r#"{"type":"offer","peer_id":"a"}"#,
        r#"{"type":"heartbeat","peer_id":"a","payload":{}}"#,
        r#"{"type":"peer_list","peer_id":"a","target_id":"b","payload":{"peers":[]}}"#,
        r#"{"type":1,"peer_id":"a"}"#,
        r#"{"type":"register"}"#,
        r#"{"type":"register","peer_id":"a"} more"#,
        "[]",
        "",
    ] {
        let reaction = read(&directory, &peer("a"), frame);
        assert!(matches!(reaction, Reaction::Nothing(_)), "{frame}");
    }
}

#[test]
fn a_heartbeat_may_report_connections() {
    let mut directory = Directory::default();
    let report = |directory: &mut Directory, connection, payload: &str| {
        let frame = format!(r#"{{"type":"heartbeat","peer_id":"a","payload":{payload}}}"#);
        if let Reaction::Report(peers) = read(directory, &peer("a"), &frame) {
            directory.report(connection, &peer("a"), peers);
        }
    };
    report(&mut directory, FIRST, r#"{"mesh_peers":["b"]}"#);
    assert_eq!(directory.report_of(&peer("a")), None, "not registered");
    directory.register(FIRST, &peer("a"));
    for nothing in ["null", "{}", "[]", r#"{"mesh_peers":7}"#] {
        report(&mut directory, FIRST, nothing);
        assert_eq!(directory.report_of(&peer("a")), None);
    }
    report(&mut directory, FIRST, r#"{"mesh_peers":["b","","c"]}"#);
    report(&mut directory, FIRST, "{}");
    let named = |name| Reported {
        peer: peer(name),
        path: None,
        round_trip_ms: None,
    };
    let expected = [named("b"), named("c")];
    assert_eq!(directory.report_of(&peer("a")), Some(&expected[..]));
    directory.register(FIRST, &peer("a"));
    assert_eq!(directory.report_of(&peer("a")), Some(&expected[..]));
    for useless in [
        "7",
        r#"[{"peer_id":"b","path":"odd"}]"#,
        r#"[{"peer_id":"x","path":"relay"},{"peer_id":"b","round_trip_ms":-1}]"#,
    ] {
        let payload = format!(r#"{{"mesh_peers":["b","c"],"mesh_paths":{useless}}}"#);
        report(&mut directory, FIRST, &payload);
        assert_eq!(directory.report_of(&peer("a")), Some(&expected[..]));
    }
    report(
        &mut directory,
        FIRST,
        r#"{"mesh_peers":["b"],"mesh_paths":[{"peer_id":"b","path":"relay","round_trip_ms":2.5}]}"#,
    );
    let known =
        r#"{"mesh_peers":["b"],"mesh_paths":[{"peer_id":"b","path":"relay","round_trip_ms":2.5}]}"#;
    let frame = format!(r#"{{"type":"heartbeat","peer_id":"a","payload":{known}}}"#);
    let again = read(&directory, &peer("a"), &frame);
    assert_eq!(again, Reaction::Nothing("it reports what is known"));
    let slower = frame.replace("2.5", "2.6");
    let again = read(&directory, &peer("a"), &slower);
    assert!(matches!(again, Reaction::Report(_)), "{again:?}");
    let relayed = Reported {
        path: Some(PathKind::Relay),
        round_trip_ms: Some(2.5),
        ..named("b")
    };
    assert_eq!(directory.report_of(&peer("a")), Some(&[relayed][..]));
    directory.register(SECOND, &peer("a"));
    assert_eq!(directory.report_of(&peer("a")), None, "a new process");
    report(&mut directory, FIRST, r#"{"mesh_peers":["b"]}"#);
    assert_eq!(directory.report_of(&peer("a")), None, "of the old one");

    let many: Vec<_> = (0..=limits::REPORTED_PEERS)
        .map(|n| n.to_string())
        .collect();
    let payload = serde_json::json!({"mesh_peers": many}).to_string();
    report(&mut directory, SECOND, &payload);
    let kept = directory.report_of(&peer("a")).unwrap().len();
    assert_eq!(kept, limits::REPORTED_PEERS);
    let long = vec!["x".repeat(250); limits::REPORTED_PEERS];
    let payload = serde_json::json!({"mesh_peers": long}).to_string();
    report(&mut directory, SECOND, &payload);
    let kept = directory.report_of(&peer("a")).unwrap().len();
    assert_eq!(kept, limits::REPORT_BYTES / 250);
}
