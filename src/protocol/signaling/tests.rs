use super::*;

const SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n";
const CANDIDATE: &str = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host";

fn peer(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

fn ours() -> Extension {
    Extension {
        ours: true,
        conn: Some("c1".into()),
        session: Some("s1".into()),
        refused: None,
    }
}

fn text_of(signal: Signal, extension: Extension) -> String {
    let target = peer("b-sidecar");
    let frame = Outgoing::Relay {
        target,
        signal,
        extension,
    };
    frame.to_text(&peer("a-sidecar"))
}

fn parse(text: &str) -> Incoming {
    Incoming::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn fault(text: &str) -> String {
    match Incoming::parse(text) {
        Ok(frame) => panic!("{text}: {frame:?}"),
        Err(FrameError(fault)) => fault,
    }
}

fn relay(signal: Signal, extension: Extension) -> Incoming {
    Incoming::Relay {
        sender: peer("a-sidecar"),
        target: Some(peer("b-sidecar")),
        signal,
        extension,
    }
}

fn offer() -> Signal {
    Signal::Offer { sdp: SDP.into() }
}

fn candidate(candidate: &str) -> Signal {
    Signal::Candidate {
        candidate: candidate.into(),
    }
}

#[test]
fn register_and_heartbeat_are_written_with_an_empty_payload() {
    let own = peer("a\"-sidecar");
    assert_eq!(
        Outgoing::Register.to_text(&own),
        r#"{"type":"register","peer_id":"a\"-sidecar","payload":{}}"#
    );
    assert_eq!(
        Outgoing::Heartbeat.to_text(&own),
        r#"{"type":"heartbeat","peer_id":"a\"-sidecar","payload":{}}"#
    );
}

#[test]
fn a_report_is_a_heartbeat_with_names_and_paths() {
    let report = |connections: Vec<Reported>| Outgoing::Report { connections }.to_text(&peer("a"));
    let known = Reported {
        peer: peer("b"),
        path: Some(PathKind::Relay),
        round_trip: Some(Duration::from_micros(12_345)),
    };
    let unknown = Reported {
        peer: peer("\"c\""),
        path: None,
        round_trip: None,
    };
    assert_eq!(
        report(vec![known, unknown]),
        concat!(
            r#"{"type":"heartbeat","peer_id":"a","payload":{"mesh_peers":["b","\"c\""],"#,
            r#""mesh_paths":[{"peer_id":"b","path":"relay","round_trip_ms":12.345},{"peer_id":"\"c\""}]}}"#
        )
    );
    assert_eq!(
        report(Vec::new()),
        r#"{"type":"heartbeat","peer_id":"a","payload":{"mesh_peers":[],"mesh_paths":[]}}"#
    );
}

#[test]
fn offers_and_answers_are_written_with_our_additions() {
    let sdp = || SDP.to_owned();
    assert_eq!(
        text_of(Signal::Offer { sdp: sdp() }, ours()),
        r#"{"type":"offer","peer_id":"a-sidecar","target_id":"b-sidecar","payload":{"sdp":"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n","v":1,"conn":"c1","session":"s1"}}"#
    );
    assert_eq!(
        text_of(Signal::Answer { sdp: sdp() }, Extension::default()),
        r#"{"type":"answer","peer_id":"a-sidecar","target_id":"b-sidecar","payload":{"sdp":"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"}}"#
    );
}

#[test]
fn candidates_are_written_with_the_mid_that_others_want() {
    assert_eq!(
        text_of(candidate(CANDIDATE), ours()),
        format!(
            r#"{{"type":"ice_candidate","peer_id":"a-sidecar","target_id":"b-sidecar","payload":{{"candidate":"{CANDIDATE}","sdpMid":"0","sdpMLineIndex":0,"v":1,"conn":"c1","session":"s1"}}}}"#
        )
    );
}

#[test]
fn what_is_written_is_read_the_same() {
    let answer = Signal::Answer { sdp: SDP.into() };
    for signal in [offer(), answer, candidate(CANDIDATE), candidate("")] {
        for extension in [ours(), Extension::default()] {
            let text = text_of(signal.clone(), extension.clone());
            assert_eq!(parse(&text), relay(signal.clone(), extension));
        }
    }
}

#[test]
fn a_peer_list_names_the_others_and_leaves_out_what_is_no_name() {
    assert_eq!(
        parse(
            r#"{"type":"peer_list","peer_id":"registry","payload":{"peers":["b-sidecar","c-sidecar"]}}"#
        ),
        Incoming::PeerList {
            peers: vec![peer("b-sidecar"), peer("c-sidecar")],
            left_out: 0
        }
    );
    let long = "x".repeat(limits::PEER_ID_BYTES + 1);
    assert_eq!(
        parse(&format!(
            r#"{{"payload":{{"peers":["",7,null,["x"],"a\nb","\ud800","{long}","\u00e9"]}},"type":"peer_list","peer_id":"registry"}}"#
        )),
        Incoming::PeerList {
            peers: vec![peer("é")],
            left_out: 0
        }
    );
    assert_eq!(
        parse(r#"{"type":"peer_list","peer_id":"registry","payload":{"peers":[]}}"#),
        Incoming::PeerList {
            peers: vec![],
            left_out: 0
        }
    );
}

#[test]
fn a_peer_list_without_a_list_is_an_error() {
    for payload in ["null", "{}", "[]", r#"{"peers":null}"#, r#"{"peers":{}}"#] {
        let text = format!(r#"{{"type":"peer_list","peer_id":"registry","payload":{payload}}}"#);
        assert!(fault(&text).contains("peers"), "{text}");
    }
    assert!(fault(r#"{"type":"peer_list","peer_id":"registry"}"#).contains("peers"));
}

#[test]
fn a_peer_list_of_anybody_but_the_registry_is_an_error() {
    for sender in ["", r#""peer_id":"mallory","#, r#""peer_id":["registry"],"#] {
        let text = format!(r#"{{"type":"peer_list",{sender}"payload":{{"peers":["x"]}}}}"#);
        assert!(fault(&text).contains("not the registry's"), "{text}");
    }
}

#[test]
fn an_offer_of_the_field_has_an_sdp_and_nothing_of_ours() {
    assert_eq!(
        parse(
            r#"{"type":"offer","peer_id":"a-sidecar","target_id":"b-sidecar","payload":{"sdp":"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n","type":"offer"}}"#
        ),
        relay(offer(), Extension::default())
    );
}

#[test]
fn a_candidate_may_have_any_mid_and_the_end_may_be_said_in_many_ways() {
    for mid in [r#""0""#, r#""""#, r#""data""#, "null", "0"] {
        let text = format!(
            r#"{{"type":"ice_candidate","peer_id":"a-sidecar","target_id":"b-sidecar","payload":{{"candidate":"{CANDIDATE}","sdpMid":{mid},"sdpMLineIndex":null}}}}"#
        );
        assert_eq!(
            parse(&text),
            relay(candidate(CANDIDATE), Extension::default())
        );
    }
    for payload in [
        r#","payload":{"candidate":"","sdpMid":null}"#,
        r#","payload":{"candidate":null}"#,
        r#","payload":{}"#,
        r#","payload":null"#,
        "",
    ] {
        let text = format!(
            r#"{{"type":"ice_candidate","peer_id":"a-sidecar","target_id":"b-sidecar"{payload}}}"#
        );
        assert_eq!(
            parse(&text),
            relay(candidate(""), Extension::default()),
            "{text}"
        );
    }
}

#[test]
fn a_candidate_that_is_too_long_or_no_string_is_an_error() {
    let with = |candidate: &str| {
        format!(
            r#"{{"type":"ice_candidate","peer_id":"a-sidecar","payload":{{"candidate":{candidate}}}}}"#
        )
    };
    let longest = format!(r#""{}""#, "c".repeat(limits::CANDIDATE_BYTES));
    assert!(matches!(parse(&with(&longest)), Incoming::Relay { .. }));
    let longer = format!(r#""{}""#, "c".repeat(limits::CANDIDATE_BYTES + 1));
    let text = fault(&with(&longer));
    assert!(
        text.contains("a-sidecar") && text.contains("1024"),
        "{text}"
    );
    assert!(!text.contains("cccc"));
    for value in ["7", "{}", "[]", "true"] {
        assert!(fault(&with(value)).contains("a-sidecar"));
    }
}

#[test]
fn our_additions_are_taken_as_far_as_they_are_usable() {
    let extension = |fields: &str| {
        let text =
            format!(r#"{{"type":"offer","peer_id":"a-sidecar","payload":{{"sdp":"x"{fields}}}}}"#);
        let Incoming::Relay { extension, .. } = parse(&text) else {
            panic!("no offer: {text}");
        };
        extension
    };
    assert_eq!(extension(r#","v":1,"conn":"c1","session":"s1""#), ours());
    for v in ["1", "2", "99999999999999999999999"] {
        assert!(extension(&format!(r#","v":{v}"#)).ours, "{v}");
    }
    for v in ["0", "-1", "1.0", r#""1""#, "true", "null", "[1]"] {
        assert!(!extension(&format!(r#","v":{v}"#)).ours, "{v}");
    }
    let longest = "x".repeat(limits::WIRE_ID_BYTES);
    assert_eq!(
        extension(&format!(r#","conn":"{longest}""#)).conn,
        Some(longest)
    );
    let long = format!(r#""{}""#, "x".repeat(limits::WIRE_ID_BYTES + 1));
    for id in [
        r#""""#,
        "7",
        "null",
        "{}",
        r#""a\nb""#,
        r#""\ud800""#,
        &long,
    ] {
        let fields = format!(r#","v":1,"conn":{id},"session":{id}"#);
        let expected = Extension {
            ours: true,
            ..Extension::default()
        };
        assert_eq!(extension(&fields), expected, "{id}");
    }
}

#[test]
fn a_refusal_is_the_end_of_candidates_for_those_who_do_not_know_it() {
    let refusal = Extension {
        refused: Some("too_many_peers".into()),
        ..ours()
    };
    let end = || Signal::Candidate {
        candidate: String::new(),
    };
    let text = text_of(end(), refusal.clone());
    let Incoming::Relay {
        signal, extension, ..
    } = parse(&text)
    else {
        panic!("no signal: {text}");
    };
    assert_eq!((signal, extension), (end(), refusal));
    // All that others know of: part 3 of the contract.
    assert!(text.contains(r#""type":"ice_candidate""#) && text.contains(r#""candidate":"""#));
}

#[test]
fn a_description_without_sdp_is_an_error_that_names_type_and_sender() {
    for kind in ["offer", "answer"] {
        for payload in [
            "null",
            "{}",
            r#"{"sdp":null}"#,
            r#"{"sdp":1}"#,
            r#""secret""#,
        ] {
            let text = format!(r#"{{"type":"{kind}","peer_id":"a-sidecar","payload":{payload}}}"#);
            let fault = fault(&text);
            assert!(
                fault.contains(kind) && fault.contains("a-sidecar"),
                "{fault}"
            );
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}

#[test]
fn what_is_relayed_needs_a_sender() {
    for kind in ["offer", "answer", "ice_candidate"] {
        for sender in [
            "",
            r#","peer_id":null"#,
            r#","peer_id":"""#,
            r#","peer_id":7"#,
        ] {
            let text = format!(r#"{{"type":"{kind}"{sender},"payload":{{"sdp":"secret"}}}}"#);
            let fault = fault(&text);
            assert!(fault.contains(kind) && fault.contains("peer_id"), "{fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}

#[test]
fn unknown_types_are_told_shortened_whatever_else_the_frame_holds() {
    for rest in ["", r#","payload":null"#, r#","payload":7,"peer_id":[]"#] {
        assert_eq!(
            parse(&format!(r#"{{"type":"peer\nleft"{rest}}}"#)),
            Incoming::Unknown {
                kind: r"peer\nleft".into()
            }
        );
    }
    let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(1000));
    assert!(matches!(parse(&long), Incoming::Unknown { kind } if kind.len() < 100));
}

#[test]
fn what_is_no_frame_is_an_error_that_quotes_nothing() {
    for text in [
        "",
        "secret",
        r#"{"sdp":"secret"#,
        r#"["secret"]"#,
        r#""secret""#,
        r#"{"secret":1}"#,
        r#"{"type":null,"payload":"secret"}"#,
        r#"{"type":["secret"]}"#,
    ] {
        assert!(!fault(text).contains("secret"), "{text}");
    }
}

#[test]
fn a_list_of_many_names_is_taken_whole() {
    let names: Vec<_> = (0..limits::LISTED_PEERS)
        .map(|n| format!("{n:0>0$}", limits::PEER_ID_BYTES))
        .collect();
    let names = names.join(r#"",""#);
    let text =
        format!(r#"{{"type":"peer_list","peer_id":"registry","payload":{{"peers":["{names}"]}}}}"#);
    assert!(text.len() > limits::SIGNALING_FRAME_BYTES);
    let Incoming::PeerList { peers, left_out } = parse(&text) else {
        panic!("no list");
    };
    assert_eq!((peers.len(), left_out), (limits::LISTED_PEERS, 0));
    let longer = text.replace("]}", r#","one","two"]}"#);
    let Incoming::PeerList { peers, left_out } = parse(&longer) else {
        panic!("no list");
    };
    assert_eq!((peers.len(), left_out), (limits::LISTED_PEERS, 2));
}

#[test]
fn a_frame_has_a_limit() {
    let frame = |size: usize| {
        let head = r#"{"type":"later","x":""#;
        format!(r#"{head}{}"}}"#, "x".repeat(size - head.len() - 2))
    };
    assert!(Incoming::parse(&frame(limits::SIGNALING_FRAME_BYTES)).is_ok());
    assert!(fault(&frame(limits::SIGNALING_FRAME_BYTES + 1)).contains("262145"));
}

#[test]
fn deep_nesting_needs_no_stack() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let text = format!(r#"{{"type":"offer","peer_id":"a-sidecar","payload":{deep}}}"#);
    assert!(fault(&text).contains("no object"));
    let text =
        format!(r#"{{"type":"peer_list","peer_id":"registry","payload":{{"peers":{deep}}}}}"#);
    assert_eq!(
        parse(&text),
        Incoming::PeerList {
            peers: vec![],
            left_out: 0
        }
    );
    assert!(fault(&"{\"a\":".repeat(40_000)).contains("JSON"));
}
