use super::super::http::RequestBuffer;
use super::super::keys::Identity;
use super::*;
use crate::protocol::PeerId;
use serde_json::Value;

struct Subject {
    hub: Hub,
    keys: Keys,
    now: Instant,
}

impl Subject {
    fn new(keys: Keys) -> Self {
        Subject {
            hub: Hub::default(),
            keys,
            now: Instant::now(),
        }
    }

    /// Lets in `asker`, `worker` and `other`, whose keys are their names.
    fn listed() -> Self {
        let entry = |name: &str| {
            let identity = Identity {
                peer_id: PeerId::new(&format!("{name}-sidecar")).unwrap(),
                role: "agent".to_owned(),
            };
            (name.to_owned(), identity)
        };
        Self::new(Keys::Listed(["asker", "worker", "other"].map(entry).into()))
    }

    fn ask(&mut self, key: &str, line: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let header = format!("x-api-key: {key}\r\nContent-Length: {length}\r\n");
        let text = format!("{line} HTTP/1.1\r\n{header}\r\n{body}");
        let request = RequestBuffer::default().push(text.as_bytes());
        let request = request.unwrap().unwrap();
        let path: Vec<&str> = request.path.split('/').skip(3).collect();
        let response = self.hub.answer(&path, &request, &self.keys, self.now);
        let body = serde_json::from_str(&response.body.unwrap()).unwrap();
        (response.status, body)
    }

    fn submit(&mut self, key: &str, task: Value) -> String {
        let (status, answer) = self.ask(key, "POST /api/hub/tasks", &task.to_string());
        assert_eq!(status, 200, "{answer}");
        answer["task_id"].as_str().unwrap().to_owned()
    }

    fn take(&mut self, key: &str, heartbeat: &str) -> Value {
        let (status, mut answer) = self.ask(key, "POST /api/hub/heartbeat", heartbeat);
        assert_eq!(status, 200, "{answer}");
        answer["pending_tasks"].take()
    }
}

#[test]
fn a_task_goes_out_and_its_result_comes_back() {
    let mut subject = Subject::listed();
    let payload = json!({"n": [1, 2.5], "text": "ü"});
    let task = json!({"target_agent_id": "worker", "skill": "add", "payload": payload});
    let id = subject.submit("asker", task);
    let line = format!("GET /api/hub/tasks/{id}");
    assert_eq!(subject.ask("asker", &line, "").1["state"], "pending");

    let taken = subject.take("worker", r#"{"agent_id": "worker"}"#);
    assert_eq!(taken[0]["id"], *id);
    assert_eq!(taken[0]["payload"], payload);
    assert_eq!(taken[0]["source_agent_id"], "asker");
    assert_eq!(subject.take("worker", "{}"), json!([]));
    assert_eq!(subject.ask("asker", &line, "").1["state"], "assigned");

    let end = json!({"state": "completed", "result": {"sum": 3.5}}).to_string();
    let ended = subject.ask("worker", &format!("POST /api/hub/tasks/{id}"), &end);
    assert_eq!(ended.0, 200);
    let (_, shown) = subject.ask("asker", &line, "");
    assert_eq!(shown["state"], "completed");
    assert_eq!(shown["result"], json!({"sum": 3.5}));
    assert_eq!(shown["error"], "");
}

#[test]
fn a_failure_comes_back_with_its_error_and_nothing_ends_twice() {
    let mut subject = Subject::listed();
    let id = subject.submit("asker", json!({"target_agent_id": "worker"}));
    let line = format!("POST /api/hub/tasks/{id}");
    let failed = r#"{"state": "failed", "result": "", "error": "no such skill"}"#;
    assert_eq!(subject.ask("worker", &line, failed).0, 200);
    assert_eq!(subject.ask("worker", &line, failed).0, 409);
    let (_, shown) = subject.ask("asker", &format!("GET /api/hub/tasks/{id}"), "");
    assert_eq!(shown["state"], "failed");
    assert_eq!(shown["error"], "no such skill");
}

#[test]
fn result_and_error_come_back_whatever_the_state_is() {
    let mut subject = Subject::listed();
    for state in ["completed", "failed"] {
        let id = subject.submit("asker", json!({"target_agent_id": "worker"}));
        let end = json!({"state": state, "result": [1], "error": "odd"}).to_string();
        let line = format!("/api/hub/tasks/{id}");
        subject.ask("worker", &format!("POST {line}"), &end);
        let (_, shown) = subject.ask("asker", &format!("GET {line}"), "");
        assert_eq!(shown["state"], state);
        assert_eq!(shown["result"], json!([1]));
        assert_eq!(shown["error"], "odd");
    }
}

#[test]
fn null_is_as_good_as_nothing() {
    let mut subject = Subject::listed();
    let task = json!({
        "target_agent_id": "worker", "skill": null, "source_agent_id": null, "payload": null,
        "ttl": null,
    });
    let id = subject.submit("asker", task);
    let taken = subject.take("worker", r#"{"agent_id": null, "skill_names": null}"#);
    assert_eq!(taken[0]["source_agent_id"], "asker");
    assert_eq!(taken[0]["ttl"], 300.0);
    let end = r#"{"state": "completed", "result": "x", "error": null}"#;
    let line = format!("/api/hub/tasks/{id}");
    let ended = subject.ask("worker", &format!("POST {line}"), end);
    assert_eq!(ended.0, 200, "{}", ended.1);
    let (_, shown) = subject.ask("asker", &format!("GET {line}"), "");
    assert_eq!(shown["result"], "x");
    assert_eq!(shown["error"], "");

    let id = subject.submit("asker", json!({"target_agent_id": "worker"}));
    let line = format!("/api/hub/tasks/{id}");
    let end = r#"{"state": "failed", "result": null, "error": "no"}"#;
    subject.ask("worker", &format!("POST {line}"), end);
    let (_, shown) = subject.ask("asker", &format!("GET {line}"), "");
    assert_eq!(shown["result"], "");
}

#[test]
fn what_is_nested_deeper_than_a_message_is_refused() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let task = |depth| {
        let payload = nested(depth);
        format!(r#"{{"target_agent_id": "worker", "payload": {payload}}}"#)
    };
    let mut subject = Subject::listed();
    let line = "POST /api/hub/tasks";
    for depth in [MESSAGE_NESTING, 30_000] {
        let (status, answer) = subject.ask("asker", line, &task(depth));
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains("512"));
    }
    let (status, answer) = subject.ask("asker", line, &task(MESSAGE_NESTING - 1));
    assert_eq!(status, 200);

    let id = answer["task_id"].as_str().unwrap();
    let line = format!("POST /api/hub/tasks/{id}");
    let end = |depth| format!(r#"{{"state": "completed", "result": {}}}"#, nested(depth));
    assert_eq!(subject.ask("worker", &line, &end(MESSAGE_NESTING)).0, 400);
    assert_eq!(
        subject.ask("worker", &line, &end(MESSAGE_NESTING - 1)).0,
        200
    );
}

#[test]
fn an_agent_with_too_many_tasks_is_told_so_and_others_go_on() {
    let mut subject = Subject::listed();
    let task = json!({"target_agent_id": "nobody", "ttl": 86_400});
    for _ in 0..limits::UNDONE_TASKS_PER_SOURCE {
        subject.submit("asker", task.clone());
    }
    let (status, answer) = subject.ask("asker", "POST /api/hub/tasks", &task.to_string());
    assert_eq!(status, 429);
    let text = answer["error"].as_str().unwrap();
    assert!(text.contains("\"asker\" has 64 tasks"), "{text}");
    subject.submit("other", task);
}

#[test]
fn without_a_listed_key_there_is_nothing() {
    let mut subject = Subject::listed();
    for line in [
        "POST /api/hub/tasks",
        "POST /api/hub/heartbeat",
        "GET /api/hub/tasks/1",
        "POST /api/hub/tasks/1",
    ] {
        assert_eq!(subject.ask("", line, "{}").0, 401);
        assert_eq!(subject.ask("unknown", line, "{}").0, 401);
    }
}

#[test]
fn nobody_acts_in_anothers_name_or_sees_what_is_between_others() {
    let mut subject = Subject::listed();
    let forged = r#"{"target_agent_id": "worker", "source_agent_id": "asker"}"#;
    assert_eq!(subject.ask("other", "POST /api/hub/tasks", forged).0, 403);
    let id = subject.submit("asker", json!({"target_agent_id": "worker"}));

    let (get, post) = (
        format!("GET /api/hub/tasks/{id}"),
        format!("POST /api/hub/tasks/{id}"),
    );
    let completed = r#"{"state": "completed", "result": 1}"#;
    let stolen = r#"{"agent_id": "worker"}"#;
    let heartbeat = "POST /api/hub/heartbeat";
    assert_eq!(subject.ask("other", heartbeat, stolen).0, 403);
    assert_eq!(subject.take("other", "{}"), json!([]));
    assert_eq!(subject.ask("other", &get, "").0, 404);
    assert_eq!(subject.ask("other", &post, completed).0, 404);
    assert_eq!(subject.ask("asker", &post, completed).0, 404, "not its own");
    assert_eq!(subject.ask("worker", &post, completed).0, 200);
}

#[test]
fn an_open_registry_believes_the_names_it_is_told() {
    let mut subject = Subject::new(Keys::Open);
    let task = json!({"target_agent_id": "worker", "source_agent_id": "field"});
    let id = subject.submit("", task);
    let (_, shown) = subject.ask("", &format!("GET /api/hub/tasks/{id}"), "");
    assert_eq!(shown["source_agent_id"], "field");
    let taken = subject.take("ak_dev_001", r#"{"agent_id": "worker", "skill_names": []}"#);
    assert_eq!(taken[0]["id"], *id);

    let id = subject.submit("asker-sidecar", json!({"target_agent_id": "worker"}));
    let taken = subject.take("worker-sidecar", "{}");
    assert_eq!(taken[0]["id"], *id);
    assert_eq!(taken[0]["source_agent_id"], "asker");
    assert_eq!(subject.ask("", "POST /api/hub/heartbeat", "{}").0, 400);
}

#[test]
fn what_is_no_task_is_refused_in_words() {
    let mut subject = Subject::listed();
    for body in [
        "",
        "[]",
        "{}",
        r#"{"target_agent_id": 1}"#,
        r#"{"target_agent_id": "a", "ttl": 0}"#,
        r#"{"target_agent_id": "a", "ttl": -1}"#,
        r#"{"target_agent_id": "a", "ttl": 1e300}"#,
        r#"{"target_agent_id": "a", "ttl": "5"}"#,
    ] {
        let (status, answer) = subject.ask("asker", "POST /api/hub/tasks", body);
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].is_string());
    }
    let id = subject.submit("asker", json!({"target_agent_id": "worker"}));
    let line = format!("POST /api/hub/tasks/{id}");
    assert_eq!(subject.ask("worker", &line, r#"{"state": "odd"}"#).0, 400);
    assert_eq!(subject.ask("worker", "DELETE /api/hub/tasks", "").0, 405);
    assert_eq!(subject.ask("worker", "PUT /api/hub/tasks/1", "").0, 405);
    assert_eq!(subject.ask("worker", "GET /api/hub/heartbeat", "").0, 405);
    assert_eq!(subject.ask("worker", "GET /api/hub/", "").0, 404);
}
