//! Tests of the session with one peer, step by step.

use super::*;

fn outgoing(text: &str) -> Outgoing {
    let json = format!(r#"{{"type":"{text}"}}"#);
    Outgoing {
        accepted: Instant::now(),
        message: Message::from_agent(&json).unwrap(),
        origin: Origin::Broadcast(0),
    }
}

/// A session with messages `1` to `count`, met by the peer session `p`.
fn session(count: usize) -> Session {
    let mut session = Session::new("own".into());
    assert!(matches!(greet(&mut session, "p", 0), Greeting::New { .. }));
    for number in 1..=count {
        session.push(outgoing(&number.to_string()));
    }
    session
}

/// The process of a session, with the certificate that all have here.
fn process(session: &str) -> Process {
    with_certificate(session, Some("certificate"))
}

fn with_certificate(session: &str, certificate: Option<&str>) -> Process {
    Process {
        session: session.to_owned(),
        certificate: certificate.map(str::to_owned),
    }
}

/// The peer says hello to a session that answers with its own hello.
fn greet(session: &mut Session, theirs: &str, received: u64) -> Greeting {
    session.greet(
        &process(theirs),
        received,
        None,
        &mut SessionNames::new("next".into()),
    )
}

/// The peer says hello to a session that has told `told` in its own hello.
fn answer(session: &mut Session, told: &str, theirs: &str, received: u64) -> Greeting {
    let mut names = SessionNames::new("next".into());
    session.greet(&process(theirs), received, Some(told), &mut names)
}

fn impossible(greeting: Greeting) -> Contradiction {
    match greeting {
        Greeting::Impossible(contradiction) => contradiction,
        other => panic!("{other:?}"),
    }
}

fn acknowledge(session: &mut Session, taken: u64, window: u64) -> Vec<String> {
    kinds(&session.acknowledge(taken, window).unwrap())
}

/// Writes all that the window allows; gives the types of the messages.
fn write_all(session: &mut Session) -> Vec<String> {
    let mut written = Vec::new();
    while let Some(next) = session.next_to_write(usize::MAX) {
        written.push(kind(next));
        session.written();
    }
    written
}

fn kind(message: &Message) -> String {
    message.as_str().split('"').nth(3).unwrap().to_owned()
}

fn kinds(messages: &[Outgoing]) -> Vec<String> {
    messages.iter().map(|out| kind(&out.message)).collect()
}

fn resumed(greeting: Greeting) -> Vec<String> {
    match greeting {
        Greeting::Resumed { settled } => kinds(&settled),
        other => panic!("{other:?}"),
    }
}

fn lost(greeting: Greeting) -> Vec<String> {
    match greeting {
        Greeting::New { lost } => kinds(&lost),
        other => panic!("{other:?}"),
    }
}

#[test]
fn acknowledgements_settle_in_order_and_empty_the_queue() {
    let mut session = session(3);
    let one = session.queued().bytes() / 3;
    assert_eq!(write_all(&mut session), ["1", "2", "3"]);
    assert_eq!(acknowledge(&mut session, 2, 1000), ["1", "2"]);
    assert_eq!(session.queued().bytes(), one);
    assert!(acknowledge(&mut session, 2, 1000).is_empty());
    assert_eq!(acknowledge(&mut session, 3, 1000), ["3"]);
    assert!(session.is_idle());
    assert_eq!(session.queued().bytes(), 0);
}

#[test]
fn an_acknowledgement_that_contradicts_the_session_settles_nothing() {
    let mut session = session(3);
    session.written();
    session.written();
    let too_many = session.acknowledge(3, 0).unwrap_err();
    assert_eq!(too_many, Contradiction::TooMany);
    assert_eq!(acknowledge(&mut session, 1, 1000), ["1"]);
    let too_few = session.acknowledge(0, 0).unwrap_err();
    assert_eq!(too_few, Contradiction::TooFew);
    assert!(
        session.next_to_write(usize::MAX).is_some(),
        "the old window was ignored"
    );
}

#[test]
fn the_window_counts_what_is_under_way_beyond_the_last_acknowledgement() {
    let mut session = session(5);
    let one = session.queued().bytes() as u64 / 5;
    acknowledge(&mut session, 0, 2 * one);
    assert_eq!(write_all(&mut session), ["1", "2"]);
    acknowledge(&mut session, 1, 2 * one);
    assert_eq!(write_all(&mut session), ["3"]);
    acknowledge(&mut session, 3, one);
    assert_eq!(write_all(&mut session), ["4"]);
}

#[test]
fn a_message_larger_than_the_window_goes_alone() {
    let mut session = session(2);
    acknowledge(&mut session, 0, 1);
    assert_eq!(write_all(&mut session), ["1"]);
    acknowledge(&mut session, 1, 1);
    assert_eq!(write_all(&mut session), ["2"]);
    session.push(outgoing("3"));
    acknowledge(&mut session, 2, 0);
    assert!(
        write_all(&mut session).is_empty(),
        "nothing passes no window"
    );
}

#[test]
fn a_new_connection_of_the_same_sessions_repeats_what_has_not_arrived() {
    let mut session = session(4);
    session.written();
    session.written();
    session.written();
    acknowledge(&mut session, 1, 1000);
    assert_eq!(resumed(greet(&mut session, "p", 2)), ["2"]);
    assert_eq!(write_all(&mut session), ["3", "4"]);
}

#[test]
fn what_is_acknowledged_before_it_was_repeated_is_repeated_all_the_same() {
    let mut session = session(3);
    write_all(&mut session);
    // The hello said 0, and its sender counts what comes on this connection from there.
    assert!(resumed(greet(&mut session, "p", 0)).is_empty());
    assert!(acknowledge(&mut session, 2, 1000).is_empty());
    assert_eq!(write_all(&mut session), ["1", "2", "3"]);
    assert_eq!(kinds(&session.settle_taken()), ["1", "2"]);
    assert_eq!(acknowledge(&mut session, 3, 1000), ["3"]);
}

#[test]
fn a_new_session_of_the_peer_loses_what_was_written_and_keeps_the_rest() {
    let mut session = session(3);
    session.written();
    session.written();
    acknowledge(&mut session, 1, 1000);
    assert_eq!(lost(greet(&mut session, "q", 0)), ["2"]);
    assert_eq!(session.theirs(), Some(&process("q")));
    assert_eq!(write_all(&mut session), ["3"]);
    assert_eq!(
        acknowledge(&mut session, 1, 1000),
        ["3"],
        "numbers start over"
    );
}

#[test]
fn what_was_written_stays_numbered_when_its_connection_is_gone() {
    let mut session = session(2);
    session.written();
    session.suspend();
    assert!(!session.next_is_unnumbered());
    assert_eq!(kinds(&session.take_unwritten()), ["2"]);
    assert_eq!(lost(greet(&mut session, "q", 0)), ["1"]);
}

#[test]
fn a_hello_that_contradicts_the_session_is_impossible() {
    let mut ahead = session(2);
    ahead.written();
    assert_eq!(
        impossible(greet(&mut ahead, "p", 2)),
        Contradiction::TooMany
    );
    let mut behind = session(2);
    write_all(&mut behind);
    acknowledge(&mut behind, 2, 1000);
    assert_eq!(
        impossible(greet(&mut behind, "p", 1)),
        Contradiction::TooFew
    );
}

#[test]
fn each_process_under_one_name_is_told_an_id_of_its_own() {
    let mut names = SessionNames::new("process".into());
    let mut session = Session::new(names.current());
    let mut told = Vec::new();
    // We answer, so the id is chosen once its hello is there. Each comes back, and counts on where it was.
    for (theirs, received) in [("p", 0), ("q", 0), ("p", 3), ("q", 2), ("r", 0)] {
        let greeting = session.greet(&process(theirs), received, None, &mut names);
        assert!(matches!(greeting, Greeting::New { .. }), "{greeting:?}");
        told.push(session.tell(Some(&process(theirs)), &mut names));
        assert_eq!(told.last().map(String::as_str), Some(session.own()));
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 5, "{told:?}");
}

#[test]
fn what_was_written_to_a_process_is_lost_with_the_one_in_its_place() {
    let mut session = session(2);
    write_all(&mut session);
    acknowledge(&mut session, 1, 1000);
    assert_eq!(lost(greet(&mut session, "q", 0)), ["2"]);
    assert_eq!(session.theirs(), Some(&process("q")));
}

#[test]
fn a_process_that_was_told_its_id_is_told_the_same_again_until_it_is_known() {
    let mut names = SessionNames::new("process".into());
    let mut session = session(1);
    write_all(&mut session);
    let (p, q) = (process("p"), process("q"));
    let told = session.tell(Some(&q), &mut names);
    assert_ne!(told, session.own());
    assert_eq!(session.tell(Some(&q), &mut names), told);
    assert_eq!(session.announced_to(None), told);
    assert_eq!(session.announced_to(Some(&q)), told);
    assert_eq!(
        session.announced_to(Some(&p)),
        "own",
        "which is known by it"
    );
    let greeting = session.greet(&q, 0, Some(&told), &mut names);
    assert_eq!(lost(greeting), ["1"]);
    assert_eq!(session.own(), told);
}

#[test]
fn the_session_goes_on_with_no_other_certificate() {
    let mut session = session(2);
    write_all(&mut session);
    assert!(session.accept(1) && session.take(session.epoch()));
    let mut names = SessionNames::new("process".into());
    for certificate in [Some("another"), None] {
        let other = with_certificate("p", certificate);
        assert!(session.is_replaced_by(Some(&other)));
        assert_eq!(session.received_of(Some(&other)), 0);
        assert_ne!(session.tell(Some(&other), &mut names), "own");
    }
    // One that does not announce the session is another only if it bears another certificate.
    let silent = session.process_of(None, Some("another"));
    assert!(session.is_replaced_by(silent.as_ref()));
    assert_eq!(session.received_of(silent.as_ref()), 0);
    for certificate in [Some("certificate"), None] {
        assert_eq!(session.process_of(None, certificate), None);
    }
    let other = with_certificate("p", Some("another"));
    let greeting = session.greet(&other, 0, None, &mut names);
    assert_eq!(lost(greeting), ["1", "2"]);
    // Not even with itself, if it can't be recognised.
    let none = with_certificate("p", None);
    session.greet(&none, 0, None, &mut names);
    assert!(session.is_replaced_by(Some(&none)));
}

#[test]
fn a_hello_to_one_that_was_told_another_id_starts_over_unless_it_claims_to_have_counted() {
    // The one that is known, told what is meant for another.
    let mut known = session(1);
    write_all(&mut known);
    let claims = impossible(answer(&mut known, "other", "p", 1));
    assert_eq!(claims, Contradiction::TooMany);
    assert_eq!(known.own(), "own", "what cannot be true changes nothing");
    assert_eq!(lost(answer(&mut known, "other", "p", 0)), ["1"]);
    assert_eq!(known.own(), "other");
    // Another, told what is meant for the one that is known: that one has ended its session meanwhile.
    let mut unannounced = session(1);
    write_all(&mut unannounced);
    assert_eq!(lost(answer(&mut unannounced, "own", "q", 0)), ["1"]);
    // The first that is met.
    let mut first = Session::new("own".into());
    let claims = impossible(answer(&mut first, "own", "p", 1));
    assert_eq!(claims, Contradiction::TooMany);
    assert!(lost(answer(&mut first, "own", "p", 0)).is_empty());
    assert!(first.is_told());
}

#[test]
fn a_hello_that_cannot_be_true_leaves_what_is_under_way_alone() {
    let mut session = session(3);
    session.written();
    session.written();
    impossible(greet(&mut session, "p", 3));
    assert_eq!(write_all(&mut session), ["3"]);
    assert_eq!(acknowledge(&mut session, 3, 1000), ["1", "2", "3"]);
}

#[test]
fn a_restart_of_our_side_takes_a_new_id_and_gives_what_was_written() {
    let mut session = session(3);
    session.written();
    session.accept(1);
    let epoch = session.epoch();
    assert_eq!(kinds(&session.restart(Some("new".into()))), ["1"]);
    assert_eq!((session.own(), session.theirs()), ("new", None));
    assert_ne!(session.epoch(), epoch);
    assert!(!session.take(epoch), "an old message counts no more");
    assert_eq!(session.received_of(Some(&process("p"))), 0);
    assert_eq!(write_all(&mut session), ["2", "3"]);
}

#[test]
fn each_number_is_accepted_once() {
    let mut session = session(0);
    assert!(session.accept(1) && session.accept(2));
    assert!(!session.accept(1) && !session.accept(2));
    assert!(session.accept(3));
}

#[test]
fn what_the_agent_has_taken_is_what_a_hello_tells() {
    let mut session = session(0);
    assert!(session.accept(1) && session.accept(2));
    assert_eq!(session.received_of(Some(&process("p"))), 0);
    assert!(session.take(session.epoch()));
    assert_eq!(session.received_of(Some(&process("p"))), 1);
    assert_eq!(session.received_of(None), 1);
    assert_eq!(session.received_of(Some(&process("another"))), 0);
    assert!(session.take(session.epoch()));
    assert!(!session.take(session.epoch()), "there is no third");
}

#[test]
fn what_no_agent_can_be_given_counts_as_taken_in_its_turn() {
    let mut session = session(0);
    assert!(session.accept_unusable(1));
    assert_eq!(session.taken(), 1);
    assert!(session.accept(2) && session.accept_unusable(3) && session.accept_unusable(4));
    assert_eq!(session.taken(), 1, "2 is not taken yet");
    assert!(!session.accept_unusable(3), "repeated");
    assert!(session.take(session.epoch()));
    assert_eq!(session.taken(), 4);
}

#[test]
fn unusable_messages_without_end_take_no_room_behind_one_that_waits() {
    let mut session = session(0);
    assert!(session.accept(1));
    for number in 2..10_000 {
        assert!(session.accept_unusable(number));
    }
    assert!(session.accept(10_000) && session.accept_unusable(10_001));
    assert_eq!((session.taken(), session.unusable_runs()), (0, 2));
    assert!(session.take(session.epoch()));
    assert_eq!((session.taken(), session.unusable_runs()), (9_999, 1));
    assert!(session.take(session.epoch()));
    assert_eq!((session.taken(), session.unusable_runs()), (10_001, 0));
}

#[test]
fn towards_others_what_is_written_is_out_of_our_hands() {
    let mut session = Session::new("own".into());
    session.push(outgoing("1"));
    session.push(outgoing("2"));
    assert_eq!(session.peek_next().map(kind), Some("1".into()));
    assert_eq!(
        session.take_next().map(|out| kind(&out.message)),
        Some("1".into())
    );
    assert_eq!(kinds(&session.take_unwritten()), ["2"]);
    assert_eq!(session.queued().bytes(), 0);
    assert!(session.take_next().is_none());
}
