//! Tests with wrong lines: each gets an error that says what is wrong, and the next line is read.

use std::io::Write as _;
use std::thread;

use serde_json::{Value, json};

use crate::support::{Agent, Site, Transport, on_each_transport};

on_each_transport!(
    each_wrong_line_gets_one_error_with_what_it_is_about,
    bytes_that_are_no_text_or_nest_without_end_get_one_error_each,
    a_byte_order_mark_before_a_line_is_no_fault,
    every_line_of_random_bytes_is_answered,
    a_line_of_ten_megabytes_is_one_error_with_the_limit,
    nobody_of_that_name_is_told_with_the_name_and_the_request,
);

/// The error that a line gets, and then the answer to a good one.
fn answer_to(agent: &mut Agent, line: &[u8]) -> Value {
    agent.write(line);
    agent.write("\n");
    agent.line(r#"{"type":"list_peers","id":"after"}"#);
    let mut events = agent.all_until(|event| event.kind() == "peer_list");
    events.retain(|event| event.kind() == "error");
    assert_eq!(events.len(), 1, "{events:?}");
    json!({"id": events[0].id(), "payload": events[0].payload()})
}

fn each_wrong_line_gets_one_error_with_what_it_is_about(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let agent = &mut alice.agent;
    let cases: &[(&str, &str, Value)] = &[
        // The line, the error's code, and what else it tells.
        (r#"{"type":1}"#, "bad_command", json!({})),
        (r#"{"type":1,"id":"a"}"#, "bad_command", json!({"id": "a"})),
        (r#"{}"#, "bad_command", json!({})),
        (r#"[{"type":"list_peers"}]"#, "bad_command", json!({})),
        ("5", "bad_command", json!({})),
        ("null", "bad_command", json!({})),
        (r#""list_peers""#, "bad_command", json!({})),
        ("{", "bad_json", json!({})),
        (r#"{"type":"list_peers"}}"#, "bad_json", json!({})),
        (r#"{"type":"list_peers",}"#, "bad_json", json!({})),
        (r#"{'type':'list_peers'}"#, "bad_json", json!({})),
        ("hello", "bad_json", json!({})),
        ("GET / HTTP/1.1", "bad_json", json!({})),
        ("{\"type\":\"list_peers\0\"}", "bad_json", json!({})),
        (
            r#"{"type":"List_Peers","id":-3}"#,
            "unknown_command",
            json!({"id": -3}),
        ),
        (
            r#"{"type":"send","id":1,"payload":{"message":NaN}}"#,
            "bad_json",
            json!({"id": 1}),
        ),
        (
            r#"{"type":"send","payload":{"message":NaN},"id":2}"#,
            "bad_json",
            json!({}),
        ),
        (
            r#"{"id":"b","type":"list_peers",}"#,
            "bad_json",
            json!({"id": "b"}),
        ),
        (r#"{"type":""}"#, "unknown_command", json!({})),
        (
            r#"{"type":"list_peers","id":1.5}"#,
            "bad_command",
            json!({}),
        ),
        (r#"{"type":"list_peers","id":[]}"#, "bad_command", json!({})),
        (
            r#"{"type":"list_peers","payload":[]}"#,
            "bad_command",
            json!({}),
        ),
        (
            r#"{"type":"connect","id":7}"#,
            "bad_command",
            json!({"id": 7}),
        ),
        (
            r#"{"type":"connect","payload":{"target_peer_id":""}}"#,
            "bad_command",
            json!({}),
        ),
        (r#"{"type":"send"}"#, "bad_command", json!({})),
        (
            r#"{"type":"send","payload":null}"#,
            "bad_command",
            json!({}),
        ),
        (
            r#"{"type":"send","id":8,"payload":{"message":{"type":"x","request_id":"r"}}}"#,
            "bad_command",
            json!({"id": 8, "request_id": "r"}),
        ),
        (
            r#"{"type":"send","payload":{"target_peer":["bob"],"message":{"type":"x"}}}"#,
            "bad_command",
            json!({}),
        ),
        (
            r#"{"type":"send","payload":{"target_peer":"bob"}}"#,
            "bad_command",
            json!({"target_peer": "bob"}),
        ),
        (
            r#"{"type":"send","id":"9","payload":{"target_peer":"bob","message":[]}}"#,
            "bad_message",
            json!({"id": "9", "target_peer": "bob"}),
        ),
        (
            r#"{"type":"send","payload":{"target_peer":"bob","message":{"request_id":"r"}}}"#,
            "bad_message",
            json!({"target_peer": "bob", "request_id": "r"}),
        ),
        (
            r#"{"type":"broadcast","payload":{"message":{"type":5}}}"#,
            "bad_message",
            json!({}),
        ),
    ];
    for (line, code, told) in cases {
        let answer = answer_to(agent, line.as_bytes());
        assert_eq!(answer["payload"]["code"], *code, "{line}: {answer}");
        assert!(!answer["payload"]["message"].as_str().unwrap().is_empty());
        assert_eq!(answer["id"], told["id"], "{line}");
        for field in ["target_peer", "request_id"] {
            let found = answer["payload"].get(field);
            assert_eq!(found, told.get(field), "{line}: {field}");
        }
    }
}

fn bytes_that_are_no_text_or_nest_without_end_get_one_error_each(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let agent = &mut alice.agent;
    let deep = [b"{\"a\":".repeat(50_000), b"[".repeat(50_000)];
    for line in [
        b"\xff\xfe\0\x01".as_slice(),
        b"{\"type\":\"list_peers\",\"id\":\"\xc3\x28\"}",
        // A surrogate, which UTF-8 does not have.
        b"{\"type\":\"list_peers\",\"id\":\"\xed\xa0\x80\"}",
        &deep[0],
        &deep[1],
    ] {
        let answer = answer_to(agent, line);
        assert_eq!(answer["payload"]["code"], "bad_json", "{answer}");
    }
}

fn a_byte_order_mark_before_a_line_is_no_fault(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    alice
        .agent
        .write("\u{feff}\n\u{feff}{\"type\":\"list_peers\",\"id\":1}\n");
    let event = alice.agent.until(|event| event.id().is_some());
    assert_eq!((event.kind(), event.id()), ("peer_list", Some(&json!(1))));
}

fn every_line_of_random_bytes_is_answered(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let agent = &mut alice.agent;
    let mut random = fastrand::Rng::with_seed(1);
    let bytes: Vec<u8> = (0..200_000).map(|_| random.u8(..)).collect();
    let lines = bytes.split(|byte| *byte == b'\n');
    let expected = lines.filter(|line| !line.trim_ascii().is_empty()).count();
    let mut writer = agent.writer();
    let writing = thread::spawn(move || {
        writer.write_all(&bytes).unwrap();
        writer.write_all(b"\n{\"type\":\"list_peers\"}\n").unwrap();
    });
    let mut events = agent.all_until(|event| event.kind() == "peer_list");
    writing.join().unwrap();
    events.retain(|event| event.kind() == "error");
    // A number is valid JSON for a line.
    let codes = ["bad_json", "bad_command"];
    assert!(events.iter().all(|event| codes.contains(&event.code())));
    assert_eq!(events.len(), expected);
}

fn a_line_of_ten_megabytes_is_one_error_with_the_limit(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let memory_before = alice.sidecar.resident_bytes();
    let agent = &mut alice.agent;
    let mut line =
        br#"{"type":"send","id":"long","payload":{"target_peer":"bob","message":{"type":""#
            .to_vec();
    line.resize(10_000_000, b'x');
    let answer = answer_to(agent, &line);
    assert_eq!(answer["payload"]["code"], "line_too_long");
    assert_eq!(answer["id"], "long");
    assert_eq!(answer["payload"]["limit"], 262_144 + 65_536);
    let grown = alice.sidecar.resident_bytes().saturating_sub(memory_before);
    assert!(grown < 4_000_000, "grown by {grown} bytes");
}

fn nobody_of_that_name_is_told_with_the_name_and_the_request(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let agent = &mut alice.agent;
    let message = json!({"type": "task_request", "request_id": "r-1"});
    for (id, peer) in [("1", "nobody"), ("2", "alice")] {
        let payload = json!({"target_peer": peer, "message": message});
        agent.command(id, "send", &payload);
        let error = agent.until(|event| event.kind() == "error");
        assert_eq!(error.id(), Some(&Value::from(id)));
        assert_eq!(error.code(), "unknown_peer", "{error:?}");
        assert_eq!(error.payload()["target_peer"], peer);
        assert_eq!(error.payload()["request_id"], "r-1");
    }
    agent.send("nobody", &message);
    let error = agent.until(|event| event.kind() == "error");
    assert_eq!(
        (error.id(), error.code()),
        (None, "unknown_peer"),
        "{error:?}"
    );
    let error = agent.ask("connect", &json!({"target_peer_id": "nobody"}));
    assert_eq!(error.code(), "unknown_peer", "{error:?}");
}
