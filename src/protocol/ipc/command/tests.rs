use super::*;

const LIMITS: Limits = Limits {
    message_bytes: 256,
    line_bytes: 1024,
};

fn request(line: &str) -> Request {
    parse(line.as_bytes(), LIMITS).unwrap_or_else(|rejection| panic!("{line}: {rejection:?}"))
}

fn rejection(line: &str) -> Box<Rejection> {
    match parse(line.as_bytes(), LIMITS) {
        Ok(request) => panic!("{line}: {request:?}"),
        Err(rejection) => rejection,
    }
}

/// The code and the text of a rejection without an id.
fn refused(line: &str) -> (ErrorCode, String) {
    let rejection = rejection(line);
    assert_eq!(rejection.id, None, "{line}");
    (rejection.error.code, rejection.error.message)
}

fn peer(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

fn id_of(line: &str) -> Option<String> {
    request(line).id.map(|id| id.as_json().to_owned())
}

#[test]
fn send_names_a_peer_and_carries_a_message() {
    let message = r#"{"type":"task_request","request_id":"r1","source_agent":"a","target_agent":"b","payload":{"x":123456789012345678901234567890,"a":"é \u00e9 😀"}}"#;
    let line =
        format!(r#"{{"type":"send","payload":{{"target_peer":"b-sidecar","message":{message}}}}}"#);
    assert_eq!(
        request(&line),
        Request {
            id: None,
            command: Command::Send {
                target_peer: peer("b-sidecar"),
                message: Message::from_agent(message).unwrap(),
            }
        }
    );
}

#[test]
fn the_message_is_the_text_of_the_line_whatever_it_holds() {
    let message = r#"{ "z":1e999, "type" :"x", "a":[ 1.0,-0 ],"k":"\ud800","\ud801":2,"a":3 }"#;
    let line = format!(r#"{{"payload":{{"message":  {message} }},"type":"broadcast"}}"#);
    let Command::Broadcast { message: parsed } = request(&line).command else {
        panic!("no broadcast: {line}");
    };
    assert_eq!(parsed.as_str(), message);
}

#[test]
fn broadcast_connect_list_peers_and_stats_are_known() {
    assert_eq!(
        request(r#"{"type":"broadcast","payload":{"message":{"type":"ping"}}}"#).command,
        Command::Broadcast {
            message: Message::from_agent(r#"{"type":"ping"}"#).unwrap()
        }
    );
    assert_eq!(
        request(r#"{"type":"connect","payload":{"target_peer_id":"b"}}"#).command,
        Command::Connect {
            target_peer_id: peer("b")
        }
    );
    for (kind, command) in [
        ("list_peers", Command::ListPeers),
        ("stats", Command::Stats),
    ] {
        for payload in ["", r#","payload":{}"#, r#","payload":null"#] {
            let line = format!(r#"{{"type":"{kind}"{payload}}}"#);
            assert_eq!(request(&line).command, command, "{line}");
        }
    }
}

#[test]
fn the_order_of_members_spaces_and_unknown_fields_do_not_matter() {
    let line = " { \"extra\" : [ 1 , {} ] , \"payload\" : { \"ttl\" : 1e999 , \"message\" : { \"type\" : \"x\" } , \"target_peer\" : \"b\" } , \"type\" : \"send\" } ";
    assert_eq!(
        request(line).command,
        Command::Send {
            target_peer: peer("b"),
            message: Message::from_agent(r#"{ "type" : "x" }"#).unwrap(),
        }
    );
}

#[test]
fn of_a_field_that_comes_twice_the_last_counts() {
    let line = r#"{"type":1,"id":true,"payload":"x","type":"connect","id":2,"payload":{"target_peer_id":0,"target_peer_id":"b"}}"#;
    assert_eq!(id_of(line).as_deref(), Some("2"));
    assert_eq!(
        request(line).command,
        Command::Connect {
            target_peer_id: peer("b")
        }
    );
}

#[test]
fn a_peer_id_may_hold_escapes() {
    let line = r#"{"type":"connect","payload":{"target_peer_id":"\"\u00e9\\"}}"#;
    assert_eq!(
        request(line).command,
        Command::Connect {
            target_peer_id: peer("\"é\\")
        }
    );
}

#[test]
fn an_id_is_a_string_or_an_integer_and_kept_as_written() {
    for id in [
        r#""a""#,
        r#""\u00e9 \ud800""#,
        r#""""#,
        "0",
        "-7",
        "123456789012345678901234567890",
    ] {
        let line = format!(r#"{{"type":"stats","id": {id} }}"#);
        assert_eq!(id_of(&line).as_deref(), Some(id));
    }
    assert_eq!(id_of(r#"{"type":"stats"}"#), None);
    assert_eq!(id_of(r#"{"type":"stats","id":null}"#), None);
}

#[test]
fn any_other_id_is_a_bad_command() {
    let long = format!(r#""{}""#, "x".repeat(limits::COMMAND_ID_BYTES - 1));
    for id in ["1.0", "1e3", "true", "{}", "[1]", &long] {
        let (code, text) = refused(&format!(r#"{{"type":"stats","id":{id}}}"#));
        assert_eq!(code, ErrorCode::BadCommand, "{id}");
        assert!(text.contains("`id`") && text.contains("256"), "{text}");
    }
    let longest = format!(r#""{}""#, "x".repeat(limits::COMMAND_ID_BYTES - 2));
    assert!(id_of(&format!(r#"{{"type":"stats","id":{longest}}}"#)).is_some());
}

#[test]
fn the_id_of_a_refused_command_is_found() {
    for line in [
        r#"{"id":"q","type":1}"#,
        r#"{"id":"q"}"#,
        r#"{"type":"nonsense","id":"q"}"#,
        r#"{"type":"send","id":"q"}"#,
        r#"{"type":"send","payload":7,"id":"q"}"#,
        r#"{"type":"send","payload":{"target_peer":"b","message":1},"id":"q"}"#,
    ] {
        let id = rejection(line).id.map(|id| id.as_json().to_owned());
        assert_eq!(id.as_deref(), Some(r#""q""#), "{line}");
    }
}

#[test]
fn what_is_not_json_is_bad_json_and_says_where() {
    for line in [
        "hello",
        "{",
        r#"{"type":"stats"}}"#,
        r#"{"type":"stats",}"#,
        "'x'",
        "\u{feff}{}",
    ] {
        let (code, text) = refused(line);
        assert_eq!(code, ErrorCode::BadJson, "{line}");
        assert!(text.contains("JSON"), "{text}");
    }
    let rejection = parse(b"{\"type\":\"st\xffats\"}", LIMITS).unwrap_err();
    assert_eq!(rejection.error.code, ErrorCode::BadJson);
    assert!(rejection.error.message.contains("byte 12"), "{rejection:?}");
}

#[test]
fn json_that_is_no_object_is_a_bad_command() {
    for line in ["1", "null", "[]", r#""send""#, "1e999", r#""\ud800""#] {
        assert_eq!(refused(line).0, ErrorCode::BadCommand, "{line}");
    }
}

#[test]
fn a_type_that_is_missing_or_no_string_is_a_bad_command() {
    for (line, told) in [
        (r#"{"type":1}"#, "`type` is a number (1): expected `send`"),
        (r#"{"type":null}"#, "`type` is null"),
        (r#"{"type":{"a":1}}"#, "`type` is an object"),
        (r#"{}"#, "`type` is missing: expected `send`"),
        (r#"{"payload":[1]}"#, "`type` is missing"),
    ] {
        let (code, text) = refused(line);
        assert_eq!(code, ErrorCode::BadCommand, "{line}");
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_type_that_we_do_not_know_is_named_shortened() {
    let (code, text) = refused(r#"{"type":"sned\n"}"#);
    assert_eq!(code, ErrorCode::UnknownCommand);
    assert!(text.contains(r"`sned\n`"), "{text}");

    let (code, text) = refused(&format!(r#"{{"type":"{}"}}"#, "x".repeat(500)));
    assert_eq!(code, ErrorCode::UnknownCommand);
    assert!(text.len() < 200, "{text}");

    assert_eq!(refused(r#"{"type":"\ud800"}"#).0, ErrorCode::UnknownCommand);
    assert_eq!(refused(r#"{"type":""}"#).0, ErrorCode::UnknownCommand);
    assert_eq!(
        refused(r#"{"type":"later","payload":[1]}"#).0,
        ErrorCode::UnknownCommand
    );
}

#[test]
fn a_payload_that_is_no_object_is_a_bad_command() {
    for payload in ["5", "1e999", "[]", r#""x""#, r#""\ud800""#, "true"] {
        let (code, text) = refused(&format!(r#"{{"type":"stats","payload":{payload}}}"#));
        assert_eq!(code, ErrorCode::BadCommand, "{payload}");
        assert!(text.contains("`payload` is a"), "{text}");
    }
}

#[test]
fn a_peer_that_is_missing_or_unusable_is_a_bad_command_that_names_the_field() {
    let long = format!(r#""{}""#, "x".repeat(limits::PEER_ID_BYTES + 1));
    for value in [
        "1",
        "null",
        "{}",
        r#""""#,
        r#""a\nb""#,
        r#""\ud800""#,
        &long,
    ] {
        let message = r#"{"type":"x","request_id":"r1"}"#;
        let line =
            format!(r#"{{"type":"send","payload":{{"target_peer":{value},"message":{message}}}}}"#);
        let error = rejection(&line).error;
        assert_eq!(error.code, ErrorCode::BadCommand, "{line}");
        assert!(error.message.contains("`target_peer` is "), "{error:?}");
        assert!(error.message.contains("expected a peer id"), "{error:?}");
        assert!(error.message.len() < 300, "{error:?}");
        assert_eq!(error.request_id.as_deref(), Some("r1"));

        let line = format!(r#"{{"type":"connect","payload":{{"target_peer_id":{value}}}}}"#);
        let (code, text) = refused(&line);
        assert_eq!(code, ErrorCode::BadCommand, "{line}");
        assert!(text.contains("`target_peer_id` is "), "{text}");
    }
    for line in [r#"{"type":"send"}"#, r#"{"type":"send","payload":{}}"#] {
        let (code, text) = refused(line);
        assert_eq!(code, ErrorCode::BadCommand);
        assert!(text.contains("`target_peer` is missing"), "{text}");
    }
}

#[test]
fn a_message_that_is_missing_is_a_bad_command() {
    for line in [
        r#"{"type":"send","payload":{"target_peer":"b"}}"#,
        r#"{"type":"broadcast","payload":null}"#,
    ] {
        let (code, text) = refused(line);
        assert_eq!(code, ErrorCode::BadCommand, "{line}");
        assert!(text.contains("`message` is missing"), "{text}");
    }
}

#[test]
fn a_message_that_is_none_is_a_bad_message_and_says_to_whom_it_was() {
    for message in ["1", "null", r#""x""#, "[]", "{}", r#"{"type":1}"#] {
        let line =
            format!(r#"{{"type":"send","payload":{{"message":{message},"target_peer":"b"}}}}"#);
        let error = rejection(&line).error;
        assert_eq!(error.code, ErrorCode::BadMessage, "{line}");
        assert_eq!(error.target_peer, Some(peer("b")));
        assert_eq!(error.request_id, None);

        let line = format!(r#"{{"type":"broadcast","payload":{{"message":{message}}}}}"#);
        assert_eq!(refused(&line).0, ErrorCode::BadMessage);
    }
    let line = r#"{"type":"send","payload":{"message":{"request_id":"r1"},"target_peer":"b"}}"#;
    assert_eq!(rejection(line).error.request_id.as_deref(), Some("r1"));
}

#[test]
fn a_message_of_the_limit_passes_and_a_larger_one_is_refused_with_its_names() {
    let line_with = |size: usize| {
        let head = r#"{"type":"x","request_id":"r1","payload":""#;
        let fill = "x".repeat(size - head.len() - 2);
        format!(
            r#"{{"type":"send","id":7,"payload":{{"target_peer":"b","message":{head}{fill}"}}}}}}"#
        )
    };
    assert_eq!(id_of(&line_with(256)).as_deref(), Some("7"));

    let rejection = rejection(&line_with(257));
    assert_eq!(rejection.id.unwrap().as_json(), "7");
    let error = rejection.error;
    assert_eq!(error.code, ErrorCode::MessageTooLarge);
    assert_eq!(error.limit, Some(256));
    assert_eq!(error.target_peer, Some(peer("b")));
    assert_eq!(error.request_id.as_deref(), Some("r1"));
    assert!(error.message.contains("257") && error.message.contains("256"));
}

#[test]
fn a_line_too_long_names_the_limit() {
    let rejection = line_too_long(b"", LIMITS);
    assert_eq!(rejection.id, None);
    let error = rejection.error;
    assert_eq!(error.code, ErrorCode::LineTooLong);
    assert_eq!(error.limit, Some(1024));
    assert!(error.message.contains("1024"));
}

#[test]
fn a_line_that_cannot_be_read_bears_the_id_that_came_before_the_fault() {
    for (bytes, id) in [
        (br#"{"id":7,"payload":NaN}"#.as_slice(), Some("7")),
        (br#"{"id":"a", "type":'x'}"#, Some("\"a\"")),
        (br#"{"type":"send","id":7,"#, Some("7")),
        (br#"{"id":7} {"id":8}"#, Some("7")),
        (b"{\"id\":7,\"payload\":\"\xff\"}", Some("7")),
        (br#"{"id":7,"payload":{"message":{"a":[1"#, Some("7")),
        // What comes after the fault may be anything.
        (br#"{"payload":NaN,"id":7}"#, None),
        (b"{\"payload\":\"\xff\",\"id\":7}", None),
        // The number may go on, or be none at all.
        (br#"{"id":7"#, None),
        (br#"{"id":7x,"type":"stats"}"#, None),
        (b"{\"id\":7\xff}", None),
        (br#"{"id":7.5,"payload":NaN}"#, None),
        (br#"{"id":null,"payload":NaN}"#, None),
    ] {
        let rejection = parse(bytes, LIMITS).unwrap_err();
        let line = String::from_utf8_lossy(bytes);
        assert_eq!(rejection.error.code, ErrorCode::BadJson, "{line}");
        let found = rejection.id.as_ref().map(CommandId::as_json);
        assert_eq!(found, id, "{line}");
        // The same line may be too long, too.
        let rejection = line_too_long(bytes, LIMITS);
        assert_eq!(rejection.error.code, ErrorCode::LineTooLong, "{line}");
        let found = rejection.id.as_ref().map(CommandId::as_json);
        assert_eq!(found, id, "{line}");
    }
}

#[test]
fn deep_nesting_needs_no_stack() {
    let large = Limits {
        message_bytes: 1 << 20,
        line_bytes: 1 << 20,
    };
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let line = format!(r#"{{"type":"stats","id":1,"x":{deep}}}"#);
    assert!(parse(line.as_bytes(), large).is_ok());
    let message = format!(r#"{{"type":"x","payload":{deep}}}"#);
    let line = format!(r#"{{"type":"broadcast","id":1,"payload":{{"message":{message}}}}}"#);
    let rejection = parse(line.as_bytes(), large).unwrap_err();
    assert_eq!(rejection.error.code, ErrorCode::BadMessage);
    assert!(rejection.error.message.contains("deeper than 512"));
    assert!(rejection.id.is_some());
    for line in [
        deep.clone(),
        format!(r#"{{"payload":{deep},"type":"stats"}}"#),
    ] {
        let error = parse(line.as_bytes(), large).unwrap_err().error;
        assert_eq!(error.code, ErrorCode::BadCommand);
    }
    let error = parse("{\"a\":".repeat(100_000).as_bytes(), large)
        .unwrap_err()
        .error;
    assert_eq!(error.code, ErrorCode::BadJson);
}
