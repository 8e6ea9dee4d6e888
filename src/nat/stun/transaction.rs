//! One STUN Binding request, repeated until it is answered (RFC 8489 section 6.2.1).

use std::time::Duration;

use super::message::{Elsewhere, Reply};
use crate::limits;
use crate::nat::stun::message;

/// The bits of a transaction id.
const ID: u128 = (1 << 96) - 1;

#[derive(Debug)]
pub(crate) struct Transaction {
    elsewhere: Option<Elsewhere>,
    id: u128,
    sent: u32,
}

impl Transaction {
    /// Creates a request that is not sent yet; it is to be answered from elsewhere if that is asked
    /// for.
    pub(crate) fn new(elsewhere: Option<Elsewhere>, random: &mut fastrand::Rng) -> Self {
        Transaction {
            elsewhere,
            id: random.u128(..) & ID,
            sent: 0,
        }
    }

    /// Returns the request, to be sent now, and how long to wait for its answer; `None` when it has
    /// been sent `most` times.
    pub(crate) fn send(&mut self, most: u32) -> Option<(Vec<u8>, Duration)> {
        if self.sent >= most {
            return None;
        }
        let wait = limits::STUN_FIRST_WAIT * (1 << self.sent);
        self.sent += 1;
        Some((message::binding(self.elsewhere, self.id), wait))
    }

    /// Returns whether the reply answers this request.
    pub(crate) fn is_answered_by(&self, reply: &Reply) -> bool {
        self.sent > 0 && self.id == reply.id
    }
}
