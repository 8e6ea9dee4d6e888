//! The task queue, without I/O: agents ask things of each other here when their peers can't reach each
//! other directly (contract part 3).
//!
//! A task is `pending` until its agent's heartbeat takes it, then `assigned`, and ends as `completed` or
//! `failed`. It fails if it has not ended when its time to live is over. Ended tasks can be read for
//! [`limits::ENDED_TASK_KEPT`] and are then forgotten. Nothing happens between calls: each call first
//! brings the tasks up to its own time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::table::{Row, Table, Texts};
use crate::protocol::PeerId;
use crate::registry::limits;
use crate::registry::unix_time::UnixTime;

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::registry) enum State {
    /// It waits for its agent.
    Pending,
    /// Its agent has it.
    Assigned,
    /// It ended with a result.
    Completed,
    /// It ended without one.
    Failed,
}

impl State {
    /// Returns whether nothing can happen to the task any more.
    fn is_end(self) -> bool {
        matches!(self, State::Completed | State::Failed)
    }
}

/// An agent that acts: its name, and the peer whose key it has shown, if the registry asks for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Actor {
    pub(in crate::registry) agent: String,
    pub(in crate::registry) peer: Option<PeerId>,
}

impl Actor {
    /// Returns whether both are the same.
    fn is(&self, peer: Option<&PeerId>, agent: &str) -> bool {
        match (&self.peer, peer) {
            (Some(own), Some(peer)) => own == peer,
            (None, None) => agent_name(&self.agent) == agent_name(agent),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// A new task: what is asked, of whom, and by whom.
pub(in crate::registry) struct Submission {
    /// The kind of work; may be empty.
    pub(in crate::registry) skill: String,
    /// The agent that is to do it. If empty, any agent that says it has the skill.
    pub(in crate::registry) target_agent_id: String,
    /// The agent that asks.
    pub(in crate::registry) source: Actor,
    /// The payload, carried as it came.
    pub(in crate::registry) payload: Box<RawValue>,
    /// How long it may take from now; if it has not ended by then, it has failed.
    pub(in crate::registry) ttl: Duration,
}

/// A task in the form that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::registry) struct Task {
    /// An id that can't be guessed.
    pub(in crate::registry) id: String,
    skill: String,
    pub(in crate::registry) target_agent_id: String,
    source_agent_id: String,
    /// The peer whose key has asked, if keys are asked for.
    pub(in crate::registry) source_peer: Option<PeerId>,
    /// The agent that has taken it; empty while it is pending.
    assigned_agent_id: String,
    /// The peer whose key has taken it.
    pub(in crate::registry) assigned_peer: Option<PeerId>,
    payload: Box<RawValue>,
    pub(in crate::registry) state: State,
    /// Any JSON; an empty string until the task has ended.
    result: Box<RawValue>,
    /// Text for a person; empty until the task has ended.
    error: String,
    created_at: UnixTime,
    updated_at: UnixTime,
    /// Seconds, as they were asked for.
    ttl: f64,
    /// When it fails, or, once it has ended, when it is forgotten.
    deadline: UnixTime,
}

/// A task in the form that agents see. The field names are the contract's.
#[derive(Debug, Serialize)]
pub(in crate::registry) struct Shown<'a> {
    id: &'a str,
    skill: &'a str,
    target_agent_id: &'a str,
    source_agent_id: &'a str,
    assigned_agent_id: &'a str,
    payload: &'a RawValue,
    state: State,
    result: &'a RawValue,
    error: &'a str,
    created_at: u64,
    updated_at: u64,
    ttl: f64,
}

impl Task {
    /// Returns it in the form that agents see.
    pub(in crate::registry) fn shown(&self) -> Shown<'_> {
        Shown {
            id: &self.id,
            skill: &self.skill,
            target_agent_id: &self.target_agent_id,
            source_agent_id: &self.source_agent_id,
            assigned_agent_id: &self.assigned_agent_id,
            payload: &self.payload,
            state: self.state,
            result: &self.result,
            error: &self.error,
            created_at: self.created_at.seconds(),
            updated_at: self.updated_at.seconds(),
            ttl: self.ttl,
        }
    }

    /// Returns its approximate memory cost in bytes.
    pub(in crate::registry) fn size(&self) -> usize {
        let texts = [
            &self.skill,
            &self.target_agent_id,
            &self.source_agent_id,
            &self.assigned_agent_id,
            &self.error,
        ];
        let names: usize = texts.iter().map(|text| text.len()).sum();
        limits::TASK_COST_BYTES + names + self.payload.get().len() + self.result.get().len()
    }

    fn end(&mut self, now: UnixTime, ending: Ending) {
        self.state = match ending.outcome {
            Outcome::Completed => State::Completed,
            Outcome::Failed => State::Failed,
        };
        (self.result, self.error) = (ending.result, ending.error);
        self.updated_at = now;
        self.deadline = now + limits::ENDED_TASK_KEPT;
    }
}

/// The state that an agent ends a task in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::registry) enum Outcome {
    /// The work was done.
    Completed,
    /// The work was not done.
    Failed,
}

/// The end of a task. Result and error are kept whatever the outcome is.
pub(in crate::registry) struct Ending {
    pub(in crate::registry) outcome: Outcome,
    /// The result, any JSON.
    pub(in crate::registry) result: Box<RawValue>,
    /// The error, text for a person.
    pub(in crate::registry) error: String,
}

/// The reason why a task is not taken. Some reasons pass after a while.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum SubmitError {
    /// There is no room for more.
    Full,
    /// Its source has [`limits::UNDONE_TASKS_PER_SOURCE`] tasks that have not ended.
    TooManyUndone,
    /// Its source's tasks, ended ones included, fill the source's share of the room.
    ShareUsedUp,
}

/// The reason why a task can't be ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum EndError {
    /// There was never such a task, or it is forgotten.
    Unknown,
    /// It has ended before, in this state.
    Ended(State),
    /// The result does not fit beside what is held already.
    Full,
}

/// The tasks that have not been forgotten, the oldest first.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::registry) struct Tasks {
    tasks: Table<Task>,
}

impl Row for Task {
    fn key(&self) -> &str {
        &self.id
    }

    fn time(&self) -> UnixTime {
        self.created_at
    }
}

impl Tasks {
    /// Takes a task; `id` is one that can't be guessed and was never used.
    pub(in crate::registry) fn submit(
        &mut self,
        now: UnixTime,
        id: String,
        submission: Submission,
    ) -> Result<(), SubmitError> {
        self.bring_to(now);
        let task = Task {
            id,
            skill: submission.skill,
            target_agent_id: submission.target_agent_id,
            source_agent_id: submission.source.agent,
            source_peer: submission.source.peer,
            assigned_agent_id: String::new(),
            assigned_peer: None,
            payload: submission.payload,
            state: State::Pending,
            result: empty_text(),
            error: String::new(),
            created_at: now,
            updated_at: now,
            ttl: submission.ttl.as_secs_f64(),
            deadline: now + submission.ttl,
        };
        let source = self.held_with(&task);
        if source.undone >= limits::UNDONE_TASKS_PER_SOURCE {
            return Err(SubmitError::TooManyUndone);
        }
        if !source.has_room_in_share(1, task.size()) {
            return Err(SubmitError::ShareUsedUp);
        }
        if self.tasks.len() >= limits::TASKS || self.size() + task.size() > limits::TASKS_BYTES {
            return Err(SubmitError::Full);
        }
        self.tasks.put(task);
        Ok(())
    }

    /// Returns the task of that id.
    pub(in crate::registry) fn get(&mut self, now: UnixTime, id: &str) -> Option<&Task> {
        self.bring_to(now);
        self.tasks.get(id)
    }

    /// Ends a task that has not ended.
    pub(in crate::registry) fn end(
        &mut self,
        now: UnixTime,
        id: &str,
        ending: Ending,
    ) -> Result<(), EndError> {
        self.bring_to(now);
        let task = self.tasks.get(id).ok_or(EndError::Unknown)?;
        if task.state.is_end() {
            return Err(EndError::Ended(task.state));
        }
        let more = ending.result.get().len() + ending.error.len();
        let source = self.held_with(task);
        if !source.has_room_in_share(0, more) || self.size() + more > limits::TASKS_BYTES {
            return Err(EndError::Full);
        }
        self.tasks.update(id, |task| task.end(now, ending));
        Ok(())
    }

    /// Hands an agent the tasks that wait for it, the oldest first, at most
    /// [`limits::TASKS_PER_HEARTBEAT`].
    pub(in crate::registry) fn assign(
        &mut self,
        now: UnixTime,
        actor: &Actor,
        skills: &[String],
    ) -> Vec<&Task> {
        self.bring_to(now);
        let waits_for_it = |task: &&Task| {
            let is_meant = if task.target_agent_id.is_empty() {
                skills.contains(&task.skill)
            } else {
                agent_name(&task.target_agent_id) == agent_name(&actor.agent)
            };
            task.state == State::Pending && is_meant
        };
        let waiting = self.tasks.iter().filter(waits_for_it);
        let waiting = waiting.take(limits::TASKS_PER_HEARTBEAT);
        let handed_over: Vec<String> = waiting.map(|task| task.id.clone()).collect();
        for id in &handed_over {
            self.tasks.update(id, |task| {
                task.state = State::Assigned;
                task.assigned_agent_id.clone_from(&actor.agent);
                task.assigned_peer.clone_from(&actor.peer);
                task.updated_at = now;
            });
        }
        let tasks = handed_over.iter();
        tasks.filter_map(|id| self.tasks.get(id)).collect()
    }

    /// Returns all tasks, the latest first.
    pub(in crate::registry) fn all(&mut self, now: UnixTime) -> impl Iterator<Item = &Task> {
        self.bring_to(now);
        self.tasks.iter().rev()
    }

    /// Brings the tasks to the time `now`: they expire, and are forgotten.
    fn bring_to(&mut self, now: UnixTime) {
        self.tasks
            .remove_all(|task| task.deadline <= now && task.state.is_end());
        self.tasks.update_all(
            |task| task.deadline <= now,
            |task| {
                let state = match task.state {
                    State::Pending => "no heartbeat of its agent took it",
                    _ => "its agent did not end it",
                };
                let ending = Ending {
                    outcome: Outcome::Failed,
                    result: empty_text(),
                    error: format!("expired: {state} within its ttl of {} s", task.ttl),
                };
                task.end(now, ending);
            },
        );
    }

    /// Returns them as they are kept elsewhere.
    pub(super) fn table(&mut self) -> &mut dyn Texts {
        &mut self.tasks
    }

    fn size(&self) -> usize {
        self.tasks.iter().map(Task::size).sum()
    }

    /// Returns the tasks that were asked for by the same as this one.
    fn held_with(&self, task: &Task) -> Held {
        let source = Actor {
            agent: task.source_agent_id.clone(),
            peer: task.source_peer.clone(),
        };
        let mut held = Held::default();
        for task in self.tasks.iter() {
            if source.is(task.source_peer.as_ref(), &task.source_agent_id) {
                held.tasks += 1;
                held.undone += usize::from(!task.state.is_end());
                held.bytes += task.size();
            }
        }
        held
    }
}

/// The tasks that one agent has asked for.
#[derive(Default)]
struct Held {
    tasks: usize,
    /// Tasks that have not ended.
    undone: usize,
    bytes: usize,
}

impl Held {
    fn has_room_in_share(&self, tasks: usize, bytes: usize) -> bool {
        self.tasks + tasks <= limits::TASKS / limits::TASK_SHARES
            && self.bytes + bytes <= limits::TASKS_BYTES / limits::TASK_SHARES
    }
}

/// Returns the name of an agent, given its name or that of its peer: by convention the peer of agent `x`
/// is `x-sidecar`. An agent's name is returned as it is.
pub(in crate::registry) fn agent_name(name: &str) -> &str {
    match name.trim_end_matches("-sidecar") {
        "" => name,
        agent => agent,
    }
}

/// Returns an empty text as JSON, for a result that says nothing.
pub(in crate::registry) fn empty_text() -> Box<RawValue> {
    // An empty string is JSON, so this is never null.
    RawValue::from_string(r#""""#.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests;
