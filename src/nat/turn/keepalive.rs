//! Checks whether a TURN server still answers.
//!
//! An allocation by itself is refreshed every half hour or so. If the server died meanwhile, or a
//! router's mapping on the way to it was forgotten, that would not be noticed for as long.

use std::time::Instant;

use crate::limits;
use crate::nat::stun::message;
use crate::nat::stun::message::Question;

/// The result of [`Keepalive::beat`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Send this request.
    Ask(Vec<u8>),
    /// The server is gone.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Keepalive {
    heard: Instant,
    /// When we first sent something that may bring an answer since the server was last heard.
    unanswered: Option<Instant>,
    /// The requests of the probe under way, or else of the last one, whose answers may still come.
    asked: Vec<(u128, Question)>,
    /// When the probe under way continues; `None` if there is none.
    next: Option<Instant>,
    /// The request that the server is believed to answer. Some ignore Binding requests.
    question: Question,
}

impl Keepalive {
    /// Creates the state for a server that has just been heard.
    pub(crate) fn new(now: Instant) -> Self {
        Keepalive {
            heard: now,
            unanswered: None,
            asked: Vec::new(),
            next: None,
            question: Question::Binding,
        }
    }

    /// Notes that something came from the server.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.unanswered = None;
        self.next = None;
    }

    /// Notes that something was sent that may bring an answer.
    pub(crate) fn spoke(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
    }

    /// Returns whether this transaction id is of one of our requests. If so, the answer is a sign of
    /// life.
    pub(crate) fn answers(&mut self, now: Instant, id: u128) -> bool {
        let Some((_, question)) = self.asked.iter().find(|(known, _)| *known == id) else {
            return false;
        };
        self.question = *question;
        self.heard(now);
        true
    }

    /// Returns whether the server has left enough requests unanswered to look for another server.
    pub(crate) fn is_weak(&self) -> bool {
        self.next.is_some() && self.asked.len() > limits::TURN_WEAK_AFTER
    }

    /// Returns when [`Keepalive::beat`] is to be called.
    pub(crate) fn due(&self) -> Instant {
        let idle = self.heard + limits::TURN_KEEPALIVE;
        match (self.next, self.unanswered) {
            (Some(next), _) => next,
            (None, Some(since)) => idle.min(since + limits::TURN_UNANSWERED),
            (None, None) => idle,
        }
    }

    /// Asks the server again, or finds that it is gone.
    pub(crate) fn beat(&mut self, now: Instant, random: &mut fastrand::Rng) -> Beat {
        let question = self.question;
        if self.next.is_none() {
            self.asked.clear();
        }
        let sent = self.asked.len();
        if sent >= limits::TURN_PROBES {
            return Beat::Dead;
        }
        // Every second request of a probe asks the other question.
        let question = match (sent.is_multiple_of(2), question) {
            (true, question) => question,
            (false, Question::Binding) => Question::Refresh,
            (false, Question::Refresh) => Question::Binding,
        };
        let id = random.u128(..) >> 32;
        self.asked.push((id, question));
        self.next = Some(now + limits::STUN_FIRST_WAIT * (1 << sent));
        Beat::Ask(message::request(question, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn after(keepalive: &Keepalive, start: Instant) -> Duration {
        keepalive.due().duration_since(start)
    }

    #[test]
    fn an_idle_server_is_asked_now_and_then() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        assert_eq!(after(&keepalive, start), limits::TURN_KEEPALIVE);
        let Beat::Ask(request) = keepalive.beat(keepalive.due(), &mut random) else {
            panic!("not asked");
        };
        let id = message::asked(&request).unwrap().id;
        assert!(!keepalive.answers(start, id ^ 1));
        assert!(keepalive.answers(start, id));
        assert_eq!(after(&keepalive, start), limits::TURN_KEEPALIVE);
    }

    #[test]
    fn a_server_that_takes_and_does_not_give_is_found_dead_within_ten_seconds() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        keepalive.spoke(start);
        keepalive.spoke(start + Duration::from_secs(1));
        assert_eq!(after(&keepalive, start), limits::TURN_UNANSWERED);
        let mut asked = 0;
        while keepalive.beat(keepalive.due(), &mut random) != Beat::Dead {
            asked += 1;
            assert_eq!(keepalive.is_weak(), asked > limits::TURN_WEAK_AFTER);
        }
        assert!(after(&keepalive, start) < Duration::from_secs(10));
    }

    #[test]
    fn a_server_that_ignores_bindings_is_asked_what_it_answers() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut keepalive = Keepalive::new(start);
        let mut last = 0;
        for _ in 0..2 {
            let Beat::Ask(request) = keepalive.beat(keepalive.due(), &mut random) else {
                panic!("not asked");
            };
            last = message::asked(&request).unwrap().id;
        }
        assert!(keepalive.answers(start, last));
        assert_eq!(keepalive.question, Question::Refresh);
    }
}
