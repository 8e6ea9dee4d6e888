//! Candidates that came before the description that they belong to.
//!
//! One of another make names no attempt. While the peer's connection is open it may belong to that one, or to an offer
//! that follows: a peer that has just been started anew may send its candidates before its offer. So it is kept for an
//! offer first. If it were taken at once, the new process would get checks with the password of the old one. werift
//! answers them, and takes from them who controls ICE and who begins SCTP: then both sides wait for each other for ever.
//! (An attempt that is not open yet takes them at once, because it may need them.)

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits;
use crate::mesh::connection::ConnectionId;

#[derive(Debug)]
struct EarlyCandidate {
    /// The attempt that it belongs to, if it names one.
    attempt: Option<String>,
    candidate: String,
    since: Instant,
    /// The open connection that takes it if no offer follows.
    open: Option<ConnectionId>,
}

/// The early candidates of one peer, the oldest first.
#[derive(Debug, Default)]
pub(in crate::mesh) struct EarlyCandidates(VecDeque<EarlyCandidate>);

impl EarlyCandidates {
    /// Keeps a candidate for a limited time, with the open connection that it may belong to. Returns `false` when it is
    /// one too many.
    pub(in crate::mesh) fn keep(
        &mut self,
        now: Instant,
        attempt: Option<String>,
        candidate: String,
        open: Option<ConnectionId>,
    ) -> bool {
        self.forget_stale(now);
        let has_room = self.0.len() < limits::CANDIDATES_PER_CONNECTION;
        if has_room {
            self.0.push_back(EarlyCandidate {
                attempt,
                candidate,
                since: now,
                open,
            });
        }
        has_room
    }

    /// Returns those that belong to an attempt that the peer has offered, and takes them out. Those without an attempt
    /// are kept, because they may belong to the offer after it: a peer that offers twice is one process.
    pub(in crate::mesh) fn of(&mut self, now: Instant, attempt: Option<&str>) -> Vec<String> {
        self.forget_stale(now);
        let mut found = Vec::new();
        self.0.retain_mut(|early| {
            let belongs = early.attempt.as_deref() == attempt;
            if belongs {
                found.push(early.candidate.clone());
                early.open = None;
            }
            !belongs || attempt.is_none()
        });
        found
    }

    /// Returns those that no offer has followed, each once, with the open connection that is to take them.
    pub(in crate::mesh) fn late(&mut self, now: Instant) -> Vec<(ConnectionId, String)> {
        let waited = |early: &EarlyCandidate| {
            now.saturating_duration_since(early.since) >= limits::LATE_CANDIDATE_WAIT
        };
        let late = self.0.iter_mut().take_while(|early| waited(early));
        late.filter_map(|early| Some((early.open.take()?, early.candidate.clone())))
            .collect()
    }

    /// Returns when [`EarlyCandidates::late`] has some.
    pub(in crate::mesh) fn next_late(&self) -> Option<Instant> {
        let first = self.0.iter().find(|early| early.open.is_some())?;
        Some(first.since + limits::LATE_CANDIDATE_WAIT)
    }

    /// Returns when [`EarlyCandidates::forget_stale`] has something to do.
    pub(in crate::mesh) fn next_stale(&self) -> Option<Instant> {
        let oldest = self.0.front().filter(|early| early.open.is_none())?;
        Some(oldest.since + limits::EARLY_CANDIDATE_LIFETIME)
    }

    /// Forgets those that were kept for as long as any is, but for what an open connection is to get.
    pub(in crate::mesh) fn forget_stale(&mut self, now: Instant) {
        let is_stale = |early: &mut EarlyCandidate| {
            let age = now.saturating_duration_since(early.since);
            early.open.is_none() && age >= limits::EARLY_CANDIDATE_LIFETIME
        };
        while self.0.pop_front_if(is_stale).is_some() {}
    }

    pub(in crate::mesh) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(in crate::mesh) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OPEN: ConnectionId = ConnectionId(7);
    const MOMENT: Duration = Duration::from_millis(1);

    fn keep(early: &mut EarlyCandidates, now: Instant, name: &str) {
        assert!(early.keep(now, None, name.to_owned(), Some(OPEN)));
    }

    #[test]
    fn an_open_connection_takes_it_when_no_offer_has_followed() {
        let now = Instant::now();
        let mut early = EarlyCandidates::default();
        keep(&mut early, now, "first");
        keep(&mut early, now + MOMENT, "second");
        let due = now + limits::LATE_CANDIDATE_WAIT;
        assert_eq!((early.next_late(), early.next_stale()), (Some(due), None));
        assert_eq!(early.late(due - MOMENT), []);
        assert_eq!(early.late(due), [(OPEN, "first".to_owned())]);
        assert_eq!(early.next_late(), Some(due + MOMENT));
        // An offer may still follow.
        let stale = now + limits::EARLY_CANDIDATE_LIFETIME;
        assert_eq!(early.next_stale(), Some(stale));
        assert_eq!(early.of(stale - MOMENT, None), ["first", "second"]);
    }

    #[test]
    fn an_open_connection_takes_it_however_late_we_look() {
        let now = Instant::now();
        let mut early = EarlyCandidates::default();
        keep(&mut early, now, "first");
        let late = now + 2 * limits::EARLY_CANDIDATE_LIFETIME;
        early.forget_stale(late);
        assert_eq!(early.late(late), [(OPEN, "first".to_owned())]);
        early.forget_stale(late);
        assert!(early.is_empty());
    }

    #[test]
    fn an_offer_that_follows_takes_it_alone() {
        let now = Instant::now();
        let mut early = EarlyCandidates::default();
        keep(&mut early, now, "first");
        let of_ours = Some("attempt".to_owned());
        assert!(early.keep(now, of_ours.clone(), "named".to_owned(), None));
        assert_eq!(early.of(now + MOMENT, None), ["first"]);
        assert_eq!(early.late(now + limits::LATE_CANDIDATE_WAIT), []);
        assert_eq!(early.of(now + MOMENT, of_ours.as_deref()), ["named"]);
        assert_eq!(early.len(), 1);
        early.forget_stale(now + limits::EARLY_CANDIDATE_LIFETIME);
        assert!(early.is_empty() && early.next_late().is_none() && early.next_stale().is_none());
    }

    #[test]
    fn one_too_many_is_not_kept() {
        let now = Instant::now();
        let mut early = EarlyCandidates::default();
        for number in 0..limits::CANDIDATES_PER_CONNECTION {
            keep(&mut early, now, &number.to_string());
        }
        assert!(!early.keep(now, None, "one more".to_owned(), Some(OPEN)));
    }
}
