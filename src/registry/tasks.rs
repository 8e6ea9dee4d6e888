//! The task queue: what agents ask of each other when their peers can't reach each other directly
//! (contract part 3), without I/O.
//!
//! A task is `pending` until its agent's heartbeat takes it, then `assigned`, and ends as `completed`
//! or `failed`. One that has not ended when its time to live is over has failed. Ended tasks can be
//! read for [`limits::ENDED_TASK_KEPT`], and are then forgotten. Nothing is done between calls: each
//! call first brings the tasks up to its own time.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::RawValue;

use super::limits;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Waits for its agent.
    Pending,
    /// Its agent has it.
    Assigned,
    /// Ended with a result.
    Completed,
    /// Ended without one.
    Failed,
}

impl State {
    /// Whether nothing can happen to the task any more.
    fn is_end(self) -> bool {
        matches!(self, State::Completed | State::Failed)
    }
}

/// What is asked, of whom, by whom.
pub(super) struct Submission {
    /// Names the kind of work; may be empty.
    pub(super) skill: String,
    /// The agent that is to do it. Empty: any agent that says it has the skill.
    pub(super) target_agent_id: String,
    /// The agent that asks.
    pub(super) source_agent_id: String,
    /// Carried as it came.
    pub(super) payload: Box<RawValue>,
    /// From now until the task has failed if it has not ended.
    pub(super) ttl: Duration,
}

/// A task as it is shown to agents. The names are the contract's.
#[derive(Debug, Serialize)]
pub(super) struct Task {
    /// Can't be guessed.
    pub(super) id: String,
    pub(super) skill: String,
    pub(super) target_agent_id: String,
    pub(super) source_agent_id: String,
    /// Who has taken it; empty while it is pending.
    pub(super) assigned_agent_id: String,
    payload: Box<RawValue>,
    pub(super) state: State,
    /// Any JSON; an empty string until the task is completed.
    result: Box<RawValue>,
    /// Text for a person; empty unless the task has failed.
    error: String,
    /// Seconds, as they were asked for.
    ttl: f64,
    /// When it fails, or when it is forgotten once it has ended.
    #[serde(skip)]
    deadline: Instant,
}

impl Task {
    /// What it costs in memory, about, in bytes.
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
        (self.state, self.result, self.error) = match ending {
            Ending::Completed(result) => (State::Completed, result, String::new()),
            Ending::Failed(error) => (State::Failed, empty_text(), error),
        };
        self.deadline = now + limits::ENDED_TASK_KEPT;
    }
}

/// How a task ends.
pub(super) enum Ending {
    /// With this result.
    Completed(Box<RawValue>),
    /// With this error.
    Failed(String),
}

/// There is no room for more; some will be gone after a while.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Why a task can't be ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EndError {
    /// It has never been, or is forgotten.
    Unknown,
    /// It has ended before, in this state.
    Ended(State),
    /// The result is too much beside what is held already.
    Full,
}

/// The tasks that have not been forgotten, the oldest first. There are few enough to look through.
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
    ) -> Result<(), Full> {
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
        if self.tasks.len() >= limits::TASKS || self.size() + task.size() > limits::TASKS_BYTES {
            return Err(Full);
        }
        self.tasks.push(task);
        Ok(())
    }

    /// The task of that id.
    pub(super) fn get(&mut self, now: Instant, id: &str) -> Option<&Task> {
        self.bring_to(now);
        self.tasks.iter().find(|task| task.id == id)
    }

    /// Ends a task that has not ended.
    pub(super) fn end(&mut self, now: Instant, id: &str, ending: Ending) -> Result<(), EndError> {
        self.bring_to(now);
        let held = self.size();
        let task = self.tasks.iter_mut().find(|task| task.id == id);
        let task = task.ok_or(EndError::Unknown)?;
        if task.state.is_end() {
            return Err(EndError::Ended(task.state));
        }
        let more = match &ending {
            Ending::Completed(result) => result.get().len(),
            Ending::Failed(error) => error.len(),
        };
        if held + more > limits::TASKS_BYTES {
            return Err(EndError::Full);
        }
        task.end(now, ending);
        Ok(())
    }

    /// Hands an agent what waits for it, the oldest first, at most [`limits::TASKS_PER_HEARTBEAT`].
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

    /// What is due happens: tasks expire, and are forgotten.
    fn bring_to(&mut self, now: Instant) {
        self.tasks
            .retain(|task| now < task.deadline || !task.state.is_end());
        for task in &mut self.tasks {
            if task.deadline <= now {
                let state = match task.state {
                    State::Pending => "no heartbeat of its agent took it",
                    _ => "its agent did not end it",
                };
                let text = format!("expired: {state} within its ttl of {} s", task.ttl);
                task.end(now, Ending::Failed(text));
            }
        }
    }

    fn size(&self) -> usize {
        self.tasks.iter().map(Task::size).sum()
    }
}

/// The name of an agent, whether that or its peer is named: by convention the peer of agent `x` is
/// `x-sidecar`.
pub(super) fn agent_name(name: &str) -> &str {
    name.strip_suffix("-sidecar").unwrap_or(name)
}

fn empty_text() -> Box<RawValue> {
    // An empty string is JSON, so this is never null.
    RawValue::from_string(r#""""#.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(300);
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn to(target: &str, skill: &str) -> Submission {
        Submission {
            skill: skill.to_owned(),
            target_agent_id: target.to_owned(),
            source_agent_id: "asker".to_owned(),
            payload: raw(r#"{"n": 1.0}"#),
            ttl: TTL,
        }
    }

    fn submit(tasks: &mut Tasks, now: Instant, id: &str, target: &str) {
        tasks.submit(now, id.to_owned(), to(target, "")).unwrap();
    }

    fn completed(text: &str) -> Ending {
        Ending::Completed(raw(text))
    }

    fn ids(tasks: Vec<&Task>) -> Vec<&str> {
        tasks.iter().map(|task| task.id.as_str()).collect()
    }

    #[test]
    fn a_task_goes_to_its_agent_once_and_ends_with_a_result() {
        let (now, mut tasks) = (Instant::now(), Tasks::default());
        submit(&mut tasks, now, "t1", "worker");
        submit(&mut tasks, now, "t2", "worker-sidecar");
        submit(&mut tasks, now, "t3", "other");
        assert_eq!(tasks.get(now, "t1").unwrap().state, State::Pending);
        assert_eq!(ids(tasks.assign(now, "worker", &[])), ["t1", "t2"]);
        assert_eq!(ids(tasks.assign(now, "worker", &[])), [""; 0]);
        assert_eq!(tasks.get(now, "t1").unwrap().state, State::Assigned);

        tasks.end(now, "t1", completed("[1]")).unwrap();
        let shown = serde_json::to_value(tasks.get(now, "t1").unwrap()).unwrap();
        let expected = serde_json::json!({
            "id": "t1", "skill": "", "target_agent_id": "worker", "source_agent_id": "asker",
            "assigned_agent_id": "worker", "payload": {"n": 1.0}, "state": "completed",
            "result": [1], "error": "", "ttl": 300.0,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_task_without_a_target_goes_to_whoever_has_the_skill() {
        let (now, mut tasks) = (Instant::now(), Tasks::default());
        tasks.submit(now, "t".to_owned(), to("", "add")).unwrap();
        let skills = |name: &str| vec![name.to_owned()];
        assert_eq!(ids(tasks.assign(now, "a", &skills("sub"))), [""; 0]);
        assert_eq!(ids(tasks.assign(now, "b", &skills("add"))), ["t"]);
    }

    #[test]
    fn a_targeted_task_is_not_handed_to_another_with_its_skill() {
        let (now, mut tasks) = (Instant::now(), Tasks::default());
        tasks.submit(now, "t".to_owned(), to("a", "add")).unwrap();
        let skills = vec!["add".to_owned()];
        assert_eq!(ids(tasks.assign(now, "b", &skills)), [""; 0]);
    }

    #[test]
    fn what_has_not_ended_in_time_has_failed_and_is_then_forgotten() {
        let (start, mut tasks) = (Instant::now(), Tasks::default());
        submit(&mut tasks, start, "t", "worker");
        let last = start + TTL - MILLISECOND;
        assert_eq!(tasks.get(last, "t").unwrap().state, State::Pending);

        let expired = tasks.get(start + TTL, "t").unwrap();
        assert_eq!(expired.state, State::Failed);
        assert!(
            expired.error.contains("ttl of 300 s"),
            "{:?}",
            expired.error
        );
        let kept = start + TTL + limits::ENDED_TASK_KEPT;
        assert!(tasks.get(kept - MILLISECOND, "t").is_some());
        assert!(tasks.get(kept, "t").is_none());
        assert_eq!(ids(tasks.assign(kept, "worker", &[])), [""; 0]);
    }

    #[test]
    fn an_ended_task_stays_as_it_is() {
        let (now, mut tasks) = (Instant::now(), Tasks::default());
        submit(&mut tasks, now, "t", "worker");
        tasks.end(now, "t", Ending::Failed("no".into())).unwrap();
        let again = tasks.end(now, "t", completed("1"));
        assert_eq!(again, Err(EndError::Ended(State::Failed)));
        assert_eq!(tasks.get(now, "t").unwrap().error, "no");
        let unknown = tasks.end(now, "x", completed("1"));
        assert_eq!(unknown, Err(EndError::Unknown));
    }

    #[test]
    fn no_more_tasks_than_the_limit_until_some_are_forgotten() {
        let (now, mut tasks) = (Instant::now(), Tasks::default());
        for number in 0..limits::TASKS {
            submit(&mut tasks, now, &number.to_string(), "worker");
        }
        let one_more = tasks.submit(now, "x".to_owned(), to("worker", ""));
        assert_eq!(one_more, Err(Full));
        let handed_over = tasks.assign(now, "worker", &[]).len();
        assert_eq!(handed_over, limits::TASKS_PER_HEARTBEAT);

        tasks.end(now, "0", completed("1")).unwrap();
        submit(&mut tasks, now + limits::ENDED_TASK_KEPT, "x", "worker");
    }

    #[test]
    fn no_more_bytes_than_the_limit() {
        let (now, mut tasks) = (Instant::now(), Tasks::default());
        let large = format!("{:?}", "x".repeat(limits::REQUEST_BODY_BYTES));
        let mut count = 0;
        let refused = loop {
            let mut submission = to("worker", "");
            submission.payload = raw(&large);
            match tasks.submit(now, count.to_string(), submission) {
                Ok(()) => count += 1,
                Err(full) => break full,
            }
        };
        assert_eq!(refused, Full);
        assert_eq!(count, limits::TASKS_BYTES / large.len() - 1);
        let result = tasks.end(now, "0", completed(&large));
        assert_eq!(result, Err(EndError::Full));
        tasks.end(now, "0", completed("1")).unwrap();
    }
}
