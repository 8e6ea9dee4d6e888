//! The numbers of a peer's messages: which have come in, and which of them the agent has taken.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// Counts the messages of the peer's session, each of which has the number of its order.
#[derive(Debug, Default)]
pub(crate) struct IncomingNumbers {
    /// How many are in the agent's queue, or were taken from it.
    accepted: u64,
    /// How many the agent has taken.
    taken: u64,
    /// Numbers between `taken` and `accepted` whose messages cannot be given to an agent. Each run of
    /// them is one entry, so there are no more entries than messages that wait for the agent.
    unusable: VecDeque<RangeInclusive<u64>>,
}

impl IncomingNumbers {
    /// Returns how many messages the agent has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Notes that message `number` came in. Returns `true` if it is the next one, `false` if it was received
    /// before.
    pub(crate) fn accept(&mut self, number: u64) -> bool {
        let is_next = number == self.accepted + 1;
        if is_next {
            self.accepted += 1;
        }
        is_next
    }

    /// Notes that message `number` came in and cannot be given to an agent. It has its number all the
    /// same, and counts as taken once those before it are. Returns whether it is the next one.
    pub(crate) fn accept_unusable(&mut self, number: u64) -> bool {
        let is_next = self.accept(number);
        if is_next {
            match self.unusable.back_mut() {
                Some(run) if *run.end() + 1 == number => *run = *run.start()..=number,
                Some(_) | None => self.unusable.push_back(number..=number),
            }
            self.pass_unusable();
        }
        is_next
    }

    /// Notes that the agent has taken one more message. Returns `false` if there was none to take.
    pub(crate) fn take(&mut self) -> bool {
        let counts = self.taken < self.accepted;
        if counts {
            self.taken += 1;
            self.pass_unusable();
        }
        counts
    }

    /// Counts the unusable messages as taken whose turn has come.
    fn pass_unusable(&mut self) {
        let is_due = |run: &mut RangeInclusive<u64>| *run.start() == self.taken + 1;
        if let Some(run) = self.unusable.pop_front_if(is_due) {
            self.taken = *run.end();
        }
    }

    /// Returns how many runs of numbers are kept because their messages are unusable.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn unusable_runs(&self) -> usize {
        self.unusable.len()
    }
}
