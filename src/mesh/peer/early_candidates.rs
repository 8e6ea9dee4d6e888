//! Candidates that came before the description that they belong to.
//!
//! One of another make names no attempt. While the peer's connection is open it may belong to that one, or to an offer
//! that follows: a peer that has just been started anew may send its candidates before its offer. So it is kept for an
//! offer first. If it were taken at once, the new process would get checks with the password of the old one. werift
//! answers them, and takes from them who controls ICE and who begins SCTP: then both sides wait for each other for ever.

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
    /// are kept: they are used for every connection that their sender offers soon after, since they do no harm where
    /// they do not belong.
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

    /// Returns when [`EarlyCandidates::late`] or [`EarlyCandidates::forget_stale`] has something to do.
    pub(in crate::mesh) fn next(&self) -> Option<Instant> {
        let forgotten = self.0.front()?.since + limits::EARLY_CANDIDATE_LIFETIME;
        let mut open = self.0.iter().filter(|early| early.open.is_some());
        let late = open
            .next()
            .map(|early| early.since + limits::LATE_CANDIDATE_WAIT);
        Some(late.map_or(forgotten, |late| late.min(forgotten)))
    }

    /// Forgets those that were kept for as long as any is.
    pub(in crate::mesh) fn forget_stale(&mut self, now: Instant) {
        let is_stale = |early: &mut EarlyCandidate| {
            now.saturating_duration_since(early.since) >= limits::EARLY_CANDIDATE_LIFETIME
        };
        while self.0.pop_front_if(is_stale).is_some() {}
    }

    pub(in crate::mesh) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
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
        assert_eq!(early.next(), Some(due));
        assert_eq!(early.late(due - MOMENT), []);
        assert_eq!(early.late(due), [(OPEN, "first".to_owned())]);
        assert_eq!(early.next(), Some(due + MOMENT));
        assert_eq!(early.late(due + MOMENT), [(OPEN, "second".to_owned())]);
        assert_eq!(early.next(), Some(now + limits::EARLY_CANDIDATE_LIFETIME));
        // An offer may still follow.
        assert_eq!(early.of(due + MOMENT, None), ["first", "second"]);
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
        assert!(early.is_empty() && early.next().is_none());
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
