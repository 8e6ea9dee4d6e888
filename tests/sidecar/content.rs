//! Tests that messages arrive as they were written.

use serde_json::json;

use crate::support::{Agent, Node, Site, Transport, on_each_transport};

on_each_transport!(
    every_byte_of_a_whole_message_is_kept,
    every_character_of_unicode_passes,
    what_an_agent_may_rely_on_is_filled_in,
    a_quarter_mebibyte_passes_and_a_byte_more_is_refused,
    what_a_peer_does_not_take_is_refused_with_its_limit,
    a_mebibyte_passes_where_both_sides_allow_it,
);

/// The event in which a message arrives.
fn arrived(from: &str, message: &str) -> String {
    format!(r#"{{"type":"message","payload":{{"from_peer":"{from}","message":{message}}}}}"#)
}

/// Sends the text of a message as it is.
fn send_text(agent: &mut Agent, to: &str, message: &str) {
    agent.line(format!(
        r#"{{"type":"send","payload":{{"target_peer":"{to}","message":{message}}}}}"#
    ));
}

fn every_byte_of_a_whole_message_is_kept(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let rest = r#""request_id":"","source_agent":"","target_agent":"""#;
    let payloads = [
        // Integers that no machine type holds, and numbers that a float would change.
        "123456789012345678901234567890123456789012345678901234567890",
        "-9007199254740993",
        "18446744073709551616",
        "[1.0,1e400,-0,-0.0,1E+2,0.1000000000000000055511151231257827]",
        // Keys out of order, twice, empty.
        r#"{"z":1,"a":2,"m":{"":[]},"a":3}"#,
        r#""\u0041\/\"\\\b\f\n\r\t\u00e9\ud83d\ude00\u2028\uD800 alone""#,
        "\"\u{2028}\u{2029}\u{7f}\u{85}\u{a0}\u{feff}\u{fffe}\u{10ffff}\"",
        r#"{"type":"send","payload":{"target_peer":"mallory"}}"#,
        "{ \"spaced\" :\t[ 1 , 2 ] }",
        "true",
        "null",
    ];
    for payload in payloads {
        let message = format!(r#"{{"payload":{payload},"type":"x","unknown":{{}},{rest}}}"#);
        send_text(&mut alice.agent, "bob", &message);
        // As text, for it holds numbers that this test's parser refuses.
        assert_eq!(bob.agent.next_line(), arrived("alice", &message));
    }
}

fn every_character_of_unicode_passes(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let characters: Vec<char> = (' '..=char::MAX)
        .filter(|character| !['"', '\\'].contains(character))
        .collect();
    for chunk in characters.chunks(50_000) {
        let text: String = chunk.iter().collect();
        let message = format!(
            r#"{{"type":"{text}","request_id":"","source_agent":"","target_agent":"","payload":0}}"#
        );
        send_text(&mut alice.agent, "bob", &message);
        let event = bob.agent.next();
        assert!(event.text() == arrived("alice", &message), "{event:?}");
    }
}

fn what_an_agent_may_rely_on_is_filled_in(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    for (sent, arrives) in [
        (
            r#"{"type":"ping"}"#,
            r#"{"type":"ping","request_id":"","source_agent":"","target_agent":"","payload":null}"#,
        ),
        (
            r#"{"payload":7,"extra":[1],"type":"a","source_agent":"s"}"#,
            r#"{"payload":7,"extra":[1],"type":"a","source_agent":"s","request_id":"","target_agent":""}"#,
        ),
    ] {
        send_text(&mut alice.agent, "bob", sent);
        assert_eq!(bob.agent.next().text(), arrived("alice", arrives));
    }
}

/// A whole message of so many bytes.
fn message_of(bytes: usize) -> String {
    let around =
        r#"{"type":"x","request_id":"big","source_agent":"","target_agent":"","payload":""}"#;
    let filling = "v".repeat(bytes - around.len());
    around.replace(r#""payload":"""#, &format!(r#""payload":"{filling}""#))
}

fn a_quarter_mebibyte_passes_and_a_byte_more_is_refused(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let largest = message_of(262_144);
    for _ in 0..3 {
        send_text(&mut alice.agent, "bob", &largest);
        let event = bob.agent.next();
        assert!(event.text() == arrived("alice", &largest), "{event:?}");
    }
    send_text(&mut alice.agent, "bob", &message_of(262_145));
    let error = alice.agent.until(|event| event.kind() == "error");
    assert_eq!(error.code(), "message_too_large");
    assert_eq!(error.payload()["limit"], 262_144);
    assert_eq!(error.payload()["target_peer"], "bob");
    assert_eq!(error.payload()["request_id"], "big");
    alice.agent.send("bob", &json!({"type": "after"}));
    let event = bob.agent.until_peer("message", "alice");
    assert_eq!(event.message()["type"], "after");
}

fn what_a_peer_does_not_take_is_refused_with_its_limit(transport: Transport) {
    let site = Site::over(transport);
    let small = site.setup("bob").set("MAX_MESSAGE_BYTES", "2000");
    let [mut alice, mut bob, mut carol] =
        Node::meet([site.setup("alice"), small, site.setup("carol")]);
    send_text(&mut alice.agent, "bob", &message_of(2001));
    let error = alice.agent.until(|event| event.kind() == "error");
    assert_eq!(error.code(), "message_too_large");
    assert_eq!(error.payload()["limit"], 2000);

    let message = format!(
        r#"{{"type":"broadcast","id":1,"payload":{{"message":{}}}}}"#,
        message_of(2001)
    );
    alice.agent.line(message);
    let answer = alice.agent.until(|event| event.kind() == "ok");
    assert_eq!(
        answer.payload(),
        &json!({
            "delivered": ["carol"],
            "failed": [{"peer_id": "bob", "code": "message_too_large"}],
        })
    );
    carol.agent.until_peer("message", "alice");
    send_text(&mut alice.agent, "bob", &message_of(2000));
    bob.agent.until_peer("message", "alice");
}

fn a_mebibyte_passes_where_both_sides_allow_it(transport: Transport) {
    let site = Site::over(transport);
    let setup = |name| site.setup(name).set("MAX_MESSAGE_BYTES", "1048576");
    let [mut alice, mut bob] = Node::meet(["alice", "bob"].map(setup));
    let message = message_of(1_048_576);
    send_text(&mut alice.agent, "bob", &message);
    let event = bob.agent.next();
    assert!(event.text() == arrived("alice", &message), "{event:?}");
}
