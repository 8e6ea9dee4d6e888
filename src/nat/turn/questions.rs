//! The requests with which a server is asked for a sign of life, and what their answers mean.

use std::time::Duration;

use super::keepalive::Question;
use crate::nat::credentials::Login;
use crate::nat::failure::code;
use crate::nat::stun::message;
use crate::nat::stun::message::{Challenge, Reply};

/// The lifetime to ask for, which is what the TURN crate asks for, so that no request of ours shortens what
/// the crate counts on.
const LIFETIME: Duration = Duration::from_secs(1800);

/// The state of an allocation, as the answer to a request to refresh it tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The allocation lives, or at least nothing else is said.
    Lives,
    /// The server wants the request to be signed otherwise.
    AskAgain,
    /// The server no longer accepts the login.
    LoginRefused,
    /// The server knows no allocation of ours.
    Forgotten,
}

/// Builds and signs requests for one allocation, and reads their answers.
#[derive(Debug)]
pub(crate) struct Questions {
    login: Login,
    /// What the server last asked us to sign requests with; `None` if it has asked for nothing.
    challenge: Option<Challenge>,
}

impl Questions {
    pub(crate) fn new(login: Login) -> Self {
        Questions {
            login,
            challenge: None,
        }
    }

    /// Notes what the server asks us to sign with from now on.
    pub(crate) fn note(&mut self, reply: &Reply) {
        if reply.challenge.is_some() {
            self.challenge.clone_from(&reply.challenge);
        }
    }

    /// Builds the request of this transaction id.
    pub(crate) fn request(&self, question: Question, id: u128) -> Vec<u8> {
        let login = (self.login.username.as_str(), self.login.password.reveal());
        let signed = |challenge| message::signed_refresh(id, LIFETIME, login, challenge);
        match question {
            Question::Binding => message::binding(None, id),
            Question::Refresh => message::unsigned_refresh(id, LIFETIME),
            Question::Proof => self
                .challenge
                .as_ref()
                .and_then(signed)
                .unwrap_or_else(|| message::unsigned_refresh(id, LIFETIME)),
        }
    }

    /// Returns what the answer to a [`Question::Proof`] says.
    pub(crate) fn judge(&mut self, reply: &Reply) -> Judgement {
        let was_signed = self.challenge.is_some();
        self.note(reply);
        match reply.error.as_ref().map(|(number, _)| *number) {
            Some(code::ALLOCATION_MISMATCH) => Judgement::Forgotten,
            Some(code::STALE_NONCE) => Judgement::AskAgain,
            Some(code::UNAUTHORIZED) if !was_signed => Judgement::AskAgain,
            Some(code::UNAUTHORIZED | code::WRONG_CREDENTIALS) => Judgement::LoginRefused,
            _ => Judgement::Lives,
        }
    }
}
