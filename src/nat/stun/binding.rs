//! The Binding requests of one socket to one STUN server, which tell the outer side of its mapping (RFC
//! 8489 section 6.2.1).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::message::Reply;
use super::transaction::Transaction;
use crate::backoff::Backoff;
use crate::limits;

/// The next step of a binding that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this request.
    Ask(Vec<u8>),
    /// The server has not answered. It will be asked again, but seldom.
    GiveUp,
}

#[derive(Debug)]
pub(crate) struct Binding {
    mapped: Option<SocketAddr>,
    /// Whether the server has answered since the network last changed.
    is_confirmed: bool,
    /// The request under way.
    transaction: Option<Transaction>,
    due: Instant,
    patience: Backoff,
}

impl Binding {
    /// Creates a binding that asks for the first time at `due`.
    pub(crate) fn new(due: Instant) -> Self {
        Binding {
            mapped: None,
            is_confirmed: false,
            transaction: None,
            due,
            patience: Backoff::new(limits::STUN_BACKOFF),
        }
    }

    /// Returns the address that the server sees.
    pub(crate) fn mapped(&self) -> Option<SocketAddr> {
        self.mapped
    }

    /// Returns when [`Binding::step`] is to be called.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Returns whether there is no address, and none is asked for at the moment.
    pub(crate) fn is_idle(&self) -> bool {
        self.transaction.is_none() && self.mapped.is_none()
    }

    /// Returns whether a question is under way.
    pub(crate) fn is_asking(&self) -> bool {
        self.transaction.is_some()
    }

    /// Asks at `due`, even if the server was silent before.
    pub(crate) fn ask_at(&mut self, due: Instant) {
        self.patience.reset();
        self.due = due;
    }

    /// Asks anew at `due`, whatever is under way, because the address may no longer be right. It stays
    /// until there is an answer or none in time.
    pub(crate) fn ask_anew(&mut self, due: Instant) {
        self.ask_at(due);
        self.transaction = None;
        self.is_confirmed = false;
    }

    /// Returns whether there is an address that is not in doubt.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.is_confirmed && self.mapped.is_some()
    }

    /// Waits as if the server were silent, because enough others have answered.
    pub(crate) fn rest(&mut self, now: Instant, random: &mut fastrand::Rng) {
        self.due = now + self.patience.next(random.f64());
    }

    /// Asks, asks again, or gives up.
    pub(crate) fn step(&mut self, now: Instant, random: &mut fastrand::Rng) -> Step {
        let transaction = self
            .transaction
            .get_or_insert_with(|| Transaction::new(None, random));
        if let Some((request, wait)) = transaction.send(limits::STUN_TRANSMISSIONS) {
            self.due = now + wait;
            return Step::Ask(request);
        }
        self.transaction = None;
        self.mapped = None;
        self.due = now + self.patience.next(random.f64());
        Step::GiveUp
    }

    /// Takes the answer to the request under way. Returns `false` if the reply is not that answer.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        reply: &Reply,
        random: &mut fastrand::Rng,
    ) -> bool {
        let transaction = self.transaction.as_ref();
        if !transaction.is_some_and(|transaction| transaction.is_answered_by(reply)) {
            return false;
        }
        self.transaction = None;
        self.mapped = reply.mapped;
        self.is_confirmed = true;
        self.due = now
            + match reply.mapped {
                Some(_) => {
                    self.patience.reset();
                    between(limits::STUN_REFRESH, random)
                }
                None => self.patience.next(random.f64()),
            };
        true
    }
}

fn between((least, most): (Duration, Duration), random: &mut fastrand::Rng) -> Duration {
    least + most.saturating_sub(least).mul_f64(random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::stun::message;

    #[test]
    fn an_unanswered_request_is_repeated_at_doubling_intervals_and_then_given_up() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut binding = Binding::new(start);
        let mut sent = Vec::new();
        while let Step::Ask(request) = binding.step(binding.due(), &mut random) {
            let id = message::asked(&request).unwrap().id;
            sent.push((id, binding.due().duration_since(start).as_millis()));
        }
        let next: Vec<_> = sent.iter().map(|(_, next)| *next).collect();
        assert_eq!(next, [500, 1500, 3500, 7500, 15500]);
        assert!(
            sent.iter().all(|(id, _)| *id == sent[0].0),
            "one transaction"
        );
        let rest = binding.due().duration_since(start).as_secs();
        assert!((30..60).contains(&rest), "{rest}");
    }

    #[test]
    fn only_the_answer_to_the_request_under_way_is_taken() {
        let now = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut binding = Binding::new(now);
        let Step::Ask(request) = binding.step(now, &mut random) else {
            panic!("not asked");
        };
        let mut reply = Reply {
            id: message::asked(&request).unwrap().id,
            mapped: Some("192.0.2.1:1".parse().unwrap()),
            other: None,
            challenge: None,
            lifetime: None,
            alternate: None,
            error: None,
        };
        reply.id ^= 1;
        assert!(!binding.answer(now, &reply, &mut random));
        reply.id ^= 1;
        assert!(binding.answer(now, &reply, &mut random));
        assert_eq!(binding.mapped(), reply.mapped);
        assert!(!binding.answer(now, &reply, &mut random), "a second time");
        let refresh = binding.due().duration_since(now).as_secs();
        assert!((15..25).contains(&refresh), "{refresh}");
    }
}
