//! The task queue, without I/O: agents ask things of each other here when their peers can't reach each
//! other directly (contract part 3).
//!
//! A task is `pending` until its agent's heartbeat takes it, then `assigned`, and ends as `completed` or
//! `failed`. It fails if it has not ended when its time to live is over. Ended tasks can be read for
//! [`limits::ENDED_TASK_KEPT`] and are then forgotten. Nothing happens between calls: each call first
//! brings the tasks up to its own time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits;

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
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

/// A new task: what is asked, of whom, and by whom.
pub(super) struct Submission {
    /// The kind of work; may be empty.
    pub(super) skill: String,
    /// The agent that is to do it. If empty, any agent that says it has the skill.
    pub(super) target_agent_id: String,
    /// The agent that asks.
    pub(super) source_agent_id: String,
    /// The payload, carried as it came.
    pub(super) payload: Box<RawValue>,
    /// How long it may take from now; if it has not ended by then, it has failed.
    pub(super) ttl: Duration,
}

/// A task in the form that agents see. The field names are the contract's.
#[derive(Debug, Serialize)]
pub(super) struct Task {
    /// An id that can't be guessed.
    pub(super) id: String,
    pub(super) skill: String,
    pub(super) target_agent_id: String,
    pub(super) source_agent_id: String,
    /// The agent that has taken it; empty while it is pending.
    pub(super) assigned_agent_id: String,
    payload: Box<RawValue>,
    pub(super) state: State,
    /// Any JSON; an empty string until the task has ended.
    result: Box<RawValue>,
    /// Text for a person; empty until the task has ended.
    error: String,
    /// Seconds, as they were asked for.
    ttl: f64,
    /// When it fails, or, once it has ended, when it is forgotten.
    #[serde(skip)]
    deadline: Instant,
}

impl Task {
    /// Returns its approximate memory cost in bytes.
    fn size(&self) -> usize {
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

    fn end(&mut self, now: Instant, ending: Ending) {
        self.state = match ending.outcome {
            Outcome::Completed => State::Completed,
            Outcome::Failed => State::Failed,
        };
        (self.result, self.error) = (ending.result, ending.error);
        self.deadline = now + limits::ENDED_TASK_KEPT;
    }
}

/// The state that an agent ends a task in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// The work was done.
    Completed,
    /// The work was not done.
    Failed,
}

/// The end of a task. Result and error are kept whatever the outcome is.
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    /// The result, any JSON.
    pub(super) result: Box<RawValue>,
    /// The error, text for a person.
    pub(super) error: String,
}

/// The reason why a task is not taken. Some reasons pass after a while.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SubmitError {
    /// There is no room for more.
    Full,
    /// Its source has [`limits::UNDONE_TASKS_PER_SOURCE`] tasks that have not ended.
    TooManyUndone,
    /// Its source's tasks, ended ones included, fill the source's share of the room.
    ShareUsedUp,
}

/// The reason why a task can't be ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EndError {
    /// There was never such a task, or it is forgotten.
    Unknown,
    /// It has ended before, in this state.
    Ended(State),
    /// The result does not fit beside what is held already.
    Full,
}

/// The tasks that have not been forgotten, the oldest first. There are few enough for linear searches.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
}

impl Tasks {
    /// Takes a task; `id` is one that can't be guessed and was never used.
    pub(super) fn submit(
        &mut self,
        now: Instant,
        id: String,
        submission: Submission,
    ) -> Result<(), SubmitError> {
        self.bring_to(now);
        let task = Task {
            id,
            skill: submission.skill,
            target_agent_id: submission.target_agent_id,
            source_agent_id: submission.source_agent_id,
            assigned_agent_id: String::new(),
            payload: submission.payload,
            state: State::Pending,
            result: empty_text(),
            error: String::new(),
            ttl: submission.ttl.as_secs_f64(),
            deadline: now + submission.ttl,
        };
        let source = self.held_for(&task.source_agent_id);
        if source.undone >= limits::UNDONE_TASKS_PER_SOURCE {
            return Err(SubmitError::TooManyUndone);
        }
        if !source.has_room_in_share(1, task.size()) {
            return Err(SubmitError::ShareUsedUp);
        }
        if self.tasks.len() >= limits::TASKS || self.size() + task.size() > limits::TASKS_BYTES {
            return Err(SubmitError::Full);
        }
        self.tasks.push(task);
        Ok(())
    }

    /// Returns the task of that id.
    pub(super) fn get(&mut self, now: Instant, id: &str) -> Option<&Task> {
        self.bring_to(now);
        self.tasks.iter().find(|task| task.id == id)
    }

    /// Ends a task that has not ended.
    pub(super) fn end(&mut self, now: Instant, id: &str, ending: Ending) -> Result<(), EndError> {
        self.bring_to(now);
        let task = self.tasks.iter().find(|task| task.id == id);
        let task = task.ok_or(EndError::Unknown)?;
        if task.state.is_end() {
            return Err(EndError::Ended(task.state));
        }
        let more = ending.result.get().len() + ending.error.len();
        let source = self.held_for(&task.source_agent_id);
        if !source.has_room_in_share(0, more) || self.size() + more > limits::TASKS_BYTES {
            return Err(EndError::Full);
        }
        let task = self.tasks.iter_mut().find(|task| task.id == id);
        task.ok_or(EndError::Unknown)?.end(now, ending);
        Ok(())
    }

    /// Hands an agent the tasks that wait for it, the oldest first, at most
    /// [`limits::TASKS_PER_HEARTBEAT`].
    pub(super) fn assign(&mut self, now: Instant, agent: &str, skills: &[String]) -> Vec<&Task> {
        self.bring_to(now);
        let waits_for_it = |task: &&mut Task| {
            let is_meant = if task.target_agent_id.is_empty() {
                skills.contains(&task.skill)
            } else {
                agent_name(&task.target_agent_id) == agent_name(agent)
            };
            task.state == State::Pending && is_meant
        };
        let waiting = self.tasks.iter_mut().filter(waits_for_it);
        let handed_over = waiting.take(limits::TASKS_PER_HEARTBEAT).map(|task| {
            task.state = State::Assigned;
            task.assigned_agent_id = agent.to_owned();
            &*task
        });
        handed_over.collect()
    }

    /// Brings the tasks to the time `now`: they expire, and are forgotten.
    fn bring_to(&mut self, now: Instant) {
        self.tasks
            .retain(|task| now < task.deadline || !task.state.is_end());
        for task in &mut self.tasks {
            if task.deadline <= now {
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
            }
        }
    }

    fn size(&self) -> usize {
        self.tasks.iter().map(Task::size).sum()
    }

    fn held_for(&self, source: &str) -> Held {
        let mut held = Held::default();
        for task in &self.tasks {
            if agent_name(&task.source_agent_id) == agent_name(source) {
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
pub(super) fn agent_name(name: &str) -> &str {
    match name.trim_end_matches("-sidecar") {
        "" => name,
        agent => agent,
    }
}

/// Returns an empty text as JSON, for a result that says nothing.
pub(super) fn empty_text() -> Box<RawValue> {
    // An empty string is JSON, so this is never null.
    RawValue::from_string(r#""""#.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests;
