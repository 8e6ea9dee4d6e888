use super::*;

const COMPLETE: &str =
    r#"{"type":"ping","request_id":"r1","source_agent":"a","target_agent":"b","payload":{"n":1}}"#;

fn from_peer(text: &str) -> String {
    Message::from_peer(text.as_bytes()).unwrap().as_str().into()
}

#[test]
fn a_complete_message_is_untouched() {
    assert_eq!(from_peer(COMPLETE), COMPLETE);
    assert_eq!(Message::from_agent(COMPLETE).unwrap().as_str(), COMPLETE);
}

#[test]
fn every_type_and_every_field_is_carried_as_it_was_written() {
    let json = r#"{"zzz":123456789012345678901234567890,"type":"née \u00e9 \ud83d\ude00","b":1.50e+400,"a":{"z":1,"a":-0},"z":"😀 \ud800","payload":null}"#;
    assert_eq!(Message::from_agent(json).unwrap().as_str(), json);
    let prefix = json.strip_suffix('}').unwrap();
    assert_eq!(
        from_peer(json),
        format!(r#"{prefix},"request_id":"","source_agent":"","target_agent":""}}"#)
    );
}

#[test]
fn missing_fields_of_a_peer_are_added_before_the_closing_brace() {
    let added = r#""request_id":"","source_agent":"","target_agent":"","payload":null}"#;
    assert_eq!(
        from_peer(r#"{"type":"ping"}"#),
        format!(r#"{{"type":"ping",{added}"#)
    );
    assert_eq!(
        from_peer(" { \"type\" : \"ping\" } \n"),
        format!(r#"{{ "type" : "ping" ,{added}"#)
    );
    assert_eq!(
        from_peer(r#"{"type":"ping","source_agent":null,"payload":[]}"#),
        r#"{"type":"ping","source_agent":null,"payload":[],"request_id":"","target_agent":""}"#
    );
}

#[test]
fn an_agents_message_gets_no_fields_added() {
    let json = r#"{"type":"ping"}"#;
    assert_eq!(Message::from_agent(json).unwrap().as_str(), json);
}

#[test]
fn line_breaks_between_tokens_become_spaces() {
    let spread = COMPLETE.replace(':', ":\r\n").replace(',', "\n,");
    let expected = COMPLETE.replace(':', ":  ").replace(',', " ,");
    assert_eq!(from_peer(&spread), expected);
    assert_eq!(from_peer(&format!("\n{spread}\r\n")), expected);
    assert_eq!(Message::from_agent(&spread).unwrap().as_str(), expected);
}

#[test]
fn escaped_line_breaks_in_strings_stay() {
    let json = COMPLETE.replace("r1", r"a\nb\r\n");
    assert_eq!(from_peer(&json), json);
}

#[test]
fn keys_that_come_twice_do_no_harm() {
    let json = COMPLETE.replace(r#""payload""#, r#""payload":1,"payload":2,"payload""#);
    assert_eq!(from_peer(&json), json);
    let json = COMPLETE.replace(r#""type""#, r#""type":1,"type""#);
    assert_eq!(from_peer(&json), json);
}

#[test]
fn the_last_type_is_the_one_that_counts() {
    assert_eq!(
        Message::from_peer(br#"{"type":"x","type":1}"#),
        Err(MessageError::NoType)
    );
}

#[test]
fn keys_with_escapes_are_the_same_keys() {
    let json = COMPLETE.replace("request_id", r"request\u005fid");
    assert_eq!(from_peer(&json), json);
    assert_eq!(
        Message::from_agent(&json).unwrap().request_id().unwrap(),
        "r1"
    );
}

#[test]
fn fields_of_nested_objects_do_not_count() {
    assert_eq!(
        Message::from_peer(br#"{"payload":{"type":"x"}}"#),
        Err(MessageError::NoType)
    );
}

#[test]
fn what_is_not_json_is_said_to_be() {
    let bad: [&[u8]; 9] = [
        b"",
        b" ",
        b"hello",
        b"{\"type\":\"x\"",
        b"{\"type\":\"x\"}}",
        b"{\"type\":\"x\",}",
        b"{\"type\":\"a\nb\"}",
        b"{\"type\":\"\xff\"}",
        b"\xef\xbb\xbf{\"type\":\"x\"}",
    ];
    for data in bad {
        assert_eq!(
            Message::from_peer(data),
            Err(MessageError::NotJson),
            "{:?}",
            String::from_utf8_lossy(data)
        );
    }
}

#[test]
fn what_is_no_object_is_said_to_be() {
    for json in ["null", "1", "1e999", "\"x\"", "\"\\ud800\"", "[]", "[{}]"] {
        let expected = Err(MessageError::NotAnObject);
        assert_eq!(Message::from_peer(json.as_bytes()), expected, "{json}");
        assert_eq!(Message::from_agent(json), expected, "{json}");
    }
}

#[test]
fn the_type_must_be_a_string() {
    for json in ["{}", r#"{"type":null}"#, r#"{"type":1}"#, r#"{"type":{}}"#] {
        let expected = Err(MessageError::NoType);
        assert_eq!(Message::from_peer(json.as_bytes()), expected, "{json}");
        assert_eq!(Message::from_agent(json), expected, "{json}");
    }
}

#[test]
fn deep_nesting_needs_no_stack() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(
        Message::from_peer(deep.as_bytes()),
        Err(MessageError::NotAnObject)
    );
    assert_eq!(
        Message::from_peer("{\"a\":".repeat(100_000).as_bytes()),
        Err(MessageError::NotJson)
    );
}

#[test]
fn taking_a_message_again_changes_nothing() {
    for json in [COMPLETE, r#"{"type":"x"}"#, "{\n\"type\":\"x\"\n}"] {
        let once = Message::from_peer(json.as_bytes()).unwrap();
        let twice = Message::from_peer(once.as_str().as_bytes()).unwrap();
        assert_eq!(once, twice);
    }
}

#[test]
fn the_request_id_is_found_when_it_is_a_usable_string() {
    let request_id = |json: &str| Message::from_agent(json).unwrap().request_id();
    assert_eq!(request_id(COMPLETE).as_deref(), Some("r1"));
    assert_eq!(request_id(r#"{"type":"x"}"#), None);
    assert_eq!(request_id(r#"{"type":"x","request_id":7}"#), None);
    let among_others = "{ \"request_id\" :1,\r\n\"type\":\"x\", \"request_id\" :\n \"r\\u0032\" }";
    assert_eq!(request_id(among_others).as_deref(), Some("r2"));
    let incomplete = Message::from_peer(b" {\"type\":\"x\",\"request_id\":\"r3\"}").unwrap();
    assert_eq!(incomplete.request_id().as_deref(), Some("r3"));
    let long = "r".repeat(limits::REQUEST_ID_BYTES + 1);
    let json = format!(r#"{{"type":"x","request_id":"{long}"}}"#);
    assert_eq!(request_id(&json), None);
}

#[test]
fn a_message_that_readers_of_agents_cannot_take_is_none() {
    let nested = |depth: usize| {
        let inside = depth - 1;
        let (open, close) = ("[".repeat(inside), "]".repeat(inside));
        format!(r#"{{"payload":{open}{close},"type":"x"}}"#)
    };
    let most = limits::MESSAGE_NESTING;
    let fits = nested(most);
    assert!(Message::from_agent(&fits).is_ok());
    assert!(Message::from_peer(fits.as_bytes()).is_ok());
    for deep in [nested(most + 1), nested(100_000)] {
        let expected = Err(MessageError::TooDeep);
        assert_eq!(Message::from_agent(&deep), expected);
        assert_eq!(Message::from_peer(deep.as_bytes()), expected);
    }
}
