use super::*;

const TTL: Duration = Duration::from_secs(300);
const MILLISECOND: Duration = Duration::from_millis(1);

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn actor(agent: &str) -> Actor {
    Actor {
        agent: agent.to_owned(),
        peer: None,
    }
}

fn to(target: &str, skill: &str) -> Submission {
    Submission {
        skill: skill.to_owned(),
        target_agent_id: target.to_owned(),
        source: actor("asker"),
        payload: raw(r#"{"n": 1.0}"#),
        ttl: TTL,
    }
}

fn submit(tasks: &mut Tasks, now: UnixTime, id: &str, target: &str) {
    tasks.submit(now, id.to_owned(), to(target, "")).unwrap();
}

fn completed(text: &str) -> Ending {
    Ending {
        outcome: Outcome::Completed,
        result: raw(text),
        error: String::new(),
    }
}

fn failed(text: &str) -> Ending {
    Ending {
        outcome: Outcome::Failed,
        result: empty_text(),
        error: text.to_owned(),
    }
}

fn ids(tasks: Vec<&Task>) -> Vec<&str> {
    tasks.iter().map(|task| task.id.as_str()).collect()
}

#[test]
fn a_task_goes_to_its_agent_once_and_ends_with_a_result() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    submit(&mut tasks, now, "t1", "worker");
    submit(&mut tasks, now, "t2", "worker-sidecar");
    submit(&mut tasks, now, "t3", "other");
    assert_eq!(tasks.get(now, "t1").unwrap().state, State::Pending);
    assert_eq!(ids(tasks.assign(now, &actor("worker"), &[])), ["t1", "t2"]);
    assert_eq!(ids(tasks.assign(now, &actor("worker"), &[])), [""; 0]);
    assert_eq!(tasks.get(now, "t1").unwrap().state, State::Assigned);

    tasks.end(now, "t1", completed("[1]")).unwrap();
    let shown = serde_json::to_value(tasks.get(now, "t1").unwrap().shown()).unwrap();
    let expected = serde_json::json!({
        "id": "t1", "skill": "", "target_agent_id": "worker", "source_agent_id": "asker",
        "assigned_agent_id": "worker", "payload": {"n": 1.0}, "state": "completed",
        "result": [1], "error": "",
        "created_at": now.seconds(), "updated_at": now.seconds(), "ttl": 300.0,
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_task_without_a_target_goes_to_whoever_has_the_skill() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    tasks.submit(now, "t".to_owned(), to("", "add")).unwrap();
    let skills = |name: &str| vec![name.to_owned()];
    assert_eq!(ids(tasks.assign(now, &actor("a"), &skills("sub"))), [""; 0]);
    assert_eq!(ids(tasks.assign(now, &actor("b"), &skills("add"))), ["t"]);
}

#[test]
fn a_targeted_task_is_not_handed_to_another_with_its_skill() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    tasks.submit(now, "t".to_owned(), to("a", "add")).unwrap();
    let skills = vec!["add".to_owned()];
    assert_eq!(ids(tasks.assign(now, &actor("b"), &skills)), [""; 0]);
}

#[test]
fn what_has_not_ended_in_time_has_failed_and_is_then_forgotten() {
    let (start, mut tasks) = (UnixTime::now(), Tasks::default());
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
    assert_eq!(ids(tasks.assign(kept, &actor("worker"), &[])), [""; 0]);
}

#[test]
fn an_ended_task_stays_as_it_is() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    submit(&mut tasks, now, "t", "worker");
    tasks.end(now, "t", failed("no")).unwrap();
    let again = tasks.end(now, "t", completed("1"));
    assert_eq!(again, Err(EndError::Ended(State::Failed)));
    assert_eq!(tasks.get(now, "t").unwrap().error, "no");
    let unknown = tasks.end(now, "x", completed("1"));
    assert_eq!(unknown, Err(EndError::Unknown));
}

fn from(source: &str) -> Submission {
    Submission {
        source: actor(source),
        ..to("worker", "")
    }
}

#[test]
fn no_more_tasks_than_the_limit_until_some_are_forgotten() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    for number in 0..limits::TASKS {
        let source = format!("asker{}", number / limits::UNDONE_TASKS_PER_SOURCE);
        tasks
            .submit(now, number.to_string(), from(&source))
            .unwrap();
    }
    let one_more = tasks.submit(now, "x".to_owned(), from("late"));
    assert_eq!(one_more, Err(SubmitError::Full));
    let handed_over = tasks.assign(now, &actor("worker"), &[]).len();
    assert_eq!(handed_over, limits::TASKS_PER_HEARTBEAT);

    tasks.end(now, "0", completed("1")).unwrap();
    submit(&mut tasks, now + limits::ENDED_TASK_KEPT, "x", "worker");
}

#[test]
fn one_agent_leaves_room_for_the_others() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    for number in 0..limits::UNDONE_TASKS_PER_SOURCE {
        let id = number.to_string();
        tasks.submit(now, id, from("greedy")).unwrap();
    }
    for name in ["greedy", "greedy-sidecar"] {
        let one_more = tasks.submit(now, "x".to_owned(), from(name));
        assert_eq!(one_more, Err(SubmitError::TooManyUndone));
    }
    tasks.submit(now, "y".to_owned(), from("modest")).unwrap();
    tasks.end(now, "0", completed("1")).unwrap();
    tasks.submit(now, "z".to_owned(), from("greedy")).unwrap();
}

#[test]
fn ended_tasks_of_one_agent_take_no_more_than_its_share() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    let mut count = 0;
    let refused = loop {
        let id = count.to_string();
        match tasks.submit(now, id.clone(), from("greedy")) {
            Ok(()) => tasks.end(now, &id, completed("1")).unwrap(),
            Err(refused) => break refused,
        }
        count += 1;
    };
    assert_eq!(refused, SubmitError::ShareUsedUp);
    assert_eq!(count, limits::TASKS / limits::TASK_SHARES);
    tasks.submit(now, "x".to_owned(), from("modest")).unwrap();
    let later = now + limits::ENDED_TASK_KEPT;
    tasks.submit(later, "y".to_owned(), from("greedy")).unwrap();
}

#[test]
fn no_more_bytes_than_the_limits() {
    let (now, mut tasks) = (UnixTime::now(), Tasks::default());
    let large = format!("{:?}", "x".repeat(limits::REQUEST_BODY_BYTES));
    let cost = large.len() + limits::TASK_COST_BYTES;
    let mut submit_large = |id: String, source: String| {
        let payload = raw(&large);
        let source = from(&source);
        tasks.submit(now, id, Submission { payload, ..source })
    };
    let mut of_one = 0;
    while submit_large(of_one.to_string(), "greedy".to_owned()).is_ok() {
        of_one += 1;
    }
    let share = limits::TASKS_BYTES / limits::TASK_SHARES;
    assert_eq!(of_one, share / cost);
    let again = submit_large("x".to_owned(), "greedy".to_owned());
    assert_eq!(again, Err(SubmitError::ShareUsedUp));

    let mut of_others = 0;
    let refused = loop {
        let id = format!("other{of_others}");
        match submit_large(id.clone(), id) {
            Ok(()) => of_others += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, SubmitError::Full);
    assert_eq!(of_one + of_others, limits::TASKS_BYTES / cost);

    for id in ["0", "other0"] {
        let result = tasks.end(now, id, completed(&large));
        assert_eq!(result, Err(EndError::Full));
        assert_eq!(tasks.end(now, id, failed(&large)), Err(EndError::Full));
        tasks.end(now, id, completed("1")).unwrap();
    }
}

#[test]
fn an_agent_and_its_peer_have_one_name() {
    for (name, agent) in [
        ("x", "x"),
        ("x-sidecar", "x"),
        ("x-sidecar-sidecar", "x"),
        ("sidecar", "sidecar"),
        ("-sidecar", "-sidecar"),
        ("", ""),
    ] {
        assert_eq!(agent_name(name), agent);
        assert_eq!(agent_name(agent), agent);
    }
}
