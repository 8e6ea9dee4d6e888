use super::*;

const TIMES: Intervals = Intervals::NORMAL;

#[test]
fn silence_goes_from_quiet_to_suspect_to_silent_and_one_sign_of_life_ends_it() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    let mut now = start;
    let mut seen = vec![liveness.health(now)];
    while let Some(change) = liveness.next_change(now) {
        now = change;
        seen.push(liveness.health(now));
    }
    assert_eq!(
        seen,
        [
            Health::Alive,
            Health::Quiet,
            Health::Suspect,
            Health::Silent
        ]
    );
    assert_eq!(now, start + TIMES.silent);
    liveness.heard(now);
    assert_eq!(liveness.health(now), Health::Alive);
}

#[test]
fn a_peer_that_is_heard_but_does_not_answer_is_suspect_and_no_more() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    liveness.expect_answers(start);
    let mut indifferent = Liveness::new(start);
    let later = start + 2 * TIMES.silent;
    liveness.heard(later);
    indifferent.heard(later);
    assert_eq!(liveness.health(later), Health::Suspect);
    assert_eq!(indifferent.health(later), Health::Alive);
    liveness.answered(later);
    assert_eq!(liveness.health(later), Health::Alive);
    assert_eq!(liveness.next_change(later), Some(later + TIMES.ask));
}

/// Lets two sides ask each other, until one has asked so often; returns how often each has, and how long it
/// took. Their questions pass at once and are answered.
fn ask_each_other(intervals: Intervals, round_trip: Duration) -> ([u32; 2], Duration) {
    let start = Instant::now();
    let mut sides = [false, true].map(|yields| {
        let mut side = Liveness::new(start);
        side.keep(intervals, yields);
        side.expect_answers(start);
        side.measured(round_trip);
        side
    });
    let mut asked = [0, 0];
    let mut now = start;
    while asked.into_iter().max() < Some(100) {
        let first = usize::from(sides[1].next_question() < sides[0].next_question());
        now = sides[first].next_question();
        asked[first] += 1;
        sides[first].asked(now);
        sides[1 - first].heard(now + round_trip / 2);
        sides[first].heard(now + round_trip);
        sides[first].checked(now + round_trip);
        assert!(sides.iter().all(|side| side.health(now) < Health::Suspect));
    }
    (asked, now - start)
}

#[test]
fn two_that_are_idle_take_turns_in_asking() {
    for intervals in [Intervals::NORMAL, Intervals::METERED] {
        for round_trip in [0, 20, 600] {
            let (asked, took) = ask_each_other(intervals, Duration::from_millis(round_trip));
            let [one, other] = asked;
            assert!(one.abs_diff(other) <= 1, "{asked:?}");
            assert!(took >= (one + other - 1) * intervals.ask, "{took:?}");
        }
    }
}

#[test]
fn a_question_that_is_not_answered_is_repeated() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    let mut questions = 0;
    while liveness.next_question() < start + TIMES.suspect {
        liveness.asked(liveness.next_question());
        questions += 1;
    }
    assert_eq!(questions, 4);
}

#[test]
fn a_peer_that_acknowledges_nothing_is_overdue_long_before_an_idle_one_would_be_quiet() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    liveness.expect_answers(start);
    liveness.measured(Duration::from_millis(20));
    liveness.awaits_acknowledgement(start, true);
    let overdue = liveness.next_change(start).unwrap();
    assert!(overdue < start + Duration::from_millis(500));
    assert_eq!(liveness.health(overdue), Health::Overdue);
    let mut suspect = overdue;
    while liveness.health(suspect) < Health::Suspect {
        suspect = liveness.next_change(suspect).unwrap();
    }
    assert!(suspect < start + TIMES.ask);
    liveness.acknowledged(suspect);
    assert_eq!(liveness.health(suspect), Health::Alive);
    assert_eq!(liveness.next_change(suspect), Some(suspect + TIMES.ask));
}

#[test]
fn a_long_round_trip_gives_answers_their_time_but_not_silence() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    liveness.expect_answers(start);
    liveness.measured(Duration::from_secs(3));
    liveness.awaits_acknowledgement(start, true);
    let later = start + Duration::from_secs(6);
    assert_eq!(liveness.health(later), Health::Silent);
    liveness.heard(later);
    liveness.checked(later);
    assert_eq!(liveness.health(later), Health::Alive);
    assert!(!liveness.is_stuck(later));
    assert!(liveness.is_stuck(later + Duration::from_secs(1)));
}

#[test]
fn a_transport_that_acknowledges_nothing_on_a_path_that_works_is_dead_after_some_tries() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    liveness.expect_answers(start);
    liveness.awaits_acknowledgement(start, true);
    let mut tries = Vec::new();
    for tenth in 1..100u32 {
        let now = start + Duration::from_millis(100) * tenth;
        liveness.heard(now);
        liveness.answered(now);
        if liveness.health(now) >= Health::Suspect {
            break;
        }
        if liveness.is_stuck(now) {
            liveness.retransmitted();
            tries.push(tenth / 10);
        }
    }
    assert_eq!(tries, [1]);
    let dead = start + Duration::from_secs(7);
    assert_eq!(liveness.health(dead), Health::Suspect);
    liveness.acknowledged(dead);
    assert_eq!(liveness.health(dead), Health::Alive);
}

#[test]
fn what_went_by_a_path_that_is_gone_is_sent_again_by_the_next_at_once() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    liveness.expect_answers(start);
    let moment = Duration::from_millis(100);
    liveness.awaits_acknowledgement(start, true);
    liveness.answered(start + moment);
    assert!(!liveness.is_stuck(start + moment));
    liveness.doubt(start + 2 * moment);
    liveness.answered(start + 3 * moment);
    assert!(liveness.is_stuck(start + 3 * moment));
}

/// Otherwise everything under way on a line with a long queue would be sent twice, much later.
#[test]
fn a_transport_that_goes_on_by_itself_after_a_doubt_need_not_send_again() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    liveness.expect_answers(start);
    let moment = Duration::from_millis(100);
    liveness.doubt(start);
    for (after, is_stuck) in [(1, true), (9, true), (10, false), (11, false)] {
        let now = start + after * moment;
        liveness.acknowledged(now);
        liveness.awaits_acknowledgement(now, true);
        assert_eq!(liveness.is_stuck(now), is_stuck, "after {after} tenths");
    }
}

#[test]
fn the_first_record_by_another_path_is_told_once() {
    let start = Instant::now();
    let mut liveness = Liveness::new(start);
    assert!(!liveness.seen(start));
    liveness.path_changed();
    assert_eq!([(); 3].map(|()| liveness.seen(start)), [true, false, false]);
}
