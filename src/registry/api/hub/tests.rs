use super::*;
use crate::limits::MESSAGE_NESTING;
use crate::protocol::PeerId;
use crate::registry::api::ice_servers::IceServers;
use crate::registry::api::{Api, Origin, Outcome as ApiOutcome};
use crate::registry::directory::Directory;
use crate::registry::http::RequestBuffer;
use crate::registry::store::Lasting;
use crate::registry::store::keys::{Identity, Keys};
use crate::registry::unix_time::UnixTime;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

const ORIGIN: Origin = Origin::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));

struct Subject {
    api: Api,
    now: UnixTime,
}

impl Subject {
    fn new(keys: Keys) -> Self {
        let now = UnixTime::now();
        let store = Store::new(keys, Duration::from_secs(300), Lasting::default());
        Subject {
            api: Api::new(store, IceServers::fixed(Vec::new()), String::new(), now),
            now,
        }
    }

    /// Lets in `asker`, `worker`, `other` and `boss`, whose keys are their names.
    fn listed() -> Self {
        let entry = |name: &str| {
            let role = if name == "boss" { "admin" } else { "agent" };
            let identity = Identity {
                peer_id: PeerId::new(&format!("{name}-sidecar")).unwrap(),
                role: role.to_owned(),
            };
            (name.to_owned(), identity)
        };
        let names = ["asker", "worker", "other", "boss"];
        Self::new(Keys::Listed(names.map(entry).into()))
    }

    fn ask(&mut self, key: &str, line: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let header = format!("x-api-key: {key}\r\nContent-Length: {length}\r\n");
        let text = format!("{line} HTTP/1.1\r\n{header}\r\n{body}");
        let request = RequestBuffer::default().push(text.as_bytes());
        let request = request.unwrap().unwrap();
        let online = Directory::default();
        let response = match self.api.admit(&request, ORIGIN, self.now) {
            Err(refusal) => refusal,
            Ok(()) => match self.api.answer(&request, ORIGIN, &online, self.now) {
                ApiOutcome::Answer(response) => response,
                ApiOutcome::WebSocket(..) => panic!("a WebSocket"),
            },
        };
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

#[test]
fn an_agent_may_have_another_name_than_its_key_s_peer() {
    let mut subject = Subject::listed();
    let heartbeat = r#"{"agent_id": "laptop"}"#;
    assert_eq!(subject.take("worker", heartbeat), json!([]));
    let stolen = subject.ask("other", "POST /api/hub/heartbeat", heartbeat);
    assert_eq!(stolen.0, 403, "it belongs to the key that came first");

    let id = subject.submit("asker", json!({"target_agent_id": "laptop"}));
    let line = format!("/api/hub/tasks/{id}");
    let done = r#"{"state": "completed", "result": 1}"#;
    assert_eq!(subject.ask("other", &format!("GET {line}"), "").0, 404);
    assert_eq!(subject.ask("other", &format!("POST {line}"), done).0, 404);
    assert_eq!(subject.take("worker", heartbeat)[0]["id"], *id);
    assert_eq!(subject.ask("worker", &format!("POST {line}"), done).0, 200);
    assert_eq!(subject.ask("asker", &format!("GET {line}"), "").0, 200);
}

#[test]
fn other_names_of_a_key_share_its_limits() {
    let mut subject = Subject::listed();
    for number in 0..limits::UNDONE_TASKS_PER_SOURCE {
        let source = format!("alias{number}");
        let task = json!({"target_agent_id": "worker", "source_agent_id": source});
        subject.submit("asker", task);
    }
    let more = r#"{"target_agent_id": "worker", "source_agent_id": "one-more"}"#;
    assert_eq!(subject.ask("asker", "POST /api/hub/tasks", more).0, 429);
}

#[test]
fn the_list_of_tasks_has_those_that_the_caller_may_see() {
    let mut subject = Subject::listed();
    let mut submit = |key| subject.submit(key, json!({"target_agent_id": "worker"}));
    let (first, second) = (submit("asker"), submit("other"));
    let mut listed = |key| {
        let (status, list) = subject.ask(key, "GET /api/hub/tasks/all", "");
        assert_eq!(status, 200);
        let ids = list.as_array().unwrap().iter();
        let ids = ids.map(|task| task["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(listed("asker").first(), Some(&first));
    assert_eq!(listed("worker"), [second.clone(), first.clone()]);
    assert_eq!(listed("boss"), [second, first]);
    assert_eq!(subject.ask("", "GET /api/hub/tasks/all", "").0, 401);
}

#[test]
fn a_long_list_of_tasks_has_the_latest() {
    let mut subject = Subject::new(Keys::Open);
    let payload = "x".repeat(60_000);
    let mut last = String::new();
    for number in 0..limits::LIST_BYTES / payload.len() + 5 {
        let source = number.to_string();
        let task = json!({"target_agent_id": "w", "source_agent_id": source, "payload": payload});
        last = subject.submit("", task);
    }
    let (_, list) = subject.ask("", "GET /api/hub/tasks/all", "");
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), limits::LIST_BYTES / (payload.len() + 400));
    assert_eq!(list[0]["id"], *last);
}

#[test]
fn a_caller_that_asks_too_often_is_told_so_and_others_are_served() {
    let mut subject = Subject::listed();
    let line = "GET /api/registry/agents/x";
    for _ in 0..limits::CALLS_AT_ONCE {
        assert_eq!(subject.ask("asker", line, "").0, 200);
    }
    assert_eq!(subject.ask("asker", line, "").0, 429);
    assert_eq!(subject.ask("other", line, "").0, 200);
    assert_eq!(subject.ask("asker", "POST /api/token", "").0, 200);
    subject.now = subject.now + Duration::from_secs(1);
    for _ in 0..limits::CALLS_PER_SECOND {
        assert_eq!(subject.ask("asker", line, "").0, 200);
    }
    assert_eq!(subject.ask("asker", line, "").0, 429);
}
