//! What each revision of MCP has, and the forms of its requests.

use std::time::Duration;

use serde_json::{Value, json};

use super::{World, text};
use crate::mcp::Tool;

#[test]
fn each_revision_gets_what_it_knows() {
    for (asked, spoken) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1900-01-01", "2025-11-25"),
    ] {
        let mut world = World::new();
        let answer = world.initialize(asked);
        let result = &answer["result"];
        assert_eq!(result["protocolVersion"], spoken);
        assert_eq!(result["serverInfo"]["name"], "chatixia-sidecar");
        assert_eq!(result["capabilities"]["resources"]["subscribe"], true);
        assert_eq!(result["resultType"], Value::Null);

        let id = world.plain_request("tools/list", json!({}));
        let tools = world.result(id)["tools"].clone();
        assert_eq!(tools.as_array().unwrap().len(), Tool::ALL.len());
        let ask = tools
            .as_array()
            .unwrap()
            .iter()
            .find(|tool| tool["name"] == "ask");
        let ask = ask.unwrap();
        assert_eq!(ask["inputSchema"]["required"], json!(["peer", "text"]));
        assert_eq!(ask["annotations"].is_null(), spoken < "2025-03-26");
        assert_eq!(ask["outputSchema"].is_null(), spoken < "2025-06-18");

        let id = world.plain_request("tools/call", json!({"name": "inbox"}));
        let result = world.result(id);
        assert_eq!(text(&result), "No messages.");
        assert_eq!(result["structuredContent"].is_null(), spoken < "2025-06-18");

        let id = world.plain_request("resources/read", json!({"uri": "mesh://other"}));
        assert_eq!(world.answer(id).unwrap()["error"]["code"], -32002);
        for method in ["server/discover", "subscriptions/listen", "prompts/list"] {
            let id = world.plain_request(method, json!({}));
            assert_eq!(
                world.answer(id).unwrap()["error"]["code"],
                -32601,
                "{method}"
            );
        }
    }
}

#[test]
fn a_stateless_request_says_what_it_speaks() {
    let mut world = World::new();
    let id = world.request("server/discover", json!({}));
    let result = world.result(id);
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["cacheScope"], "public");
    let server = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));

    let version = "io.modelcontextprotocol/protocolVersion";
    let id = world.plain_request("tools/list", json!({"_meta": {version: "1900-01-01"}}));
    let error = world.answer(id).unwrap()["error"].clone();
    assert_eq!(error["code"], -32022);
    assert_eq!(error["data"]["requested"], "1900-01-01");
    assert_eq!(error["data"]["supported"][0], "2026-07-28");
    for meta in [
        json!({version: "2026-07-28"}),
        json!({version: 7}),
        json!({}),
    ] {
        let id = world.plain_request("tools/list", json!({"_meta": meta}));
        assert_eq!(world.answer(id).unwrap()["error"]["code"], -32602, "{meta}");
    }
    for (method, code) in [
        ("ping", -32601),
        ("resources/subscribe", -32601),
        ("nothing", -32601),
        ("resources/read", -32602),
    ] {
        let id = world.request(method, json!({"uri": "mesh://other"}));
        assert_eq!(world.answer(id).unwrap()["error"]["code"], code, "{method}");
    }
    let id = world.request("tools/list", json!({"cursor": "x"}));
    assert_eq!(world.answer(id).unwrap()["error"]["code"], -32602);
    // A host without a session may ping, and nothing else.
    let id = world.plain_request("ping", json!({}));
    assert_eq!(world.result(id), json!({}));
}

#[test]
fn batches_are_answered_together_where_the_revision_has_them() {
    let mut world = World::new();
    let batch = json!([
        {"jsonrpc": "2.0", "id": "a", "method": "ping"},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call",
            "params": {"name": "inbox", "arguments": {"wait_seconds": 5}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "c", "method": "initialize"},
        7,
    ]);
    world.line(&batch.to_string());
    assert_eq!(world.host.pop().unwrap()["error"]["code"], -32600);
    world.initialize("2025-03-26");
    world.line(&batch.to_string());
    assert_eq!(world.host, [] as [Value; 0]);
    world.passes(Duration::from_secs(5));
    let answers = world.host.pop().unwrap();
    let codes: Vec<_> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].clone(), one["error"]["code"].clone()))
        .collect();
    assert_eq!(
        codes,
        [
            (json!("a"), Value::Null),
            (json!("c"), json!(-32600)),
            (Value::Null, json!(-32600)),
            (json!("b"), Value::Null),
        ]
    );
    // Notifications alone are answered by nothing.
    world.line(r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#);
    assert_eq!(world.host, [] as [Value; 0]);
}

#[test]
fn an_id_that_is_in_use_is_refused() {
    let mut world = World::new();
    let id = world.call("inbox", json!({"wait_seconds": 10}));
    world.last_id -= 1;
    assert_eq!(world.call("inbox", json!({})), id);
    assert_eq!(world.answer(id).unwrap()["error"]["code"], -32600);
    world.comes("bob", "agent_prompt", "", json!("x"));
    assert_eq!(
        world.result(id)["structuredContent"]["messages"][0]["payload"],
        "x"
    );
}
