//! Tests of answers: commands with an id get exactly one, those without get none when all is well.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Site, Transport, on_each_transport};

on_each_transport!(
    ids_come_back_as_they_were_written,
    each_command_with_an_id_is_answered_once_and_with_its_kind_of_answer,
    without_an_id_success_is_silent_and_a_failure_is_an_event,
    a_broadcast_to_nobody_is_done_at_once,
    stats_tell_of_the_process_and_of_each_peer,
);

fn ids_come_back_as_they_were_written(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, _bob] = site.meet(["alice", "bob"]);
    let payloads = [
        ("send", r#"{"target_peer":"bob","message":{"type":"ping"}}"#),
        ("broadcast", r#"{"message":{"type":"agent_status"}}"#),
        ("connect", r#"{"target_peer_id":"bob"}"#),
        ("list_peers", "{}"),
        ("stats", "{}"),
        ("send", r#"{"message":{"type":"no target"}}"#),
        ("no such command", "{}"),
    ];
    let ids = [
        r#""a""#,
        r#""""#,
        "0",
        "-1",
        "340282366920938463463374607431768211456123456789",
        r#""\u0041\n\ud83d\ude00""#,
        "\"\u{2028}é\"",
    ];
    for (kind, payload) in payloads {
        for id in ids {
            let line = format!(r#"{{"id":{id},"type":"{kind}","payload":{payload}}}"#);
            alice.agent.line(line);
            let answer = alice.agent.until(|event| event.id().is_some());
            let found = format!(r#","id":{id},"payload":"#);
            assert!(answer.text().contains(&found), "{kind} {id}: {answer:?}");
        }
    }
}

fn each_command_with_an_id_is_answered_once_and_with_its_kind_of_answer(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob, _carol] = site.meet(["alice", "bob", "carol"]);
    let message = json!({"type": "ping"});
    let mut expected = BTreeMap::new();
    for round in 0..50 {
        for (kind, payload, answer) in [
            (
                "send",
                json!({"target_peer": "bob", "message": message}),
                json!({"target_peer": "bob", "receipt": "agent"}),
            ),
            (
                "broadcast",
                json!({"message": message}),
                json!({"delivered": ["bob", "carol"], "failed": []}),
            ),
            (
                "connect",
                json!({"target_peer_id": "carol"}),
                json!({"target_peer_id": "carol"}),
            ),
            ("list_peers", json!({}), json!({"peers": ["bob", "carol"]})),
        ] {
            let id = format!("{kind}-{round}");
            alice.agent.command(id.as_str(), kind, &payload);
            expected.insert(id, answer);
        }
    }
    let mut answers = 0;
    while answers < expected.len() {
        let event = alice.agent.next();
        let Some(Value::String(id)) = event.id() else {
            continue;
        };
        answers += 1;
        let kind = if id.starts_with("list") {
            "peer_list"
        } else {
            "ok"
        };
        assert_eq!(event.kind(), kind, "{event:?}");
        let answer = expected.insert(id.clone(), Value::Null).unwrap();
        let mut payload = event.payload().clone();
        // The list has the order in which the receipts came.
        if let Some(Value::Array(delivered)) = payload.get_mut("delivered") {
            delivered.sort_by_key(Value::to_string);
        }
        assert_eq!(payload, answer, "{id}");
    }
    for _ in 0..100 {
        bob.agent.until_peer("message", "alice");
    }
    // All receipts are back; nothing more comes.
    alice.agent.command("last", "list_peers", &json!({}));
    assert_eq!(alice.agent.next().id(), Some(&Value::from("last")));
}

fn without_an_id_success_is_silent_and_a_failure_is_an_event(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    alice.agent.send("bob", &json!({"type": "one"}));
    alice
        .agent
        .line(r#"{"type":"broadcast","payload":{"message":{"type":"two"}}}"#);
    alice
        .agent
        .line(r#"{"type":"connect","payload":{"target_peer_id":"bob"}}"#);
    for kind in ["one", "two"] {
        let event = bob.agent.until_peer("message", "alice");
        assert_eq!(event.message()["type"], kind);
    }
    // A receipt for this one implies receipts for those before it.
    let payload = json!({"target_peer": "bob", "message": {"type": "three"}});
    alice.agent.command(1, "send", &payload);
    assert_eq!(alice.agent.next().kind(), "ok");

    alice.agent.line(r#"{"type":"send","payload":{}}"#);
    let error = alice.agent.next();
    assert_eq!((error.kind(), error.id()), ("error", None));
    alice.agent.line(r#"{"type":"list_peers"}"#);
    let list = alice.agent.next();
    assert_eq!(
        list.text(),
        r#"{"type":"peer_list","payload":{"peers":["bob"]}}"#
    );
}

fn a_broadcast_to_nobody_is_done_at_once(transport: Transport) {
    let site = Site::over(transport);
    let mut alice = site.node("alice");
    let answer = alice
        .agent
        .ask("broadcast", &json!({"message": {"type": "x"}}));
    assert_eq!(answer.kind(), "ok");
    assert_eq!(answer.payload(), &json!({"delivered": [], "failed": []}));
}

#[test]
fn a_receipt_comes_only_when_the_other_agent_has_the_message() {
    let site = Site::new();
    let [mut alice, bob] = site.meet(["alice", "bob"]);
    drop(bob.agent);
    let payload = json!({"target_peer": "bob", "message": {"type": "x"}});
    // As long as the agent's leaving is not noticed its socket takes messages; those are lost with
    // it, as in any pipe. When it is noticed, messages wait.
    bob.sidecar.await_log("the agent has gone");
    alice.agent.command("waits", "send", &payload);
    let stats = alice.agent.ask("stats", &json!({}));
    assert_eq!(stats.payload()["peers"][0]["peer_id"], "bob");
    assert!(stats.payload()["peers"][0]["queued_bytes"].as_u64() > Some(0));
    let mut agent = bob.sidecar.agent();
    agent.until_peer("message", "alice");
    let answer = alice.agent.until(|event| event.kind() == "ok");
    assert_eq!(answer.id(), Some(&Value::from("waits")));
}

fn stats_tell_of_the_process_and_of_each_peer(transport: Transport) {
    let site = Site::over(transport);
    let [mut alice, mut bob] = site.meet(["alice", "bob"]);
    let payload = json!({"target_peer": "bob", "message": {"type": "x"}});
    for _ in 0..10 {
        assert_eq!(alice.agent.ask("send", &payload).kind(), "ok");
    }
    bob.agent
        .ask("broadcast", &json!({"message": {"type": "y"}}));
    let answer = alice.agent.ask("stats", &json!({}));
    assert_eq!(answer.kind(), "stats");
    let process = &answer.payload()["process"];
    assert_eq!(process["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(process["peer_id"], "alice");
    assert!(process["uptime_seconds"].as_f64() > Some(0.0));
    assert_eq!(
        process["peers"],
        json!({"connected": 1, "connecting": 0, "disconnected": 0})
    );
    let peer = &answer.payload()["peers"][0];
    assert_eq!(peer["peer_id"], "bob");
    assert_eq!(peer["state"], "connected");
    assert!(["offerer", "answerer"].contains(&peer["role"].as_str().unwrap()));
    assert!(peer["since_seconds"].as_f64() > Some(0.0));
    assert_eq!(peer["restarts"], 0);
    for end in ["local", "remote"] {
        assert_eq!(peer["path"][end]["kind"], "host", "{peer}");
    }
    let sent = 10 * r#"{"type":"x"}"#.len();
    for counts in [process, peer] {
        assert_eq!(counts["sent"], json!({"messages": 10, "bytes": sent}));
        assert_eq!(counts["received"]["messages"], 1);
        assert_eq!(counts["queued_bytes"], 0);
        assert_eq!(counts["inbox_bytes"], 0);
    }
}
