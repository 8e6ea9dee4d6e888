//! Consent checks (RFC 7675): ask the peer on the pair in use whether it is still there.
//!
//! str0m's ICE agent checks each pair, chosen or not, as often as the chosen one needs it, and its pace is
//! set when it is made. So it is told to check ever more rarely, and the pair in use is asked from here, when
//! the core wants to know. A consent check is a connectivity check like the agent's own, so every peer answers
//! it. What it says of us is taken from the agent's last check.

use super::check::{Check, TransactionId};
use crate::nat::stun::message;

/// How many checks may wait for an answer; of more, the oldest is forgotten.
const WAITING: usize = 8;

/// The consent checks of one connection.
#[derive(Debug)]
pub(super) struct Consent {
    random: fastrand::Rng,
    /// The ICE password of the peer.
    password: Option<String>,
    /// The last check of the ICE agent.
    check: Option<Vec<u8>>,
    /// The transaction ids that wait for an answer.
    waiting: Vec<TransactionId>,
}

impl Consent {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Consent {
            random,
            password: None,
            check: None,
            waiting: Vec::new(),
        }
    }

    /// Takes the ICE password of the peer's description.
    pub(super) fn described(&mut self, password: &str) {
        self.password = Some(password.to_owned());
    }

    /// Notes a check of the ICE agent's.
    pub(super) fn sent(&mut self, check: &[u8]) {
        self.check = Some(check.to_vec());
    }

    /// Returns a check to send; `None` as long as the ICE agent has sent none.
    pub(super) fn ask(&mut self) -> Option<Vec<u8>> {
        let number = self.random.u128(..) & TRANSACTION_ID;
        let (check, password) = (self.check.as_ref()?, self.password.as_ref()?);
        let check = message::consent_check(check, number, password)?;
        let id = Check::read(&check)?.id();
        if self.waiting.len() == WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push(id);
        Some(check)
    }

    /// Returns whether this is the answer to a check of ours, by its id and the peer's password.
    pub(super) fn is_answer(&self, bytes: &[u8]) -> bool {
        self.position(bytes).is_some()
    }

    /// Takes an answer to a check of ours. Returns whether it is one.
    pub(super) fn answered(&mut self, bytes: &[u8]) -> bool {
        let position = self.position(bytes);
        position.map(|at| self.waiting.remove(at)).is_some()
    }

    fn position(&self, bytes: &[u8]) -> Option<usize> {
        // Anybody can send an answer, which every connection is asked about. Its id costs little to compare, and its
        // signature much.
        let Some(Check::Answer { id }) = Check::read(bytes) else {
            return None;
        };
        let position = self.waiting.iter().position(|asked| *asked == id)?;
        let password = self.password.as_ref()?;
        message::is_verified_answer(bytes, password).then_some(position)
    }
}

/// The bits of a transaction id (RFC 8489 section 5).
const TRANSACTION_ID: u128 = (1 << 96) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "the peer's password";

    fn consent() -> Consent {
        let mut consent = Consent::new(fastrand::Rng::with_seed(1));
        assert_eq!(consent.ask(), None);
        consent.described(PASSWORD);
        consent.sent(&message::tests::check("of the agent"));
        consent
    }

    #[test]
    fn an_answer_counts_once() {
        let mut consent = consent();
        let asked = [(); 2].map(|()| consent.ask().unwrap());
        assert_ne!(asked[0], asked[1]);
        let answer = message::tests::answer(&asked[0], PASSWORD);
        assert!(consent.is_answer(&answer));
        assert!(consent.answered(&answer));
        assert!(!consent.answered(&answer), "a second time");
    }

    #[test]
    fn only_the_peer_can_answer() {
        let mut consent = consent();
        let asked = consent.ask().unwrap();
        let forged = message::tests::answer(&asked, "a guess");
        assert!(!consent.is_answer(&forged));
        let other = message::tests::answer(&message::tests::check(PASSWORD), PASSWORD);
        assert!(!consent.is_answer(&other), "to no question of ours");
        assert!(!consent.is_answer(&asked) && !consent.is_answer(&[1, 1]));
    }

    #[test]
    fn no_more_questions_wait_than_there_may_be() {
        let mut consent = consent();
        let asked: Vec<_> = (0..100).map(|_| consent.ask().unwrap()).collect();
        assert_eq!(consent.waiting.len(), WAITING);
        let newest = message::tests::answer(&asked[99], PASSWORD);
        assert!(consent.is_answer(&newest));
    }
}
