//! The HTTP face of the task queue, without I/O.
//!
//! | | |
//! |---|---|
//! | `POST /api/hub/tasks` | `{"skill", "target_agent_id", "source_agent_id", "payload", "ttl"}`, all optional but that a target or a skill is needed; gives `{"task_id"}` |
//! | `GET /api/hub/tasks/{id}` | the task: what was asked, `id`, `assigned_agent_id`, `state`, `result`, `error` |
//! | `POST /api/hub/tasks/{id}` | `{"state": "completed", "result"}` or `{"state": "failed", "error"}`; ends it |
//! | `POST /api/hub/heartbeat` | `{"agent_id", "skill_names"}`; gives `{"status": "ok", "pending_tasks": [task, ...]}`, which are assigned from then on |
//!
//! `ttl` is in seconds. A result is any JSON. What is refused has a status of 400 and above, and says
//! why in `error`.
//!
//! **Who may what.** The contract leaves it open. Here callers show the key of the token exchange
//! (`x-api-key`, `x-device-token`) and are the agent of that key's peer: they submit in their own
//! name, take their own tasks, and neither read nor end what is between others. A registry that lets
//! in everybody (`--open`) believes whatever name a caller gives, without a key as well: that is how
//! agents in the field submit.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::http::{Request, Response};
use super::keys::Keys;
use super::limits;
use super::tasks::{EndError, Ending, Submission, Task, Tasks, agent_name};
use super::tokens::hex;

/// Random bytes of a task's id.
const ID_BYTES: usize = 16;

/// Who asks.
enum Caller {
    /// The agent of a listed key.
    Agent(String),
    /// Anybody, with the name of the key if there was one.
    Anybody(Option<String>),
}

impl Caller {
    /// Whether what belongs to this agent belongs to the caller.
    fn is(&self, agent: &str) -> bool {
        match self {
            Caller::Agent(own) => own == agent_name(agent),
            Caller::Anybody(_) => true,
        }
    }

    /// The name to act under, where the caller asks to be `claimed`.
    fn acting_as(self, claimed: String) -> Result<String, Response> {
        match self {
            Caller::Agent(own) if !claimed.is_empty() && own != agent_name(&claimed) => {
                let text = format!("this key is of agent {own:?}, not of {claimed:?}");
                Err(Response::error(403, &text))
            }
            Caller::Agent(own) => Ok(own),
            Caller::Anybody(_) if !claimed.is_empty() => Ok(claimed),
            Caller::Anybody(own) => Ok(own.unwrap_or_default()),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct NewTask {
    skill: String,
    target_agent_id: String,
    source_agent_id: String,
    payload: Box<RawValue>,
    ttl: f64,
}

impl Default for NewTask {
    fn default() -> Self {
        NewTask {
            skill: String::new(),
            target_agent_id: String::new(),
            source_agent_id: String::new(),
            payload: RawValue::NULL.to_owned(),
            ttl: limits::TASK_TTL.as_secs_f64(),
        }
    }
}

#[derive(Deserialize)]
struct TaskEnd {
    state: String,
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Heartbeat {
    agent_id: String,
    skill_names: Vec<String>,
}

#[derive(Serialize)]
struct HandedOver<'a> {
    status: &'static str,
    pending_tasks: Vec<&'a Task>,
}

/// The task queue as it is reached over HTTP.
#[derive(Default)]
pub(super) struct Hub {
    tasks: Tasks,
}

impl Hub {
    /// Answers a request for what is below `/api/hub`.
    pub(super) fn answer(
        &mut self,
        path: &[&str],
        request: &Request,
        keys: &Keys,
        now: Instant,
    ) -> Response {
        let caller = match caller(request, keys) {
            Ok(caller) => caller,
            Err(refusal) => return refusal,
        };
        let answer = match (path, request.method.as_str()) {
            (["tasks"], "POST") => self.submit(request, caller, now),
            (["tasks", id], "GET") => self.show(id, &caller, now),
            (["tasks", id], "POST") => self.end(id, request, &caller, now),
            (["heartbeat"], "POST") => self.heartbeat(request, caller, now),
            (["tasks" | "heartbeat"], _) => Err(Response::only("POST")),
            (["tasks", _], _) => Err(Response::only("GET, POST")),
            _ => Err(Response::nothing_here()),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn submit(
        &mut self,
        request: &Request,
        caller: Caller,
        now: Instant,
    ) -> Result<Response, Response> {
        let task: NewTask = body(request)?;
        if task.target_agent_id.is_empty() && task.skill.is_empty() {
            let text = "a task needs a target_agent_id, or a skill";
            return Err(Response::error(400, text));
        }
        let source_agent_id = caller.acting_as(task.source_agent_id)?;
        let mut random = [0; ID_BYTES];
        getrandom::fill(&mut random).map_err(|error| {
            log::error!("the system gives no random numbers for a task: {error}");
            Response::error(500, "no random numbers")
        })?;
        let id = hex(&random);
        let submission = Submission {
            skill: task.skill,
            target_agent_id: task.target_agent_id,
            source_agent_id,
            payload: task.payload,
            ttl: ttl(task.ttl)?,
        };
        self.tasks
            .submit(now, id.clone(), submission)
            .map_err(|_| full())?;
        Ok(Response::ok(json!({ "task_id": id }).to_string()))
    }

    fn show(&mut self, id: &str, caller: &Caller, now: Instant) -> Result<Response, Response> {
        let task = self.tasks.get(now, id);
        let task = task.filter(|task| caller.is(&task.source_agent_id) || works_on(caller, task));
        Ok(Response::ok(text(&task.ok_or_else(unknown)?)))
    }

    fn end(
        &mut self,
        id: &str,
        request: &Request,
        caller: &Caller,
        now: Instant,
    ) -> Result<Response, Response> {
        let end: TaskEnd = body(request)?;
        let ending = match end.state.as_str() {
            "completed" => {
                Ending::Completed(end.result.unwrap_or_else(|| RawValue::NULL.to_owned()))
            }
            "failed" => Ending::Failed(end.error),
            _ => {
                let text = "a task ends with the state \"completed\" or \"failed\"";
                return Err(Response::error(400, text));
            }
        };
        let task = self.tasks.get(now, id);
        task.filter(|task| works_on(caller, task))
            .ok_or_else(unknown)?;
        match self.tasks.end(now, id, ending) {
            Ok(()) => Ok(Response::ok(json!({ "status": "ok" }).to_string())),
            Err(EndError::Unknown) => Err(unknown()),
            Err(EndError::Full) => Err(full()),
            Err(EndError::Ended(state)) => {
                let text = format!("the task has ended before: it is {}", text(&state));
                Err(Response::error(409, &text))
            }
        }
    }

    fn heartbeat(
        &mut self,
        request: &Request,
        caller: Caller,
        now: Instant,
    ) -> Result<Response, Response> {
        let heartbeat: Heartbeat = body(request)?;
        let agent = caller.acting_as(heartbeat.agent_id)?;
        if agent.is_empty() {
            return Err(Response::error(
                400,
                "say which agent_id this is, or send its key",
            ));
        }
        let tasks = self.tasks.assign(now, &agent, &heartbeat.skill_names);
        Ok(Response::ok(text(&HandedOver {
            status: "ok",
            pending_tasks: tasks,
        })))
    }
}

fn caller(request: &Request, keys: &Keys) -> Result<Caller, Response> {
    let identity = request.key().and_then(|key| keys.identity(key));
    let agent = identity.map(|identity| agent_name(identity.peer_id.as_str()).to_owned());
    match (keys, agent) {
        (Keys::Open, agent) => Ok(Caller::Anybody(agent)),
        (Keys::Listed(_), Some(agent)) => Ok(Caller::Agent(agent)),
        (Keys::Listed(_), None) => Err(Response::error(
            401,
            "send a key that is known, as x-api-key or x-device-token",
        )),
    }
}

/// Whether the caller is the one who does the task.
fn works_on(caller: &Caller, task: &Task) -> bool {
    caller.is(&task.target_agent_id) || caller.is(&task.assigned_agent_id)
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Response> {
    serde_json::from_slice(&request.body).map_err(|error| {
        let text = format!("the body is not the JSON object that is expected here: {error}");
        Response::error(400, &text)
    })
}

fn ttl(seconds: f64) -> Result<Duration, Response> {
    let ttl = Duration::try_from_secs_f64(seconds).ok();
    let bounds = Duration::from_millis(1)..=limits::LONGEST_TASK_TTL;
    ttl.filter(|ttl| bounds.contains(ttl)).ok_or_else(|| {
        let longest = limits::LONGEST_TASK_TTL.as_secs();
        let text = format!("ttl is {seconds}; it is in seconds, from 0.001 to {longest}");
        Response::error(400, &text)
    })
}

fn text(value: &impl Serialize) -> String {
    // Maps with string keys and no writer that fails: this can't fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn unknown() -> Response {
    let text = "there is no such task: it is unknown, forgotten, or not yours";
    Response::error(404, text)
}

fn full() -> Response {
    Response::error(503, "the task queue is full; try again later").with("Retry-After", "10")
}

#[cfg(test)]
mod tests {
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
}
