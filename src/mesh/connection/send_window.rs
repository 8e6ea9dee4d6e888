//! What is under way on a channel, and how much more is worth handing to it.
//!
//! The transport looks at everything under way each time it is polled, small message or large, and
//! its speed is what is under way in one round trip. So as little as keeps the path busy is best.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;

/// What a round trip of one millisecond is worth, in bytes.
const BYTES_PER_MILLISECOND: usize = 32 * 1024;

/// What a message counts for at least: looking at it costs as much as if it had this many bytes.
const LEAST_COST_BYTES: usize = 512;

/// Messages written to a channel and not acknowledged by the peer's transport.
#[derive(Debug, Default)]
pub(crate) struct SendWindow {
    /// In the order of writing. The first may be acknowledged in part.
    sizes: VecDeque<usize>,
    bytes: usize,
    cost: usize,
    /// Bytes of which it is not known that the peer has them.
    unacknowledged: usize,
}

impl SendWindow {
    /// The transport says that `buffered` bytes are not acknowledged. Says whether some were since it
    /// said so before.
    pub(crate) fn acknowledged_to(&mut self, buffered: usize) -> bool {
        while let Some(first) = self.sizes.front()
            && (buffered == 0 || self.bytes - first >= buffered)
        {
            self.bytes -= first;
            self.cost -= cost(*first);
            self.sizes.pop_front();
        }
        let before = std::mem::replace(&mut self.unacknowledged, buffered);
        buffered < before
    }

    /// A message of `size` bytes was written.
    pub(crate) fn written(&mut self, size: usize) {
        self.sizes.push_back(size);
        self.bytes += size;
        self.unacknowledged = self.unacknowledged.saturating_add(size);
        self.cost += cost(size);
    }

    /// Whether a message of `size` bytes may follow on a path of this round-trip time. One of any
    /// size may when nothing is under way.
    pub(crate) fn has_room(&self, size: usize, round_trip: Option<Duration>) -> bool {
        self.sizes.is_empty() || self.cost + cost(size) <= useful_bytes(round_trip)
    }
}

fn cost(size: usize) -> usize {
    size.max(LEAST_COST_BYTES)
}

/// The transport's work grows with what is under way: so little where the round trip is short, more
/// where it is long.
fn useful_bytes(round_trip: Option<Duration>) -> usize {
    let (least, most) = limits::CHANNEL_BYTES;
    let milliseconds = round_trip.map_or(0, |round_trip| round_trip.as_millis());
    usize::try_from(milliseconds)
        .unwrap_or(most)
        .saturating_mul(BYTES_PER_MILLISECOND)
        .clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_of(size: usize, round_trip: Option<Duration>) -> (SendWindow, usize) {
        let mut flight = SendWindow::default();
        let mut count = 0;
        while flight.has_room(size, round_trip) {
            flight.written(size);
            count += 1;
        }
        (flight, count)
    }

    #[test]
    fn a_short_path_is_kept_busy_with_little_and_a_long_one_with_much() {
        let second = Some(Duration::from_secs(1));
        let (least, most) = limits::CHANNEL_BYTES;
        assert_eq!(full_of(16 * 1024, None).1, least / (16 * 1024));
        assert_eq!(full_of(16 * 1024, second).1, most / (16 * 1024));
    }

    #[test]
    fn small_messages_are_bounded_by_their_number() {
        let (least, _) = limits::CHANNEL_BYTES;
        assert_eq!(full_of(100, None).1, least / LEAST_COST_BYTES);
        assert_eq!(full_of(0, None).1, least / LEAST_COST_BYTES);
    }

    #[test]
    fn a_message_of_any_size_may_go_alone() {
        assert_eq!(full_of(1_000_000, None).1, 1);
    }

    #[test]
    fn only_what_the_peer_has_acknowledged_is_progress() {
        let mut flight = SendWindow::default();
        assert!(!flight.acknowledged_to(0));
        flight.written(100);
        assert!(!flight.acknowledged_to(100));
        assert!(flight.acknowledged_to(99), "a part is");
        flight.written(100);
        assert!(!flight.acknowledged_to(199));
        assert!(flight.acknowledged_to(0));
        assert!(!flight.acknowledged_to(0));
    }

    #[test]
    fn what_is_acknowledged_makes_room_once_it_is_a_whole_message() {
        let (mut flight, count) = full_of(100, None);
        flight.acknowledged_to(count * 100 - 99);
        assert!(!flight.has_room(100, None));
        flight.acknowledged_to(count * 100 - 100);
        assert!(flight.has_room(100, None));
        flight.acknowledged_to(0);
        let mut again = 0;
        while flight.has_room(100, None) {
            flight.written(100);
            again += 1;
        }
        assert_eq!(again, count);
    }
}
