//! Tests of the task queue over HTTP.

use std::io::Write;
use std::time::{Duration, Instant};

use chatixia_sidecar::registry::{Keys, load_keys};
use serde_json::{Value, json};

use super::support::{PATIENCE, RunningRegistry, open_options};

/// The longest body of a request, and what all that are on their way may have together.
const BODY_BYTES: usize = 64 * 1024;
const BODIES_BYTES: usize = 8 * 1024 * 1024;

/// A registry that lets in `asker` and `worker`, whose keys are their names.
fn registry_with_keys(test: &str) -> RunningRegistry {
    let name = format!("chatixia-registry-tasks-{test}-{}.json", std::process::id());
    let path = std::env::temp_dir().join(name);
    let keys = json!({"keys": {
        "asker": {"peer_id": "asker-sidecar"}, "worker": {"peer_id": "worker-sidecar"},
    }});
    std::fs::write(&path, keys.to_string()).unwrap();
    let keys = load_keys(&path);
    std::fs::remove_file(&path).unwrap();
    let mut options = open_options();
    options.keys = keys.unwrap();
    RunningRegistry::start(options)
}

/// Status and text of the answer to a request that may bear a key and a body.
fn ask(registry: &RunningRegistry, line: &str, key: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nx-api-key: {key}\r\nContent-Type: application/json\r\n\
        Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = registry.exchange(request.as_bytes());
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    (status, text.to_owned())
}

fn json_of((status, text): (u16, String)) -> Value {
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_task_and_its_result_are_carried_to_the_letter() {
    let registry = registry_with_keys("carried");
    let payload = r#"{"z": 1.50, "a": 123456789012345678901234567890}"#;
    let body = format!(r#"{{"target_agent_id": "worker", "skill": "s", "payload": {payload}}}"#);
    let submitted = json_of(ask(&registry, "POST /api/hub/tasks", "asker", &body));
    let id = submitted["task_id"].as_str().unwrap();

    let heartbeat = r#"{"agent_id": "worker", "skill_names": ["s"]}"#;
    let (status, taken) = ask(&registry, "POST /api/hub/heartbeat", "worker", heartbeat);
    assert_eq!(status, 200);
    assert!(taken.contains(payload), "{taken}");

    let result = r#"{"b": 98765432109876543210.0, "a": "🦀"}"#;
    let end = format!(r#"{{"state": "completed", "result": {result}}}"#);
    let line = format!("POST /api/hub/tasks/{id}");
    json_of(ask(&registry, &line, "worker", &end));
    let (_, shown) = ask(&registry, &format!("GET /api/hub/tasks/{id}"), "asker", "");
    assert!(shown.contains(result), "{shown}");
    assert!(shown.contains(r#""state":"completed""#), "{shown}");
}

#[test]
fn a_task_that_nobody_takes_has_failed_when_its_time_is_over() {
    let mut options = open_options();
    options.keys = Keys::Open;
    let registry = RunningRegistry::start(options);
    let body = r#"{"target_agent_id": "nobody", "ttl": 0.1}"#;
    let submitted = json_of(ask(&registry, "POST /api/hub/tasks", "asker", body));
    let line = format!(
        "GET /api/hub/tasks/{}",
        submitted["task_id"].as_str().unwrap()
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        let task = json_of(ask(&registry, &line, "", ""));
        if task["state"] == "failed" {
            assert!(task["error"].as_str().unwrap().contains("ttl of 0.1 s"));
            return;
        }
        assert_eq!(task["state"], "pending");
        assert!(Instant::now() < deadline, "it never expires");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_task_that_is_too_large_is_refused() {
    let registry = RunningRegistry::open();
    let body = json!({"target_agent_id": "worker", "payload": "x".repeat(64 * 1024)});
    let (status, _) = ask(&registry, "POST /api/hub/tasks", "asker", &body.to_string());
    assert_eq!(status, 413);
}

/// The head of a request for the task queue, whose body has the largest length that is taken.
fn head(key: &str) -> String {
    let header = format!("x-api-key: {key}\r\nContent-Length: {BODY_BYTES}\r\n");
    format!("POST /api/hub/tasks HTTP/1.1\r\n{header}\r\n")
}

#[test]
fn a_body_is_not_waited_for_when_the_head_says_all() {
    let registry = registry_with_keys("head");
    for (head, status) in [
        (head("unknown"), "401"),
        (head(""), "401"),
        (head("unknown").replace("hub/tasks", "token"), "401"),
        (head("asker").replace("hub/tasks", "token"), "200"),
        (
            head("asker").replace("POST /api/hub/tasks", "GET /health"),
            "200",
        ),
        (head("asker").replace("hub/tasks", "other"), "404"),
    ] {
        let answer = registry.exchange(head.as_bytes());
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head}{answer}");
    }
    let token = format!("GET /ws?token={}", registry.token("asker"));
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length";
    let head = head("asker").replace("POST /api/hub/tasks", &token);
    let head = head.replace("Content-Length", upgrade);
    let answer = registry.exchange(head.as_bytes());
    assert_eq!(answer.split(' ').nth(1), Some("400"), "{answer}");
}

#[test]
fn bodies_on_their_way_are_bounded_until_some_are_gone() {
    let registry = RunningRegistry::open();
    let mut held = Vec::new();
    // One address gets a quarter of the room.
    for number in 0..BODIES_BYTES / BODY_BYTES {
        let mut stream = registry.connect_from(2 + (number % 4) as u8);
        stream.write_all(head("greedy").as_bytes()).unwrap();
        held.push(stream);
    }
    let no_json = format!("{}{}", head("late"), "x".repeat(BODY_BYTES));
    let until_answered_with = |status: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = registry.exchange(no_json.as_bytes());
            if answer.split(' ').nth(1) == Some(status) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{answer}");
        }
    };
    assert!(until_answered_with("503").contains("\r\nRetry-After: 1\r\n"));
    let (status, _) = ask(&registry, "POST /api/hub/heartbeat", "late", "{}");
    assert_eq!(status, 200, "what comes at once takes no room");
    held.pop();
    until_answered_with("400");
}

#[test]
fn keys_that_are_not_listed_reach_no_task() {
    let registry = registry_with_keys("refused");
    let body = r#"{"target_agent_id": "worker"}"#;
    let (status, text) = ask(&registry, "POST /api/hub/tasks", "unknown", body);
    assert_eq!(status, 401);
    assert!(text.contains("x-api-key"), "{text}");
}
