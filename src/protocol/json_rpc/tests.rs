//! Tests of reading and writing JSON-RPC.

use super::*;

fn one(line: &str) -> Result<Message<'_>, Unusable> {
    match parse(line.as_bytes()) {
        Line::One(message) => message,
        Line::Batch(messages) => panic!("a batch: {messages:?}"),
    }
}

/// The id and the code that a line is answered with.
fn refused(line: &[u8]) -> (Option<String>, i32) {
    match parse(line) {
        Line::One(Err(unusable)) => {
            let id = unusable.id.map(|id| id.as_json().to_owned());
            (id, unusable.fault.code.number())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_and_notifications_are_told_apart_by_the_id() {
    let id = Id::parse("\"a\"").unwrap();
    let method = Cow::Borrowed("tools/list");
    let params = Some("{\"x\": [1]}");
    assert_eq!(
        one(r#"{"jsonrpc":"2.0","method":"tools/list","params":{"x": [1]},"id":"a"}"#),
        Ok(Message::Request {
            id,
            method: method.clone(),
            params
        })
    );
    assert_eq!(
        one(r#"{"jsonrpc":"2.0","method":"tools/list","params":{"x": [1]}}"#),
        Ok(Message::Notification { method, params })
    );
    assert_eq!(
        one(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        Ok(Message::Response)
    );
}

#[test]
fn what_is_wrong_has_the_code_that_is_specified() {
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
        "i".repeat(limits::MCP_ID_BYTES)
    );
    let id = |text: &str| Some(text.to_owned());
    let cases: &[(&[u8], Option<String>, i32)] = &[
        (b"{", None, -32700),
        (b"hello", None, -32700),
        (b"\"\xff\"", None, -32700),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping""#, None, -32700),
        (b"[]", None, -32600),
        (b"7", None, -32600),
        (b"{}", None, -32600),
        (br#"{"id":1,"method":"ping"}"#, id("1"), -32600),
        (
            br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            id("1"),
            -32600,
        ),
        (
            br#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
            id("1"),
            -32600,
        ),
        (br#"{"jsonrpc":"2.0","id":1}"#, id("1"), -32600),
        (br#"{"jsonrpc":"2.0","id":1,"method":7}"#, id("1"), -32600),
        (
            br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            None,
            -32600,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            None,
            -32600,
        ),
        (
            br#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
            None,
            -32600,
        ),
        (long.as_bytes(), None, -32600),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            id("1"),
            -32602,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#,
            id("1"),
            -32602,
        ),
    ];
    for (line, id, code) in cases {
        let text = String::from_utf8_lossy(line);
        assert_eq!(refused(line), (id.clone(), *code), "{text}");
    }
}

#[test]
fn an_array_is_a_batch_of_as_many_messages_as_are_allowed() {
    let message = r#"{"jsonrpc":"2.0","method":"x"}"#;
    let batch = |count| format!("[{}]", vec![message; count].join(","));
    let most = batch(limits::MCP_BATCH);
    match parse(most.as_bytes()) {
        Line::Batch(messages) => assert_eq!(messages.len(), limits::MCP_BATCH),
        Line::One(message) => panic!("{message:?}"),
    }
    assert_eq!(
        refused(batch(limits::MCP_BATCH + 1).as_bytes()),
        (None, -32600)
    );
}

#[test]
fn a_line_that_is_too_long_is_answered_with_its_id_if_that_comes_first() {
    let id = |line: &[u8]| line_too_long(line, 9).id.map(|id| id.as_json().to_owned());
    assert_eq!(
        id(br#"{"jsonrpc":"2.0","id":12,"method":"x","params":{"a":"bb"#),
        Some("12".to_owned())
    );
    assert_eq!(id(br#"{"jsonrpc":"2.0","id":12"#), None);
    assert_eq!(id(b"{\"id\":\"\xff"), None);
}

#[test]
fn answers_are_one_line_each() {
    let id = Id::parse("7").unwrap();
    assert_eq!(
        response(&id, "{}"),
        r#"{"jsonrpc":"2.0","id":7,"result":{}}"#
    );
    let mut fault = Fault::new(Code::InvalidParams, "a\n\"b\"");
    assert_eq!(
        error(None, &fault),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"a\n\"b\""}}"#
    );
    fault.data = Some("[1]".to_owned());
    assert!(error(Some(&id), &fault).ends_with(r#""data":[1]}}"#));
    assert_eq!(
        notification("notifications/x", "{}"),
        r#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#
    );
}
