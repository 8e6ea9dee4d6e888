//! Decides when the pairs of candidates of a connection are checked anew, because no path is known to work.
//!
//! ICE by itself checks a pair ever more rarely (RFC 8445 section 14.3), and the link drops those that are not in
//! use altogether.
//! Checking all pairs anew begins with quick checks again, and is over before the answers of a long round
//! trip are back. So now and then a search lasts longer.

use std::time::{Duration, Instant};

/// The time from one search to the next. In it a pair is checked after 0, 0.1, 0.3 and 0.7 s.
const INTERVAL: Duration = Duration::from_secs(1);

/// The same for the first search. By then it is known whether the transport is stuck on a path that works.
const FIRST_INTERVAL: Duration = Duration::from_millis(600);

/// The same for every [`LONG_TURN`]th search, for paths whose round trip is long and not known yet.
const LONG_INTERVAL: Duration = Duration::from_secs(2);

const LONG_TURN: u32 = 5;

/// How long the first checks may go unanswered, beside the round trip, until it is taken that nobody is
/// there.
const NOBODY_AFTER: Duration = Duration::from_millis(100);

/// How long after it has opened a connection is heard from ever new addresses of the peer, because both sides
/// still check their pairs.
const FIRST_CHECKS: Duration = Duration::from_secs(1);

/// How often at most all pairs are checked because the peer is heard from a new address.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);

/// The search for a path, while there is one.
#[derive(Debug, Default)]
pub(crate) struct PathSearch {
    /// When all pairs were last checked because the peer was heard from a new address.
    moved: Option<Instant>,
    next: Option<Instant>,
    turns: u32,
    /// When it is taken that nobody answers the checks, unless somebody does.
    nobody_at: Option<Instant>,
    /// Whether a pair has answered since all were last checked anew.
    has_pair: bool,
}

impl PathSearch {
    /// Begins to search, if it has not begun yet; the first search is due at once.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.next.is_none() {
            self.turns = 0;
            self.next = Some(now);
            self.nobody_at = None;
        }
    }

    /// Ends the search, because a path works.
    pub(crate) fn end(&mut self) {
        self.turns = 0;
        self.next = None;
        self.nobody_at = None;
    }

    /// Notes that a pair has answered a check, so that it can be used once it is nominated.
    pub(crate) fn found_pair(&mut self) {
        self.has_pair = true;
        self.nobody_at = None;
    }

    /// Returns whether a pair has answered since all were last checked anew.
    pub(crate) fn has_pair(&self) -> bool {
        self.has_pair
    }

    /// Notes that all pairs are checked anew. Returns whether it is the first time in this search, or there is none.
    pub(crate) fn checks_anew(&mut self) -> bool {
        self.has_pair = false;
        self.turns <= 1
    }

    /// Returns whether it is time to take it that nobody answers; each search tells it once.
    pub(crate) fn finds_nobody(&mut self, now: Instant) -> bool {
        self.nobody_at.take_if(|at| now >= *at).is_some()
    }

    /// Notes that the peer of a connection that opened at `opened` is heard from a new address. Returns whether all
    /// pairs are to be checked now: it may have moved, so that it is no longer where we send to.
    pub(crate) fn finds_peer_elsewhere(&mut self, now: Instant, opened: Instant) -> bool {
        let next = self.moved.map(|at| at + MOVE_INTERVAL);
        let is_move = now >= opened + FIRST_CHECKS && next.is_none_or(|next| now >= next);
        if is_move {
            self.moved = Some(now);
        }
        is_move
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.next.is_some()
    }

    /// Returns when to look again; `None` if nothing is searched for.
    pub(crate) fn next(&self) -> Option<Instant> {
        [self.next, self.nobody_at].into_iter().flatten().min()
    }

    /// Returns whether all pairs are to be checked anew now, and plans the next time.
    pub(crate) fn is_due(&mut self, now: Instant, round_trip: Option<Duration>) -> bool {
        let is_due = self.next.is_some_and(|next| now >= next);
        if is_due {
            self.turns += 1;
            let interval = match self.turns % LONG_TURN {
                0 => LONG_INTERVAL,
                _ if self.turns == 1 => FIRST_INTERVAL,
                _ => INTERVAL,
            };
            let answer = round_trip.map_or(Duration::ZERO, |round_trip| 2 * round_trip);
            // The network may change while nothing is found, so it is asked again as often as a search lasts longer.
            if self.turns % LONG_TURN == 1 {
                self.nobody_at = Some(now + NOBODY_AFTER + answer);
            }
            self.next = Some(now + interval.max(answer));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(round_trip: Option<Duration>) -> Vec<Duration> {
        let start = Instant::now();
        let mut search = PathSearch::default();
        search.begin(start);
        let mut turns = Vec::new();
        while turns.len() < 10 {
            let now = search.next.unwrap();
            assert!(search.is_due(now, round_trip) && !search.is_due(now, round_trip));
            turns.push(search.next.unwrap() - now);
        }
        turns
    }

    #[test]
    fn a_search_is_begun_again_each_second_and_now_and_then_waits_for_late_answers() {
        let turns = turns(Some(Duration::from_millis(30)));
        let long = turns.iter().filter(|turn| **turn == LONG_INTERVAL).count();
        let short = turns.iter().filter(|turn| **turn == INTERVAL).count();
        assert_eq!((long, short), (2, 7));
    }

    #[test]
    fn a_search_lasts_until_an_answer_can_be_back() {
        let round_trip = Duration::from_millis(1500);
        let least = turns(Some(round_trip)).into_iter().min().unwrap();
        assert_eq!(least, 2 * round_trip);
    }

    #[test]
    fn a_search_that_nobody_answers_says_so_now_and_then() {
        let start = Instant::now();
        let mut search = PathSearch::default();
        search.begin(start);
        let (mut now, mut told) = (start, Vec::new());
        while told.len() < 2 {
            now = search.next().unwrap().max(now);
            if search.finds_nobody(now) {
                told.push(now - start);
            }
            search.is_due(now, None);
        }
        assert_eq!(told[0], NOBODY_AFTER);
        assert!(told[1] >= 3 * INTERVAL + LONG_INTERVAL, "{told:?}");
    }

    #[test]
    fn a_search_that_is_answered_says_nothing() {
        let now = Instant::now();
        let mut search = PathSearch::default();
        search.begin(now);
        assert!(search.is_due(now, None));
        search.found_pair();
        assert!(!search.finds_nobody(now + 2 * NOBODY_AFTER));
    }

    #[test]
    fn pairs_that_are_checked_anew_while_nothing_is_searched_for_are_so_for_the_first_time() {
        let now = Instant::now();
        let mut search = PathSearch::default();
        assert!(search.checks_anew(), "there was no search yet");
        search.begin(now);
        assert!(search.checks_anew(), "it has not looked yet");
        for turn in 1..4 {
            assert!(search.is_due(search.next.unwrap(), None));
            assert_eq!(search.checks_anew(), turn == 1);
        }
        search.end();
        assert!(search.checks_anew(), "the search is over");
    }
}
