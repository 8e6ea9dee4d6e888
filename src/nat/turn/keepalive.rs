//! Checks whether a TURN server still answers.
//!
//! An allocation by itself is refreshed every half hour or so. If the server died meanwhile, or a
//! router's mapping on the way to it was forgotten, that would not be noticed for as long.
//!
//! A server from which nothing was expected is asked patiently. Where there is doubt, because something
//! went unanswered or the network has changed, it has to answer soon, and for the allocation itself: a
//! server that was started again, or sees us at another address, knows it no more.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits;

/// A request for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Asks what our address is.
    Binding,
    /// Asks, without a signature, to refresh our allocation. A server that ignores Binding requests
    /// answers it with a challenge to authenticate.
    Refresh,
    /// Asks to refresh our allocation. The answer tells whether there is one.
    Proof,
}

/// The result of [`Keepalive::beat`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Send this request, with this transaction id.
    Ask(Question, u128),
    /// The server is gone.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Keepalive {
    heard: Instant,
    /// When we first sent something that may bring an answer since the server was last heard.
    unanswered: Option<Instant>,
    /// The latest requests, whose answers may still come.
    asked: VecDeque<(u128, Question)>,
    /// How many requests of the probe under way were sent.
    sent: usize,
    /// When the probe under way continues; `None` if there is none.
    next: Option<Instant>,
    /// Whether the probe under way has to be answered soon, and for the allocation itself.
    is_urgent: bool,
    /// Whether it began because the network has changed.
    is_urged: bool,
    /// Whether a request has gone unanswered since the server was last heard.
    is_silent: bool,
    /// Whether that is not told yet.
    has_fallen_silent: bool,
    /// The request that the server is believed to answer. Some ignore Binding requests.
    question: Question,
}

impl Keepalive {
    /// Creates the state for a server that has just been heard.
    pub(crate) fn new(now: Instant) -> Self {
        Keepalive {
            heard: now,
            unanswered: None,
            asked: VecDeque::new(),
            sent: 0,
            next: None,
            is_urgent: false,
            is_urged: false,
            is_silent: false,
            has_fallen_silent: false,
            question: Question::Binding,
        }
    }

    /// Notes that something came from the server.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.unanswered = None;
        self.is_silent = false;
        // What came in before the network changed may be read only after it, so the first requests stand.
        let is_too_early = self.is_urged && self.sent < limits::TURN_WEAK_AFTER;
        if !is_too_early {
            self.end_probe();
        }
    }

    fn end_probe(&mut self) {
        self.next = None;
        self.is_urgent = false;
        self.is_urged = false;
    }

    /// Notes that something was sent that may bring an answer.
    pub(crate) fn spoke(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
    }

    /// Begins a probe that has to be answered soon, unless one is under way.
    pub(crate) fn urge(&mut self, now: Instant) {
        if self.is_urgent && self.next.is_some() {
            return;
        }
        self.is_urgent = true;
        self.is_urged = true;
        self.sent = 0;
        self.next = Some(now);
    }

    /// Asks once more, because the server has answered, but for something else.
    pub(crate) fn ask_again(&mut self, now: Instant) {
        if self.sent < limits::TURN_PROBES {
            self.is_urgent = true;
            self.next = Some(now);
        }
    }

    /// Returns what was asked with this transaction id, if it is of one of our requests. Its answer is a
    /// sign of life.
    pub(crate) fn answers(&mut self, now: Instant, id: u128) -> Option<Question> {
        let (_, question) = *self.asked.iter().find(|(known, _)| *known == id)?;
        if question != Question::Proof {
            self.question = question;
        }
        self.heard(now);
        self.end_probe();
        Some(question)
    }

    /// Returns whether the server has left enough requests unanswered to look for another server.
    pub(crate) fn is_weak(&self) -> bool {
        self.next.is_some() && self.sent > limits::TURN_WEAK_AFTER
    }

    /// Returns whether the server has fallen silent since the last call. Told once for each silence.
    pub(crate) fn take_silence(&mut self) -> bool {
        std::mem::take(&mut self.has_fallen_silent)
    }

    /// Returns when [`Keepalive::beat`] is to be called.
    pub(crate) fn due(&self) -> Instant {
        let next = self.next.unwrap_or(self.heard + limits::TURN_KEEPALIVE);
        let overdue = self.overdue().filter(|_| !self.is_urgent);
        overdue.map_or(next, |overdue| overdue.min(next))
    }

    /// Returns when there is doubt because of what is unanswered.
    fn overdue(&self) -> Option<Instant> {
        self.unanswered.map(|since| since + limits::TURN_UNANSWERED)
    }

    /// Asks the server again, or finds that it is gone.
    pub(crate) fn beat(&mut self, now: Instant, random: &mut fastrand::Rng) -> Beat {
        if self.next.is_none() {
            self.sent = 0;
        }
        self.is_urgent |= self.overdue().is_some_and(|overdue| overdue <= now);
        let sent = self.sent;
        if sent > 0 {
            self.has_fallen_silent |= !std::mem::replace(&mut self.is_silent, true);
        }
        if sent >= limits::TURN_PROBES {
            return Beat::Dead;
        }
        // Every second request of a patient probe asks the other question.
        let question = match (self.is_urgent, sent.is_multiple_of(2), self.question) {
            (true, ..) => Question::Proof,
            (false, true, question) => question,
            (false, false, Question::Refresh) => Question::Binding,
            (false, false, _) => Question::Refresh,
        };
        let id = random.u128(..) >> 32;
        if self.asked.len() >= 2 * limits::TURN_PROBES {
            self.asked.pop_front();
        }
        self.asked.push_back((id, question));
        self.sent += 1;
        let doublings = if self.is_urgent { 0 } else { sent };
        self.next = Some(now + limits::STUN_FIRST_WAIT * (1 << doublings));
        Beat::Ask(question, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn after(keepalive: &Keepalive, start: Instant) -> Duration {
        keepalive.due().duration_since(start)
    }

    /// Lets the keepalive do what is due next; it has to ask.
    fn asks(keepalive: &mut Keepalive, random: &mut fastrand::Rng) -> (Question, u128) {
        match keepalive.beat(keepalive.due(), random) {
            Beat::Ask(question, id) => (question, id),
            Beat::Dead => panic!("not asked"),
        }
    }

    #[test]
    fn an_idle_server_is_asked_now_and_then() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        assert_eq!(after(&keepalive, start), limits::TURN_KEEPALIVE);
        let (question, id) = asks(&mut keepalive, &mut random);
        assert_eq!(keepalive.answers(start, id ^ 1), None);
        assert_eq!(keepalive.answers(start, id), Some(question));
        assert_eq!(after(&keepalive, start), limits::TURN_KEEPALIVE);
        assert!(!keepalive.take_silence());
    }

    #[test]
    fn a_server_that_takes_and_does_not_give_is_found_dead_two_seconds_after_the_doubt() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        keepalive.spoke(start);
        keepalive.spoke(start + Duration::from_secs(1));
        assert_eq!(after(&keepalive, start), limits::TURN_UNANSWERED);
        let (mut asked, mut silences) = (0, 0);
        while let Beat::Ask(question, _) = keepalive.beat(keepalive.due(), &mut random) {
            asked += 1;
            assert_eq!(question, Question::Proof);
            assert_eq!(keepalive.is_weak(), asked > limits::TURN_WEAK_AFTER);
            silences += usize::from(keepalive.take_silence());
        }
        let took = after(&keepalive, start) - limits::TURN_UNANSWERED;
        assert_eq!((took, silences), (Duration::from_secs(2), 1));
    }

    #[test]
    fn after_a_change_two_seconds_are_enough_and_one_answer_ends_the_doubt() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        keepalive.urge(start);
        let (question, _) = asks(&mut keepalive, &mut random);
        assert_eq!(question, Question::Proof);
        // This may have waited in the socket since before the change.
        keepalive.heard(start);
        assert_eq!(after(&keepalive, start), limits::STUN_FIRST_WAIT);
        let (_, id) = asks(&mut keepalive, &mut random);
        assert_eq!(keepalive.answers(start, id), Some(Question::Proof));
        assert_eq!(after(&keepalive, start), limits::TURN_KEEPALIVE);

        keepalive.urge(start);
        while let Beat::Ask(..) = keepalive.beat(keepalive.due(), &mut random) {}
        assert_eq!(after(&keepalive, start), Duration::from_secs(2));
    }

    #[test]
    fn a_doubt_that_comes_up_in_a_patient_probe_hurries_it() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        let spoke = start + limits::TURN_KEEPALIVE;
        assert_eq!(asks(&mut keepalive, &mut random).0, Question::Binding);
        keepalive.spoke(spoke);
        assert_eq!(asks(&mut keepalive, &mut random).0, Question::Refresh);
        assert_eq!(asks(&mut keepalive, &mut random).0, Question::Binding);
        assert_eq!(keepalive.due(), spoke + limits::TURN_UNANSWERED);
        assert_eq!(asks(&mut keepalive, &mut random).0, Question::Proof);
        let end = spoke + limits::TURN_UNANSWERED + limits::STUN_FIRST_WAIT;
        assert_eq!(keepalive.due(), end);
        assert_eq!(keepalive.beat(end, &mut random), Beat::Dead);
    }

    #[test]
    fn a_server_that_is_heard_is_not_dead_though_it_answers_no_probe() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        keepalive.urge(start);
        for _ in 0..limits::TURN_PROBES {
            asks(&mut keepalive, &mut random);
        }
        keepalive.heard(start);
        assert_eq!(after(&keepalive, start), limits::TURN_KEEPALIVE);
    }

    /// On a slow line it may have waited behind our own data.
    #[test]
    fn a_late_answer_ends_the_doubt_that_it_has_brought() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        keepalive.spoke(start);
        asks(&mut keepalive, &mut random);
        let late = start + limits::TURN_UNANSWERED + Duration::from_millis(300);
        keepalive.heard(late);
        assert_eq!(after(&keepalive, late), limits::TURN_KEEPALIVE);
        assert!(!keepalive.take_silence());
    }

    #[test]
    fn each_silence_is_told_once() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        for _ in 0..3 {
            asks(&mut keepalive, &mut random);
            assert!(!keepalive.take_silence());
            asks(&mut keepalive, &mut random);
            assert!(keepalive.take_silence());
            keepalive.urge(start);
            for _ in 0..limits::TURN_PROBES {
                asks(&mut keepalive, &mut random);
            }
            assert!(!keepalive.take_silence());
            keepalive.heard(start);
        }
    }

    #[test]
    fn a_server_that_ignores_bindings_is_asked_what_it_answers() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        asks(&mut keepalive, &mut random);
        let (_, last) = asks(&mut keepalive, &mut random);
        assert_eq!(keepalive.answers(start, last), Some(Question::Refresh));
        assert_eq!(keepalive.question, Question::Refresh);
    }
}
