//! Whether a TURN server is still there.
//!
//! An allocation by itself is refreshed every half hour or so. A server that dies meanwhile, and a
//! mapping that is forgotten on the way to it, would not be noticed for as long.

use std::time::Instant;

use crate::limits;
use crate::nat::stun;
use crate::nat::stun::Question;

/// What to do when the pulse is due.
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
    /// The first thing said since the server was heard.
    unanswered: Option<Instant>,
    /// The requests of the probe under way, or else of the last one: its answers may still come.
    asked: Vec<(u128, Question)>,
    /// When the probe under way goes on.
    next: Option<Instant>,
    /// What the server is known to answer, as far as we know. Some ignore Binding requests.
    question: Question,
}

impl Keepalive {
    /// Of a server that has just been heard.
    pub(crate) fn new(now: Instant) -> Self {
        Keepalive {
            heard: now,
            unanswered: None,
            asked: Vec::new(),
            next: None,
            question: Question::Binding,
        }
    }

    /// Something came from the server.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.unanswered = None;
        self.next = None;
    }

    /// Something that may bring an answer was sent.
    pub(crate) fn spoke(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
    }

    /// Whether this transaction was one of ours; if so, it is the sign of life that was wanted.
    pub(crate) fn answers(&mut self, now: Instant, id: u128) -> bool {
        let Some((_, question)) = self.asked.iter().find(|(known, _)| *known == id) else {
            return false;
        };
        self.question = *question;
        self.heard(now);
        true
    }

    /// Whether it has been asked in vain for long enough to look for another server.
    pub(crate) fn is_weak(&self) -> bool {
        self.next.is_some() && self.asked.len() > limits::TURN_WEAK_AFTER
    }

    /// When [`Keepalive::beat`] is to be called.
    pub(crate) fn due(&self) -> Instant {
        let idle = self.heard + limits::TURN_KEEPALIVE;
        match (self.next, self.unanswered) {
            (Some(next), _) => next,
            (None, Some(since)) => idle.min(since + limits::TURN_UNANSWERED),
            (None, None) => idle,
        }
    }

    /// Asks, or finds that the server is gone.
    pub(crate) fn beat(&mut self, now: Instant, random: &mut fastrand::Rng) -> Beat {
        let question = self.question;
        if self.next.is_none() {
            self.asked.clear();
        }
        let sent = self.asked.len();
        if sent >= limits::TURN_PROBES {
            return Beat::Dead;
        }
        // The second request asks otherwise than the first, and so on.
        let question = match (sent.is_multiple_of(2), question) {
            (true, question) => question,
            (false, Question::Binding) => Question::Refresh,
            (false, Question::Refresh) => Question::Binding,
        };
        let id = random.u128(..) >> 32;
        self.asked.push((id, question));
        self.next = Some(now + limits::STUN_FIRST_WAIT * (1 << sent));
        Beat::Ask(stun::request(question, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn after(pulse: &Keepalive, start: Instant) -> Duration {
        pulse.due().duration_since(start)
    }

    #[test]
    fn an_idle_server_is_asked_now_and_then() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut pulse = Keepalive::new(start);
        assert_eq!(after(&pulse, start), limits::TURN_KEEPALIVE);
        let Beat::Ask(request) = pulse.beat(pulse.due(), &mut random) else {
            panic!("not asked");
        };
        let id = stun::asked(&request).unwrap().id;
        assert!(!pulse.answers(start, id ^ 1));
        assert!(pulse.answers(start, id));
        assert_eq!(after(&pulse, start), limits::TURN_KEEPALIVE);
    }

    #[test]
    fn a_server_that_takes_and_does_not_give_is_found_dead_within_ten_seconds() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut pulse = Keepalive::new(start);
        pulse.spoke(start);
        pulse.spoke(start + Duration::from_secs(1));
        assert_eq!(after(&pulse, start), limits::TURN_UNANSWERED);
        let mut asked = 0;
        while pulse.beat(pulse.due(), &mut random) != Beat::Dead {
            asked += 1;
            assert_eq!(pulse.is_weak(), asked > limits::TURN_WEAK_AFTER);
        }
        assert!(after(&pulse, start) < Duration::from_secs(10));
    }

    #[test]
    fn a_server_that_ignores_bindings_is_asked_what_it_answers() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut pulse = Keepalive::new(start);
        let mut last = 0;
        for _ in 0..2 {
            let Beat::Ask(request) = pulse.beat(pulse.due(), &mut random) else {
                panic!("not asked");
            };
            last = stun::asked(&request).unwrap().id;
        }
        assert!(pulse.answers(start, last));
        assert_eq!(pulse.question, Question::Refresh);
    }
}
