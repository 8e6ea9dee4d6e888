//! Remembers what has been told of an outage of the registry, so that a reason is told once and logged now and
//! then.

use std::time::Instant;

use super::failure::Failure;
use crate::limits;

/// The reasons of an outage that have been told.
#[derive(Debug, Default)]
pub(super) struct Outage(Vec<Reason>);

#[derive(Debug)]
struct Reason {
    /// The failure, with its text without numbers.
    failure: Failure,
    logged_at: Instant,
}

/// The consequences of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// Whether its reason is new in this outage.
    pub(super) is_news: bool,
    /// Whether it is to be logged.
    pub(super) is_logged: bool,
}

impl Outage {
    /// Notes a failure. Failures that differ only in numbers, as in the seconds since something, are the same.
    pub(super) fn note(&mut self, failure: &Failure, now: Instant) -> Telling {
        let failure = failure.without_numbers();
        let known = self.0.iter_mut().find(|reason| reason.failure == failure);
        let Some(reason) = known else {
            if self.0.len() >= limits::OUTAGE_REASONS {
                let oldest = self.0.iter().enumerate().min_by_key(|(_, r)| r.logged_at);
                if let Some((index, _)) = oldest {
                    self.0.swap_remove(index);
                }
            }
            self.0.push(Reason {
                failure,
                logged_at: now,
            });
            return Telling {
                is_news: true,
                is_logged: true,
            };
        };
        let since = now.saturating_duration_since(reason.logged_at);
        let is_logged = since >= limits::SAME_FAILURE_LOGGED;
        if is_logged {
            reason.logged_at = now;
        }
        Telling {
            is_news: false,
            is_logged,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runtime::signaling::failure::Kind;

    fn lost(why: impl Into<String>) -> Failure {
        Failure::from(why.into())
    }

    #[test]
    fn a_reason_whose_numbers_change_is_told_once_and_logged_each_minute() {
        let start = Instant::now();
        let mut outage = Outage::default();
        let tellings: Vec<_> = (0..180)
            .map(|second| {
                let failure = lost(format!("expired {second} s ago, at 10.0.0.{second}"));
                outage.note(&failure, start + Duration::from_secs(second))
            })
            .collect();
        assert_eq!(tellings.iter().filter(|told| told.is_news).count(), 1);
        assert_eq!(tellings.iter().filter(|told| told.is_logged).count(), 3);
    }

    #[test]
    fn reasons_that_take_turns_are_each_told_once() {
        let now = Instant::now();
        let mut outage = Outage::default();
        let mut told = 0;
        for _ in 0..50 {
            for why in ["connection refused", "timed out"] {
                told += usize::from(outage.note(&lost(why), now).is_news);
            }
        }
        assert_eq!(told, 2);
        let refused = Failure::new(Kind::Refused, "timed out");
        assert!(outage.note(&refused, now).is_news);
    }

    #[test]
    fn no_more_reasons_than_the_limit_are_remembered() {
        let now = Instant::now();
        let mut outage = Outage::default();
        for n in 0..1000 {
            assert!(outage.note(&lost("x".repeat(n)), now).is_news);
        }
        assert_eq!(outage.0.len(), limits::OUTAGE_REASONS);
    }
}
