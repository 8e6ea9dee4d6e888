//! The task queue's HTTP interface, without I/O.
//!
//! | | |
//! |---|---|
//! | `POST /api/hub/tasks` | `{"skill", "target_agent_id", "source_agent_id", "payload", "ttl"}`, all optional but that a target or a skill is needed; gives `{"task_id"}` |
//! | `GET /api/hub/tasks/{id}` | the task: what was asked, `id`, `assigned_agent_id`, `state`, `result`, `error` |
//! | `POST /api/hub/tasks/{id}` | `{"state", "result", "error"}`, the state `completed` or `failed`; ends it |
//! | `POST /api/hub/heartbeat` | `{"agent_id", "skill_names"}`; gives `{"status": "ok", "pending_tasks": [task, ...]}`, which are assigned from then on |
//!
//! `ttl` is in seconds. A result is any JSON. Null counts as absent in every field. A refusal has a status
//! of 400 or above and says why in `error`. What is nested deeper than a mesh message may be
//! ([`MESSAGE_NESTING`]) is refused too: many JSON readers would fail at the whole answer that it is a
//! part of.
//!
//! **Who may do what.** The contract leaves it open. Here callers show the key of the token exchange
//! (`x-api-key`, `x-device-token`) and count as the agent of that key's peer: they submit in their own
//! name, take their own tasks, and neither read nor end tasks between others. A registry that lets in
//! everybody (`--open`) believes whatever name a caller gives, even without a key: agents in the field
//! submit like that.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::http::{Request, Response};
use super::keys::Keys;
use super::limits;
use super::tasks::{
    EndError, Ending, Outcome, Submission, SubmitError, Task, Tasks, agent_name, empty_text,
};
use super::tokens::hex;
use crate::limits::MESSAGE_NESTING;
use crate::protocol::message::nesting;

/// Random bytes of a task's id.
const ID_BYTES: usize = 16;

/// The caller of a request.
enum Caller {
    /// The agent of a listed key.
    Agent(String),
    /// Anybody, with the agent name of the key if there was one.
    Anybody(Option<String>),
}

impl Caller {
    /// Returns whether what belongs to this agent belongs to the caller.
    fn is(&self, agent: &str) -> bool {
        match self {
            Caller::Agent(own) => own == agent_name(agent),
            Caller::Anybody(_) => true,
        }
    }

    /// Returns the name to act under when the caller asks to be `claimed`, or a refusal.
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

#[derive(Deserialize, Default)]
#[serde(default)]
struct NewTask {
    skill: Option<String>,
    target_agent_id: Option<String>,
    source_agent_id: Option<String>,
    payload: Option<Box<RawValue>>,
    ttl: Option<f64>,
}

#[derive(Deserialize)]
struct TaskEnd {
    state: Outcome,
    result: Option<Box<RawValue>>,
    error: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Heartbeat {
    agent_id: Option<String>,
    skill_names: Option<Vec<String>>,
}

#[derive(Serialize)]
struct HandedOver<'a> {
    status: &'static str,
    pending_tasks: Vec<&'a Task>,
}

/// The task queue, reached over HTTP.
#[derive(Default)]
pub(super) struct Hub {
    tasks: Tasks,
}

impl Hub {
    /// Returns the refusal for a caller who may not use the task queue at all.
    pub(super) fn refusal(request: &Request, keys: &Keys) -> Option<Response> {
        caller(request, keys).err()
    }

    /// Answers a request for a path below `/api/hub`.
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
        let skill = task.skill.unwrap_or_default();
        let target_agent_id = task.target_agent_id.unwrap_or_default();
        if target_agent_id.is_empty() && skill.is_empty() {
            let text = "a task needs a target_agent_id, or a skill";
            return Err(Response::error(400, text));
        }
        let source_agent_id = caller.acting_as(task.source_agent_id.unwrap_or_default())?;
        let mut random = [0; ID_BYTES];
        getrandom::fill(&mut random).map_err(|error| {
            log::error!("the system gives no random numbers for a task: {error}");
            Response::error(500, "no random numbers")
        })?;
        let id = hex(&random);
        let submission = Submission {
            skill,
            target_agent_id,
            source_agent_id,
            payload: task.payload.unwrap_or_else(|| RawValue::NULL.to_owned()),
            ttl: ttl(task.ttl)?,
        };
        let source = submission.source_agent_id.clone();
        self.tasks
            .submit(now, id.clone(), submission)
            .map_err(|error| not_taken(&error, &source))?;
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
        let ending = Ending {
            outcome: end.state,
            result: end.result.unwrap_or_else(empty_text),
            error: end.error.unwrap_or_default(),
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
        let agent = caller.acting_as(heartbeat.agent_id.unwrap_or_default())?;
        if agent.is_empty() {
            return Err(Response::error(
                400,
                "say which agent_id this is, or send its key",
            ));
        }
        let skills = heartbeat.skill_names.unwrap_or_default();
        let tasks = self.tasks.assign(now, &agent, &skills);
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

/// Returns whether the caller is the agent that does the task.
fn works_on(caller: &Caller, task: &Task) -> bool {
    caller.is(&task.target_agent_id) || caller.is(&task.assigned_agent_id)
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Response> {
    let json = String::from_utf8_lossy(&request.body);
    if nesting(&json).is_some_and(|nesting| nesting > MESSAGE_NESTING) {
        let text = format!("the body is nested deeper than {MESSAGE_NESTING} objects and arrays");
        return Err(Response::error(400, &text));
    }
    serde_json::from_slice(&request.body).map_err(|error| {
        let text = format!("the body is not the JSON object that is expected here: {error}");
        Response::error(400, &text)
    })
}

fn ttl(seconds: Option<f64>) -> Result<Duration, Response> {
    let seconds = seconds.unwrap_or(limits::TASK_TTL.as_secs_f64());
    let ttl = Duration::try_from_secs_f64(seconds).ok();
    let bounds = Duration::from_millis(1)..=limits::LONGEST_TASK_TTL;
    ttl.filter(|ttl| bounds.contains(ttl)).ok_or_else(|| {
        let longest = limits::LONGEST_TASK_TTL.as_secs();
        let text = format!("ttl is {seconds}; it is in seconds, from 0.001 to {longest}");
        Response::error(400, &text)
    })
}

fn text(value: &impl Serialize) -> String {
    // The maps have string keys and the writer does not fail, so this cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn unknown() -> Response {
    let text = "there is no such task: it is unknown, forgotten, or not yours";
    Response::error(404, text)
}

fn not_taken(error: &SubmitError, source: &str) -> Response {
    let text = match error {
        SubmitError::Full => return full(),
        SubmitError::TooManyUndone => {
            let most = limits::UNDONE_TASKS_PER_SOURCE;
            format!("agent {source:?} has {most} tasks that have not ended; try again when one has")
        }
        SubmitError::ShareUsedUp => {
            let seconds = limits::ENDED_TASK_KEPT.as_secs();
            format!(
                "the tasks of agent {source:?}, ended ones included, take all the room that one \
                 agent gets; ended ones are forgotten after {seconds} s"
            )
        }
    };
    Response::error(429, &text).with("Retry-After", "10")
}

fn full() -> Response {
    Response::error(503, "the task queue is full; try again later").with("Retry-After", "10")
}

#[cfg(test)]
mod tests;
