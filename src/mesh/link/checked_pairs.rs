//! Decides which checks of the ICE agent are sent: those of each pair for a while, and then no more.
//!
//! str0m's ICE agent goes on to check each pair that it knows, as if it were in use: with four addresses on
//! each side the spare ones cost many times what the one in use does. So their checks are dropped after a while,
//! and in the end the agent gives such pairs up. When a path is looked for, all pairs are made and checked anew.
//! The pair in use is asked by [`Consent`](super::consent::Consent). The agent must not give it up, and so
//! has a check of it answered now and then.

use std::time::{Duration, Instant};

use super::Path;

/// How long a pair is checked from its first check on. That leaves time for a peer that is slow to begin its
/// own checks.
const CHECKED_FOR: Duration = Duration::from_secs(10);

/// How long a pair is checked after a check of the peer's, which may be about to use it.
const CHECKED_BACK_FOR: Duration = Duration::from_secs(1);

/// How often a check of the pair in use is sent after that. The agent gives a pair up after thirteen checks
/// without an answer, whose waits double from 0.1 s on.
const IN_USE_INTERVAL: Duration = Duration::from_secs(300);

/// How many pairs are remembered: twice as many as the ICE agent checks. Of more, the oldest is forgotten, and
/// counts as new.
const PAIRS: usize = 200;

/// Until when each pair of a connection is checked.
#[derive(Debug, Default)]
pub(super) struct CheckedPairs {
    until: Vec<(Path, Instant)>,
    in_use: Option<Path>,
}

impl CheckedPairs {
    /// Notes which pair is in use.
    pub(super) fn uses(&mut self, pair: Path) {
        self.in_use = Some(pair);
    }

    /// Gives all pairs their time anew.
    pub(super) fn check_again(&mut self) {
        self.until.clear();
    }

    /// Notes that the peer has checked a pair.
    pub(super) fn checked_by_peer(&mut self, now: Instant, pair: Path) {
        if self.in_use == Some(pair) {
            return;
        }
        if let Some((_, until)) = self.until.iter_mut().find(|(known, _)| *known == pair) {
            *until = (*until).max(now + CHECKED_BACK_FOR);
        }
    }

    /// Returns whether a check of this pair is to be sent.
    pub(super) fn is_checked(&mut self, now: Instant, pair: Path) -> bool {
        if let Some((_, until)) = self.until.iter_mut().find(|(known, _)| *known == pair) {
            if self.in_use == Some(pair) && now >= *until + IN_USE_INTERVAL {
                *until = now;
                return true;
            }
            return now < *until;
        }
        if self.until.len() == PAIRS {
            self.until.remove(0);
        }
        self.until.push((pair, now + CHECKED_FOR));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(port: u16) -> Path {
        Path {
            local: ([10, 0, 0, 1], port).into(),
            remote: ([10, 0, 0, 2], 1).into(),
        }
    }

    #[test]
    fn a_pair_is_checked_for_a_while_and_when_the_peer_checks_it() {
        let start = Instant::now();
        let mut pairs = CheckedPairs::default();
        assert!(pairs.is_checked(start, pair(2)));
        let later = start + CHECKED_FOR;
        assert!(pairs.is_checked(later - CHECKED_BACK_FOR, pair(2)));
        assert!(!pairs.is_checked(later, pair(2)));
        pairs.checked_by_peer(later, pair(2));
        assert!(pairs.is_checked(later, pair(2)));
        assert!(!pairs.is_checked(later + CHECKED_BACK_FOR, pair(2)));
        assert!(!pairs.is_checked(later + IN_USE_INTERVAL, pair(2)));
        pairs.check_again();
        assert!(pairs.is_checked(later + IN_USE_INTERVAL, pair(2)));
    }

    /// The agent's waits for the pair in use double from 0.1 s to 410 s.
    #[test]
    fn of_the_pair_in_use_a_check_is_sent_before_the_agent_gives_it_up() {
        let mut now = Instant::now();
        let mut pairs = CheckedPairs::default();
        pairs.uses(pair(1));
        let (mut sent, mut dropped, mut most) = (0, 0, 0);
        for turn in 0..100 {
            if pairs.is_checked(now, pair(1)) {
                (sent, dropped) = (sent + 1, 0);
            } else {
                dropped += 1;
            }
            most = most.max(dropped);
            now += Duration::from_millis(100 << turn.min(12));
        }
        assert!(most < 8, "{most} in turn");
        assert!((10..100).contains(&sent), "{sent} sent");
    }

    #[test]
    fn no_more_pairs_are_remembered_than_there_may_be() {
        let mut pairs = CheckedPairs::default();
        for port in 0..1000 {
            pairs.is_checked(Instant::now(), pair(port));
        }
        assert_eq!(pairs.until.len(), PAIRS);
    }
}
