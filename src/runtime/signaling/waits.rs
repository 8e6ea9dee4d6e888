//! The waits between tries to connect to the registry.

use std::time::{Duration, Instant};

use super::contest::Rival;
use super::failure::Kind;
use super::settings::Times;
use crate::backoff::{self, Backoff};
use crate::limits;
use crate::mesh::introduction::token_bucket::TokenBucket;

/// A backoff for each cause that may last.
#[derive(Debug)]
pub(super) struct Waits {
    usual: Backoff,
    refused: Backoff,
    name_taken: Backoff,
    name_guessed: Backoff,
    /// Tries that need not wait, because the network has changed.
    at_once: TokenBucket,
    settled_after: Duration,
}

impl Waits {
    /// Begins with the shortest waits. A connection counts as a success, which resets the usual backoff, when
    /// it has lasted for [`Times::settled`]. So a registry that accepts us and closes at once is not hammered.
    pub(super) fn new(times: &Times, now: Instant) -> Self {
        Waits {
            usual: Backoff::new(times.backoff),
            refused: Backoff::new(times.refused_backoff),
            name_taken: Backoff::new(limits::NAME_TAKEN_BACKOFF),
            name_guessed: Backoff::new(limits::NAME_GUESSED_BACKOFF),
            at_once: TokenBucket::new(limits::REGISTRY_TRIES_AT_ONCE, now),
            settled_after: times.settled,
        }
    }

    /// Notes that the registry accepted our credential.
    pub(super) fn accepted(&mut self) {
        self.refused.reset();
    }

    /// Notes how long a connection has lasted that is lost.
    pub(super) fn lasted(&mut self, lasted: Duration) {
        if lasted >= self.settled_after {
            self.usual.reset();
        }
        if lasted > limits::NAME_TAKEN_BACKOFF.1 {
            self.name_taken.reset();
            self.name_guessed.reset();
        }
    }

    /// Returns whether a try need not wait, because the network has changed.
    pub(super) fn take_at_once(&mut self, now: Instant) -> bool {
        let may = self.at_once.take(now);
        if may {
            self.usual.reset();
        }
        may
    }

    /// Returns the wait after a failure, and after one that another sidecar has caused. `jitter` is a fresh
    /// random number in `0.0..1.0`.
    pub(super) fn after(
        &mut self,
        kind: Kind,
        rival: Option<Rival>,
        now: Instant,
        jitter: f64,
    ) -> Duration {
        match rival {
            None => {}
            Some(Rival::Passing) => return backoff::spread(limits::NAME_TAKEN_ONCE, jitter),
            Some(Rival::Staying) => return self.name_taken.next(jitter),
            Some(Rival::Guessed) => return self.name_guessed.next(jitter),
        }
        match kind {
            Kind::Refused => self.refused.next(jitter),
            Kind::PathLost if self.take_at_once(now) => Duration::ZERO,
            // All who share the registry may find it silent at the same moment.
            Kind::Silent => limits::REGISTRY_SILENT_WAIT.mul_f64(jitter),
            // Those who are sent away together are not to come back together, nor too early.
            Kind::Busy(told) => {
                let wait = told.mul_f64(1.0 + jitter / 4.0);
                self.usual.next(jitter).max(wait)
            }
            Kind::PathLost | Kind::Closed | Kind::Unreachable | Kind::NameTaken => {
                self.usual.next(jitter)
            }
        }
    }
}
