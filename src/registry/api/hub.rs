//! The task queue's HTTP interface, without I/O.
//!
//! | | |
//! |---|---|
//! | `POST /api/hub/tasks` | `{"skill", "target_agent_id", "source_agent_id", "payload", "ttl"}`, all optional but that a target or a skill is needed; gives `{"task_id"}` |
//! | `GET /api/hub/tasks/{id}` | the task: what was asked, `id`, `assigned_agent_id`, `state`, `result`, `error`, `created_at`, `updated_at` |
//! | `GET /api/hub/tasks/all` | the tasks that the caller may see, the latest first |
//! | `POST /api/hub/tasks/{id}` | `{"state", "result", "error"}`, the state `completed` or `failed`; ends it |
//! | `POST /api/hub/heartbeat` | `{"agent_id", "skill_names", ...}`, which registers an agent that is unknown; gives `{"status": "ok", "pending_tasks": [task, ...]}`, which are assigned from then on |
//!
//! An agent sees the tasks that it asked for and those that it does; a key whose role is `admin` sees all.
//! `ttl` is in seconds. A result is any JSON. Null counts as absent in every field. A refusal has a status
//! of 400 or above and says why in `error`. What is nested deeper than a mesh message may be
//! ([`MESSAGE_NESTING`](crate::limits::MESSAGE_NESTING)) is refused too: many JSON readers would fail at the whole answer that it is a
//! part of.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::agents::not_kept;
use super::call::{self, Call, Caller, done, full, no_random_numbers};
use crate::registry::limits;
use crate::registry::response::Response;
use crate::registry::secrets::{hex, random};
use crate::registry::store::Store;
use crate::registry::store::agents::{Agent, KeepError};
use crate::registry::store::tasks::{
    Actor, EndError, Ending, Outcome, Shown, Submission, SubmitError, Task, empty_text,
};

/// The role of a key that sees the tasks between others.
const ADMIN_ROLE: &str = "admin";

/// Random bytes of a task's id.
const ID_BYTES: usize = 16;

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
    hostname: Option<String>,
    ip: Option<String>,
    port: Option<u16>,
    status: Option<String>,
    mode: Option<String>,
    skill_names: Option<Vec<String>>,
    goals_count: Option<u64>,
    sidecar_peer_id: Option<String>,
}

#[derive(Serialize)]
struct HandedOver<'a> {
    status: &'static str,
    pending_tasks: Vec<Shown<'a>>,
}

/// Answers a request for a path below `/api/hub`.
pub(super) fn answer(
    path: &[&str],
    call: &Call<'_>,
    store: &mut Store,
) -> Result<Response, Response> {
    match (path, call.request.method.as_str()) {
        (["tasks"], "POST") => submit(call, store),
        (["tasks", "all"], "GET") => Ok(list(call, store)),
        (["tasks", id], "GET") => show(id, call, store),
        (["tasks", id], "POST") => end(id, call, store),
        (["heartbeat"], "POST") => heartbeat(call, store),
        (["tasks" | "heartbeat"], _) => Err(Response::only("POST")),
        (["tasks", "all"], _) => Err(Response::only("GET")),
        (["tasks", _], _) => Err(Response::only("GET, POST")),
        _ => Err(Response::nothing_here()),
    }
}

fn submit(call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let task: NewTask = call.body()?;
    let skill = task.skill.unwrap_or_default();
    let target_agent_id = task.target_agent_id.unwrap_or_default();
    if target_agent_id.is_empty() && skill.is_empty() {
        let text = "a task needs a target_agent_id, or a skill";
        return Err(Response::error(400, text));
    }
    let source = call.acting_as(task.source_agent_id.unwrap_or_default(), store)?;
    let id = hex(&random::<ID_BYTES>().ok_or_else(no_random_numbers)?);
    let submission = Submission {
        skill,
        target_agent_id,
        source: source.clone(),
        payload: task.payload.unwrap_or_else(|| RawValue::NULL.to_owned()),
        ttl: ttl(task.ttl)?,
    };
    store
        .submit_task(call.now, id.clone(), submission)
        .map_err(|error| not_taken(&error, &source))?;
    Ok(call::json(&json!({ "task_id": id })))
}

fn list(call: &Call<'_>, store: &mut Store) -> Response {
    // Whose the agents are can't be looked up while the store goes through its tasks.
    let visible: Vec<Task> = store.tasks(call.now, |task| may_belong(call, task));
    let visible = visible.iter().filter(|task| may_read(call, task, store));
    call::json(&visible.map(Task::shown).collect::<Vec<_>>())
}

fn show(id: &str, call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let task = store.task(call.now, id);
    let task = task.filter(|task| may_read(call, task, store));
    Ok(call::json(&task.ok_or_else(unknown)?.shown()))
}

fn end(id: &str, call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let end: TaskEnd = call.body()?;
    let ending = Ending {
        outcome: end.state,
        result: end.result.unwrap_or_else(empty_text),
        error: end.error.unwrap_or_default(),
    };
    let task = store.task(call.now, id);
    task.filter(|task| works_on(call, task, store))
        .ok_or_else(unknown)?;
    match store.end_task(call.now, id, ending) {
        Ok(()) => Ok(done()),
        Err(EndError::Unknown) => Err(unknown()),
        Err(EndError::Full) => Err(full("the task queue is full")),
        Err(EndError::Ended(state)) => {
            let state = call::text(&state);
            let text = format!("the task has ended before: it is {state}");
            Err(Response::error(409, &text))
        }
    }
}

fn heartbeat(call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let heartbeat: Heartbeat = call.body()?;
    let actor = call.acting_as(heartbeat.agent_id.clone().unwrap_or_default(), store)?;
    if actor.agent.is_empty() {
        return Err(Response::error(
            400,
            "say which agent_id this is, or send its key",
        ));
    }
    let skills = heartbeat.skill_names.clone().unwrap_or_default();
    hear(call, heartbeat, &actor, store)?;
    let tasks = store.assign_tasks(call.now, &actor, &skills);
    Ok(call::json(&HandedOver {
        status: "ok",
        pending_tasks: tasks.iter().map(Task::shown).collect(),
    }))
}

/// Notes that an agent is there, with what it tells of itself. One that is unknown is registered.
fn hear(
    call: &Call<'_>,
    heartbeat: Heartbeat,
    actor: &Actor,
    store: &mut Store,
) -> Result<(), Response> {
    let known = store.agent(call.now, &actor.agent);
    let mut agent = known.clone().unwrap_or_else(|| Agent::new(call.now, actor));
    let texts = [
        (&mut agent.hostname, heartbeat.hostname),
        (&mut agent.ip, heartbeat.ip),
        (&mut agent.status, heartbeat.status),
        (&mut agent.mode, heartbeat.mode),
    ];
    for (text, told) in texts {
        *text = told.unwrap_or_else(|| std::mem::take(text));
    }
    agent.port = heartbeat.port.unwrap_or(agent.port);
    let capabilities = &mut agent.capabilities;
    capabilities.goals_count = heartbeat.goals_count.unwrap_or(capabilities.goals_count);
    if let Some(skills) = heartbeat.skill_names {
        capabilities.skills = skills;
    }
    // The peer of a key is known better than the agent can tell.
    if let (None, Some(peer)) = (&actor.peer, heartbeat.sidecar_peer_id) {
        agent.sidecar_peer_id = peer;
    }
    if known.is_some_and(|known| known.tells_the_same_as(&agent)) {
        store.agent_heard(call.now, &actor.agent);
        return Ok(());
    }
    agent.last_heartbeat = call.now;
    match store.keep_agent(call.now, agent) {
        Ok(()) => Ok(()),
        // Its tasks matter more than its place in the list.
        Err(KeepError::Full | KeepError::TooManyOfPeer) => Ok(()),
        Err(error @ KeepError::TooLarge) => Err(not_kept(&error)),
    }
}

/// Returns whether the task may be one of the caller's: that of another peer's agents is not.
fn may_belong(call: &Call<'_>, task: &Task) -> bool {
    match &call.caller {
        Caller::Owner | Caller::Anybody(_) => true,
        Caller::Member(member) => {
            sees_all(call) || {
                let peer = Some(&member.peer_id);
                task.source_peer.as_ref() == peer
                    || task.assigned_peer.as_ref() == peer
                    || task.assigned_peer.is_none()
            }
        }
        Caller::Stranger => false,
    }
}

/// Returns whether the caller sees the tasks between others.
fn sees_all(call: &Call<'_>) -> bool {
    match &call.caller {
        Caller::Owner | Caller::Anybody(_) => true,
        Caller::Member(member) => member.role == ADMIN_ROLE && !member.is_device,
        Caller::Stranger => false,
    }
}

fn may_read(call: &Call<'_>, task: &Task, store: &Store) -> bool {
    let has_asked = match &call.caller {
        Caller::Member(member) => task.source_peer.as_ref() == Some(&member.peer_id),
        Caller::Owner | Caller::Anybody(_) | Caller::Stranger => false,
    };
    has_asked || sees_all(call) || works_on(call, task, store)
}

/// Returns whether the caller is the agent that does the task.
fn works_on(call: &Call<'_>, task: &Task, store: &Store) -> bool {
    match &call.caller {
        Caller::Owner | Caller::Anybody(_) => true,
        Caller::Member(member) => {
            task.assigned_peer.as_ref() == Some(&member.peer_id)
                || store.peer_of_agent(&task.target_agent_id).as_ref() == Some(&member.peer_id)
        }
        Caller::Stranger => false,
    }
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

fn unknown() -> Response {
    let text = "there is no such task: it is unknown, forgotten, or not yours";
    Response::error(404, text)
}

fn not_taken(error: &SubmitError, source: &Actor) -> Response {
    let source = &source.agent;
    let text = match error {
        SubmitError::Full => return full("the task queue is full"),
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

#[cfg(test)]
mod tests;
