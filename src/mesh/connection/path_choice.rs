//! The choice of a path by its round trip, beside that by priority, which is the ICE agent's.
//!
//! The side that made the offer compares the pairs of addresses for a while after each new path, before those
//! that are not in use are given up, and moves to one that is clearly faster. The other side follows: it sees
//! which pair is nominated.

use std::time::Instant;

use crate::limits;
use crate::mesh::introduction::token_bucket::TokenBucket;
use crate::mesh::link::Path;

/// How many nominating checks in a row on one pair say that it alone is chosen. A pair that was chosen before it
/// bears such checks, too.
const NOMINATIONS: u32 = 3;

/// The decisions about the path of a connection.
#[derive(Debug)]
pub(crate) struct PathChoice {
    /// Until when pairs are compared.
    until: Instant,
    /// Limits how often the path is changed.
    moves: TokenBucket,
    /// The path that was last decided for.
    chosen: Option<Path>,
    /// Whether datagrams do not take that path yet.
    is_under_way: bool,
    /// Whether pairs that were given up for it are checked again, because it was in doubt for a moment.
    is_questioned: bool,
    /// The pair that was last nominated by the peer, and how often in a row.
    nominated: Option<(Path, u32)>,
}

impl PathChoice {
    pub(crate) fn new(now: Instant) -> Self {
        PathChoice {
            until: now,
            moves: TokenBucket::new(limits::PATH_MOVES, now),
            chosen: None,
            is_under_way: false,
            is_questioned: false,
            nominated: None,
        }
    }

    /// Compares pairs for a while, because the path is new.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.until = now + limits::PATH_COMPARISON;
    }

    /// Returns whether pairs are being compared. As long as they are, all have to be checked.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        now < self.until
    }

    /// Decides for another path; returns `false` if the path was changed too often of late.
    pub(crate) fn take(&mut self, now: Instant, path: Path) -> bool {
        let may_move = self.moves.take(now);
        if may_move {
            self.chosen = Some(path);
            self.is_under_way = true;
        }
        may_move
    }

    /// Notes that a path has answered. Returns whether it is the one that was decided for, and datagrams are
    /// about to take it.
    pub(crate) fn is_reached(&mut self, path: Path) -> bool {
        self.chosen == Some(path) && std::mem::take(&mut self.is_under_way)
    }

    /// Returns whether `used` is the path that was decided for, and pairs are no longer compared. The others were given
    /// up then, so a check on one of them says that the peer has left this one.
    pub(crate) fn has_settled_on(&self, now: Instant, used: Path) -> bool {
        self.chosen == Some(used) && !self.is_open(now)
    }

    /// Notes that all pairs are checked anew, as `is_first` says for the first time since there is doubt.
    pub(crate) fn checks_anew(&mut self, is_first: bool) {
        self.is_under_way = false;
        self.is_questioned = is_first;
    }

    /// Notes that a path has answered. Returns whether it is the one that was decided for, and the doubt about it
    /// was wrong: it has answered before any other was taken.
    pub(crate) fn is_confirmed(&mut self, path: Path) -> bool {
        self.chosen == Some(path) && std::mem::take(&mut self.is_questioned)
    }

    /// Notes that the peer has nominated a pair. Returns whether it nominates this one alone.
    pub(crate) fn nominated(&mut self, path: Path) -> bool {
        let times = match self.nominated {
            Some((same, times)) if same == path => times.saturating_add(1),
            Some(_) | None => 1,
        };
        self.nominated = Some((path, times));
        times.is_multiple_of(NOMINATIONS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn path(number: u16) -> Path {
        Path {
            local: ([10, 0, 0, 1], number).into(),
            remote: ([10, 0, 0, 2], number).into(),
        }
    }

    #[test]
    fn a_pair_is_chosen_when_no_other_is_nominated_meanwhile() {
        let mut choice = PathChoice::new(Instant::now());
        let both = [1, 2, 2, 1, 2, 1].map(|number| choice.nominated(path(number)));
        assert_eq!(both, [false; 6]);
        let alone = [2, 2, 2].map(|number| choice.nominated(path(number)));
        assert_eq!(alone, [false, false, true]);
    }

    #[test]
    fn the_path_is_not_changed_again_and_again() {
        let start = Instant::now();
        let mut choice = PathChoice::new(start);
        let moves = (0..=3600u32).filter(|second| {
            let now = start + Duration::from_secs(1) * *second;
            choice.take(now, path(1))
        });
        let (burst, interval) = limits::PATH_MOVES;
        let most = u64::from(burst) + 3600 / interval.as_secs();
        assert_eq!(moves.count() as u64, most);
    }
}
