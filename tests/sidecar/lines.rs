//! Tests of how commands may be divided into lines, and lines into writes.

use std::io::Write as _;
use std::thread;

use serde_json::{Value, json};

use crate::support::{Site, Transport, on_each_transport};

on_each_transport!(
    crlf_blank_lines_and_absent_payloads_are_taken,
    a_line_may_come_byte_by_byte,
    ten_thousand_lines_in_one_write_are_answered_in_order,
    an_agent_that_shuts_down_its_side_gets_all_its_answers_and_then_the_end,
);

const LIST: &str = r#"{"type":"list_peers","id":1}"#;
const NOBODY: &str = r#"{"type":"peer_list","id":1,"payload":{"peers":[]}}"#;

fn crlf_blank_lines_and_absent_payloads_are_taken(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    alice
        .agent
        .write(format!("\n\r\n  \n{LIST}\r\n\t\r\n \u{20}{LIST} \n"));
    for _ in 0..2 {
        assert_eq!(alice.agent.next().text(), NOBODY);
    }
    let with_spaces =
        "{ \"payload\" : null , \"id\"\t: 1, \"unknown\": [], \"type\": \"list_peers\"}";
    alice.agent.line(with_spaces);
    assert_eq!(alice.agent.next().text(), NOBODY);
}

fn a_line_may_come_byte_by_byte(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    for byte in format!("{LIST}\n").bytes() {
        alice.agent.write([byte]);
    }
    assert_eq!(alice.agent.next().text(), NOBODY);
}

fn ten_thousand_lines_in_one_write_are_answered_in_order(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let lines: String = (0..10_000)
        .map(|id| format!("{{\"type\":\"list_peers\",\"id\":{id}}}\n"))
        .collect();
    let mut writer = alice.agent.writer();
    let writing = thread::spawn(move || writer.write_all(lines.as_bytes()).unwrap());
    for id in 0..10_000 {
        assert_eq!(alice.agent.next().id(), Some(&Value::from(id)));
    }
    writing.join().unwrap();
}

fn an_agent_that_shuts_down_its_side_gets_all_its_answers_and_then_the_end(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let payload = json!({"target_peer": "bob", "message": {"type": "ping"}});
    for id in 0..100 {
        alice.agent.command(id, "send", &payload);
    }
    // The last line has no end.
    alice.agent.write(r#"{"type":"list_peers","id":"last"}"#);
    alice.agent.finish();
    let mut answered = Vec::new();
    while let Some(event) = alice.agent.next_or_end() {
        answered.extend(event.id().cloned());
    }
    let mut expected: Vec<_> = (0..100).map(Value::from).collect();
    expected.push("last".into());
    answered.sort_by_key(|id| expected.iter().position(|other| other == id));
    assert_eq!(answered, expected);
    for _ in 0..100 {
        bob.agent.until_peer("message", "alice");
    }
}
