//! Round-trip times of all pairs of addresses of a connection, measured by its connectivity checks.
//!
//! The ICE agent tells that of the pair in use only, and knows nothing of a check once its pair is formed anew.
//! So the transactions are noted as they pass.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::limits;
use crate::mesh::link::Path;
use crate::mesh::link::check::TransactionId;

/// How many round trips in a row say what is to be expected of a pair.
const SAMPLES: usize = 5;

/// How old the oldest of them may be. A pair is checked 0, 0.1, 0.3, 0.7, 1.5, 3.1 and 6.3 s after it is formed.
const SAMPLES_AGE: Duration = Duration::from_secs(15);

/// How much less the round trip of a pair must be to be clearly less, beside being less than half.
const CLEAR_DIFFERENCE: Duration = Duration::from_millis(5);

/// The checks and answers of one pair.
#[derive(Debug, Default)]
struct Pair {
    /// Checks that are not answered, the oldest first.
    unanswered: VecDeque<(TransactionId, Instant)>,
    /// When the latest checks were answered, and after how long. None of those in between was lost.
    answered: VecDeque<(Instant, Duration)>,
}

impl Pair {
    /// Returns the least and the greatest of the latest round trips, if there are enough of late.
    fn range(&self, now: Instant) -> Option<(Duration, Duration)> {
        let (oldest, _) = self.answered.front()?;
        let is_known = self.answered.len() == SAMPLES && now <= *oldest + SAMPLES_AGE;
        let times = self.answered.iter().map(|(_, round_trip)| *round_trip);
        Some((times.clone().min()?, times.max()?)).filter(|_| is_known)
    }
}

/// The pairs of a connection.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips {
    pairs: BTreeMap<Path, Pair>,
}

impl RoundTrips {
    /// Notes a check that is sent.
    pub(crate) fn sent(&mut self, now: Instant, path: Path, id: TransactionId) {
        if !self.pairs.contains_key(&path) && self.pairs.len() >= limits::MEASURED_PAIRS {
            self.forget_one();
        }
        let pair = self.pairs.entry(path).or_default();
        if pair.unanswered.len() == limits::MEASURED_CHECKS {
            pair.unanswered.pop_front();
            pair.answered.clear();
        }
        pair.unanswered.push_back((id, now));
    }

    /// Makes room: forgets the pair that has answered least lately, or never.
    fn forget_one(&mut self) {
        let latest = |pair: &Pair| pair.answered.back().map(|(at, _)| *at);
        let least = self.pairs.iter().min_by_key(|(_, pair)| latest(pair));
        if let Some(path) = least.map(|(path, _)| *path) {
            self.pairs.remove(&path);
        }
    }

    /// Notes the answer to a check. Returns the round trip; `None` if no such check is known.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        path: Path,
        id: TransactionId,
    ) -> Option<Duration> {
        let pair = self.pairs.get_mut(&path)?;
        let at = pair.unanswered.iter().position(|(sent, _)| *sent == id)?;
        let (_, sent) = pair.unanswered.remove(at)?;
        // Answers overtake each other, but not by two checks: those before were lost.
        if at > 1 {
            pair.unanswered.drain(..at);
            pair.answered.clear();
        }
        let round_trip = now.saturating_duration_since(sent);
        if pair.answered.len() == SAMPLES {
            pair.answered.pop_front();
        }
        pair.answered.push_back((now, round_trip));
        Some(round_trip)
    }

    /// Returns the latest round trip of a pair.
    pub(crate) fn latest(&self, path: Path) -> Option<Duration> {
        let (_, round_trip) = self.pairs.get(&path)?.answered.back()?;
        Some(*round_trip)
    }

    /// Returns the fastest of the pairs that are clearly faster than this one. Even the slowest of its latest
    /// round trips is less than half of the fastest of this one, so that jitter and our own queue don't count.
    pub(crate) fn clearly_faster(&self, now: Instant, than: Path) -> Option<Path> {
        let (least, _) = self.pairs.get(&than)?.range(now)?;
        let others = self.pairs.iter().filter(|(path, _)| **path != than);
        let measured = others.filter_map(|(path, pair)| Some((pair.range(now)?.1, *path)));
        let is_clearly_less = |time: Duration| time * 2 < least && time + CLEAR_DIFFERENCE <= least;
        let faster = measured.filter(|(greatest, _)| is_clearly_less(*greatest));
        faster.min().map(|(_, path)| path)
    }

    /// Returns the peer's addresses to which checks were sent.
    pub(crate) fn remotes(&self) -> Vec<SocketAddr> {
        self.pairs.keys().map(|path| path.remote).collect()
    }

    /// Begins to measure anew, because the paths may be others.
    pub(crate) fn begin_anew(&mut self) {
        for pair in self.pairs.values_mut() {
            pair.answered.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(1500);

    fn path(number: u16) -> Path {
        Path {
            local: ([10, 0, 0, 1], number).into(),
            remote: ([10, 0, 0, 2], number).into(),
        }
    }

    fn id(number: usize) -> TransactionId {
        let mut id = [0; 12];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    /// Checks the pairs in turn; `answers` tells after how many milliseconds each is answered, if it is.
    fn check(trips: &mut RoundTrips, start: Instant, pairs: &[(u16, &[Option<u64>])]) -> Instant {
        let count = pairs
            .iter()
            .map(|(_, answers)| answers.len())
            .max()
            .unwrap();
        for turn in 0..count {
            let now = start + INTERVAL * u32::try_from(turn).unwrap();
            for (number, answers) in pairs {
                trips.sent(now, path(*number), id(turn));
                if let Some(after) = answers[turn] {
                    let after = Duration::from_millis(after);
                    let measured = trips.answered(now + after, path(*number), id(turn));
                    assert_eq!(measured, Some(after));
                }
            }
        }
        start + INTERVAL * u32::try_from(count).unwrap()
    }

    #[test]
    fn a_pair_is_faster_when_several_answers_in_a_row_say_so() {
        let start = Instant::now();
        let slow = [Some(40); 8];
        let cases = [
            ([Some(4); 8].as_slice(), true),
            (&[Some(19); 8], true),
            (&[Some(20); 8], false),
            // A slow answer among the last, and lost ones.
            (
                &[
                    Some(4),
                    Some(4),
                    Some(4),
                    Some(30),
                    Some(4),
                    Some(4),
                    Some(4),
                    Some(4),
                ],
                false,
            ),
            (
                &[
                    Some(4),
                    Some(4),
                    Some(4),
                    None,
                    None,
                    Some(4),
                    Some(4),
                    Some(4),
                ],
                false,
            ),
        ];
        for (answers, is_faster) in cases {
            let mut trips = RoundTrips::default();
            let now = check(&mut trips, start, &[(1, &slow), (2, answers)]);
            let faster = trips.clearly_faster(now, path(1));
            assert_eq!(faster, is_faster.then_some(path(2)), "{answers:?}");
            assert_eq!(trips.clearly_faster(now, path(2)), None);
            assert_eq!(trips.clearly_faster(now + SAMPLES_AGE, path(1)), None);
            trips.begin_anew();
            assert_eq!(trips.clearly_faster(now, path(1)), None);
        }
    }

    #[test]
    fn a_difference_of_a_few_milliseconds_is_none() {
        let start = Instant::now();
        let mut trips = RoundTrips::default();
        let now = check(&mut trips, start, &[(1, &[Some(5); 8]), (2, &[Some(1); 8])]);
        assert_eq!(trips.clearly_faster(now, path(1)), None);
    }

    #[test]
    fn an_answer_to_no_check_or_on_another_pair_counts_for_nothing() {
        let now = Instant::now();
        let mut trips = RoundTrips::default();
        trips.sent(now, path(1), id(1));
        assert_eq!(trips.answered(now, path(1), id(2)), None);
        assert_eq!(trips.answered(now, path(2), id(1)), None);
        assert!(trips.answered(now, path(1), id(1)).is_some());
        assert_eq!(trips.answered(now, path(1), id(1)), None);
    }

    #[test]
    fn what_is_remembered_has_bounds() {
        let now = Instant::now();
        let mut trips = RoundTrips::default();
        trips.sent(now, path(0), id(0));
        trips.answered(now, path(0), id(0));
        for number in 1..1000 {
            trips.sent(now, path(number), id(1));
        }
        assert_eq!(trips.pairs.len(), limits::MEASURED_PAIRS);
        // The one that has answered is not forgotten.
        for number in 0..1000 {
            trips.sent(now, path(0), id(number));
        }
        assert_eq!(
            trips.pairs[&path(0)].unanswered.len(),
            limits::MEASURED_CHECKS
        );
    }
}
