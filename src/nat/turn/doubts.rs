//! Asks TURN servers at once, and tries them again, because something around them has changed.

use std::time::Instant;

use super::lease::Lease;
use super::{Relays, is_attempt};
use crate::limits;
use crate::nat::output::StreamId;

impl Relays {
    /// Tries servers at once that were silent, because something has changed for the better.
    pub(in crate::nat) fn try_now(&mut self, now: Instant) {
        let was_silent = !self.patience.is_fresh() && self.next_round.is_some();
        if self.current.is_none() && self.round.is_none() && was_silent {
            self.begin_round(now);
        }
    }

    /// Asks the servers at once whether they still relay for us, because others have fallen silent. Tries
    /// servers again where none relays, and the better ways where the present one is a stream.
    pub(in crate::nat) fn in_doubt(&mut self, now: Instant) {
        let current = self.current.and_then(|id| self.leases.get(&id));
        // A longer wait is because of a refusal.
        let longest = now + limits::TURN_DOUBT_WAIT;
        let may_begin = self.next_round.is_none_or(|at| at <= longest);
        let is_needed = current.is_none() && self.opening().is_empty() && may_begin;
        // A stream that a router has forgotten takes what is written to it for a long time.
        let hangs_on_stream = current.is_some_and(Lease::is_on_stream);
        let may_gain = self.round.is_none() && now >= self.not_before && !self.has_best_way();
        if is_needed || (hangs_on_stream && may_gain) {
            self.begin_round(now);
        }
        self.ask_lent(now);
    }

    /// Asks the servers at once whether they still relay for us, and tries what did not work before,
    /// because the network has changed.
    pub(in crate::nat) fn network_changed(&mut self, now: Instant) {
        self.patience.reset();
        self.not_before = now;
        if self.current.is_none() {
            // A stream that is being opened may hang on a way that is no more.
            for id in self.opening() {
                self.retire(now, id);
            }
            self.begin_round(now);
        } else if self.round.is_none() && !self.has_best_way() {
            self.begin_round(now);
        }
        self.ask_lent(now);
    }

    /// Asks for another allocation at once if there is none: our address outside has changed, so that the server
    /// knows us no more. That the allocation did not last says nothing against the server.
    pub(in crate::nat) fn outer_address_changed(&mut self, now: Instant) {
        self.patience.reset();
        if self.current.is_none() && self.round.is_none() {
            self.begin_round(now);
        }
    }

    /// Returns the attempts on streams.
    fn opening(&self) -> Vec<StreamId> {
        self.leases_where(|lease| is_attempt(lease) && lease.is_on_stream())
    }

    /// Asks at once whether the allocations that we have still live.
    fn ask_lent(&mut self, now: Instant) {
        for id in self.leases_where(Lease::is_lent) {
            if let Some(allocation) = self.leases.get_mut(&id).and_then(Lease::allocation) {
                allocation.doubt(now, &mut self.random);
                self.settle(now, id);
            }
        }
    }
}
