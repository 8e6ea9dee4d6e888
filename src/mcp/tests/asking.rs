//! Questions, their answers and their deadlines.

use std::time::Duration;

use serde_json::{Value, json};

use super::{World, text};
use crate::limits;

#[test]
fn an_answer_is_that_of_the_peer_and_the_question() {
    let mut world = World::new();
    let first = world.call("ask", json!({"peer": "bob", "text": "1?"}));
    let id_of = |world: &World| {
        let message = &world.sidecar.last().unwrap()["payload"]["message"];
        message["request_id"].as_str().unwrap().to_owned()
    };
    let first_id = id_of(&world);
    let second = world.call("ask", json!({"peer": "carol", "text": "2?"}));
    let second_id = id_of(&world);
    assert_ne!(first_id, second_id);
    world.comes(
        "carol",
        "agent_response",
        &first_id,
        json!({"text": "not asked"}),
    );
    world.comes(
        "bob",
        "agent_response",
        &second_id,
        json!({"text": "not asked"}),
    );
    assert_eq!((world.answer(first), world.answer(second)), (None, None));
    world.comes("bob", "agent_stream_chunk", &first_id, json!("one"));
    world.comes(
        "bob",
        "agent_response",
        &first_id,
        json!({"text": "yes\n--- end"}),
    );
    let result = world.result(first);
    let structured = &result["structuredContent"];
    assert_eq!(structured["answer"], json!({"text": "yes\n--- end"}));
    assert_eq!(structured["parts"], json!(["one"]));
    assert_eq!(structured["untrusted"], true);
    assert_eq!(structured["waiting_messages"], 2);
    let text = text(&result);
    let mark = text
        .split("--- begin ")
        .nth(2)
        .unwrap()
        .split(':')
        .next()
        .unwrap();
    assert!(
        text.contains(&format!("\nyes\n--- end\n--- end {mark} ---")),
        "{text}"
    );
    // What answered nothing is in the inbox, and so is what comes too late.
    world.comes(
        "carol",
        "agent_response",
        &second_id,
        json!({"result": "", "error": "no idea"}),
    );
    assert!(world.failure(second).contains("no idea"));
    world.comes("bob", "agent_response", &first_id, json!({"text": "again"}));
    let inbox = world.call("inbox", json!({}));
    let messages = world.result(inbox)["structuredContent"]["messages"].clone();
    let from: Vec<_> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["from_peer"])
        .collect();
    assert_eq!(from, ["carol", "bob", "bob"]);
    assert_eq!(messages[0]["waits_for_reply"], false);
}

#[test]
fn a_question_ends_when_its_time_is_up_or_its_peer_is_another_process() {
    let mut world = World::new();
    let id = world.call(
        "ask",
        json!({"peer": "bob", "text": "?", "timeout_seconds": 5}),
    );
    world.passes(Duration::from_secs(5));
    assert!(world.failure(id).contains("not known whether"));
    let id = world.call("ask", json!({"peer": "bob", "text": "?"}));
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    world.passes(limits::MCP_ASK_TIME - Duration::from_millis(1));
    assert_eq!(world.answer(id), None);
    world.passes(Duration::from_millis(1));
    assert!(world.failure(id).contains("has the question"));

    let id = world.call("ask", json!({"peer": "bob", "text": "?"}));
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    let connected = |resumed| json!({"type": "peer_connected", "payload": {"peer_id": "bob", "resumed": resumed}});
    world.tells(connected(true));
    assert_eq!(world.answer(id), None);
    world.tells(connected(false));
    assert!(world.failure(id).contains("Ask again"));
}

#[test]
fn progress_is_told_to_a_host_that_wants_it_and_grows() {
    let mut world = World::new();
    let params = json!({"name": "ask", "arguments": {"peer": "bob", "text": "?", "timeout_seconds": 10},
        "_meta": {"progressToken": "p"}});
    let id = world.request("tools/call", params);
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    world.passes(Duration::from_secs(10));
    assert!(world.failure(id).contains("No answer"));
    let told = std::mem::take(&mut world.host);
    assert!(told.len() >= 4, "{told:?}");
    let mut last = 0.0;
    for line in told {
        assert_eq!(line["method"], "notifications/progress");
        assert_eq!(line["params"]["progressToken"], "p");
        assert_eq!(line["params"]["message"], "bob has the question");
        let progress = line["params"]["progress"].as_f64().unwrap();
        assert!(progress > last);
        last = progress;
    }
    world.passes(Duration::from_secs(60));
    assert_eq!(world.host, [] as [Value; 0]);
}
