//! Messages that are sent, and replies.

use serde_json::{Value, json};

use super::World;
use crate::limits;

#[test]
fn a_message_is_sent_and_what_became_of_it_is_told() {
    let mut world = World::new();
    let id = world.call("send", json!({"peer": "bob", "text": "a \"b\""}));
    let command = world.sidecar.last().unwrap();
    assert_eq!(command["type"], "send");
    assert_eq!(command["payload"]["target_peer"], "bob");
    let message = &command["payload"]["message"];
    assert_eq!(
        *message,
        json!({"type": "agent_prompt", "request_id": "", "source_agent": "me", "target_agent": "bob",
            "payload": {"text": "a \"b\""}})
    );
    assert_eq!(world.answer(id), None);
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    let result = world.result(id);
    assert_eq!(result["structuredContent"]["outcome"], "arrived");

    let id = world.call(
        "send",
        json!({"peer": "bob", "json": {"n": 1}, "type": "task_request"}),
    );
    let message = &world.sidecar.last().unwrap()["payload"]["message"];
    assert_eq!(
        (&message["type"], &message["payload"]),
        (&json!("task_request"), &json!({"n": 1}))
    );
    world.done(json!({"target_peer": "bob", "receipt": "transport"}));
    assert_eq!(
        world.result(id)["structuredContent"]["outcome"],
        "handed_over"
    );

    let id = world.call("send", json!({"peer": "bob", "text": "x"}));
    let command = world.sidecar.last().unwrap()["id"].clone();
    world.tells(json!({"type": "error", "id": command, "payload": {"code": "peer_stalled", "message": "full"}}));
    assert!(world.failure(id).contains("peer_stalled"));

    // It is not held up for ever.
    let id = world.call("send", json!({"peer": "bob", "text": "x"}));
    world.passes(limits::MCP_SEND_TIME);
    assert!(world.failure(id).contains("not known yet"));
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    assert_eq!(world.host, [] as [Value; 0]);
}

#[test]
fn a_question_is_replied_to_once_by_what_its_sender_expects() {
    let mut world = World::new();
    world.comes("bob", "agent_prompt", "r1", json!({"text": "q"}));
    world.comes("bob", "task_request", "r2", json!({"text": "q"}));
    world.comes("bob", "own_kind", "r3", json!("q"));
    world.comes("bob", "agent_prompt", "", json!("note"));
    let id = world.call("inbox", json!({}));
    let messages = world.result(id)["structuredContent"]["messages"].clone();
    let waits: Vec<_> = (0..4)
        .map(|at| messages[at]["waits_for_reply"] == true)
        .collect();
    assert_eq!(waits, [true, true, true, false]);
    for (handle, kind, request_id, payload) in [
        ("m1", "agent_response", "r1", json!({"text": "a"})),
        (
            "m2",
            "task_response",
            "r2",
            json!({"result": "a", "error": ""}),
        ),
        ("m3", "own_kind_response", "r3", json!({"text": "a"})),
        ("m4", "agent_prompt", "", json!({"text": "a"})),
    ] {
        let id = world.call("reply", json!({"handle": handle, "text": "a"}));
        let message = &world.sidecar.last().unwrap()["payload"]["message"];
        assert_eq!(
            *message,
            json!({"type": kind, "request_id": request_id, "source_agent": "me", "target_agent": "bob",
                "payload": payload})
        );
        world.done(json!({"target_peer": "bob", "receipt": "agent"}));
        assert_eq!(world.result(id)["structuredContent"]["outcome"], "arrived");
    }
    let again = world.call("reply", json!({"handle": "m1", "text": "b"}));
    assert!(world.failure(again).contains("answered already"));
    // A reply that was not sent can be given again.
    world.comes("bob", "agent_prompt", "r5", json!("q"));
    let inbox = world.call("inbox", json!({}));
    world.result(inbox);
    let id = world.call("reply", json!({"handle": "m5", "text": "a"}));
    let command = world.sidecar.last().unwrap()["id"].clone();
    world.tells(json!({"type": "error", "id": command, "payload": {"code": "connect_failed", "message": "x"}}));
    world.failure(id);
    let id = world.call("reply", json!({"handle": "m5", "text": "a"}));
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    world.result(id);
}

#[test]
fn a_message_that_was_only_looked_at_is_answered_once() {
    let mut world = World::new();
    world.comes("bob", "agent_prompt", "r1", json!("q"));
    world.request("resources/read", json!({"uri": "mesh://inbox"}));
    let reply = |world: &mut World| world.call("reply", json!({"handle": "m1", "text": "a"}));
    let first = reply(&mut world);
    let second = reply(&mut world);
    assert!(world.failure(second).contains("answered already"));
    // One that could not be sent can be given again.
    let command = world.sidecar.last().unwrap()["id"].clone();
    world.tells(json!({"type": "error", "id": command,
        "payload": {"code": "connect_failed", "message": "x"}}));
    world.failure(first);
    let third = reply(&mut world);
    world.done(json!({"target_peer": "bob", "receipt": "agent"}));
    world.result(third);
    // Taking it from the inbox does not make it a new question.
    let id = world.call("inbox", json!({}));
    world.result(id);
    let fourth = reply(&mut world);
    assert!(world.failure(fourth).contains("answered already"));
}
