//! What is under way on a channel, and how much more is worth handing to it.
//!
//! The transport looks at everything under way each time it is polled, small message or large, and
//! its speed is what is under way in one round trip. So as little as keeps the path busy is best.
//!
//! But never as little as one packet: a receiver acknowledges every second packet at once, and an odd
//! last one after 200 ms (RFC 9260 section 6.2). A message that waited for the end of the one before it
//! would wait for that whenever the packets are odd in number. So a message may follow, whatever its
//! size, once half of what is useful is acknowledged, to the byte: one packet always leaves room.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;

/// What a round trip of one millisecond is worth, in bytes.
const BYTES_PER_MILLISECOND: usize = 32 * 1024;

/// What a message counts for at least: looking at it costs as much as if it had this many bytes.
const LEAST_COST_BYTES: usize = 512;

/// More than any packet of the transport carries: its datagrams fit into Ethernet's frames.
const PACKET_BYTES: usize = 1500;

/// What a message takes of a packet at least: the header of a chunk, and `{"type":""}` with its padding.
const LEAST_CHUNK_BYTES: usize = 16 + 12;

/// One packet of any messages costs less than half of what is always useful.
const _: () = assert!(
    PACKET_BYTES + PACKET_BYTES / LEAST_CHUNK_BYTES * LEAST_COST_BYTES
        < limits::CHANNEL_BYTES.0 / 2
);

/// Messages written to a channel and not acknowledged by the peer's transport.
#[derive(Debug, Default)]
pub(crate) struct SendWindow {
    /// In the order of writing. The first may be acknowledged in part.
    sizes: VecDeque<usize>,
    bytes: usize,
    cost: usize,
    /// Bytes of which it is not known that the peer has them.
    unacknowledged: usize,
    /// How many of the latest were written without a look at what is acknowledged in between, and so
    /// left together.
    together: usize,
    has_looked: bool,
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
        self.has_looked = true;
        let before = std::mem::replace(&mut self.unacknowledged, buffered);
        buffered < before
    }

    /// A message of `size` bytes was written.
    pub(crate) fn written(&mut self, size: usize) {
        self.sizes.push_back(size);
        self.bytes += size;
        self.unacknowledged = self.unacknowledged.saturating_add(size);
        self.cost += cost(size);
        if std::mem::take(&mut self.has_looked) {
            self.together = 0;
        }
        self.together += 1;
    }

    /// Whether what is under way may be one packet, whose acknowledgement is late unless another
    /// follows.
    pub(crate) fn may_be_alone(&self) -> bool {
        self.sizes.len() <= self.together && self.unacknowledged <= PACKET_BYTES
    }

    /// Whether a message of `size` bytes may follow on a path of this round-trip time: one that is no
    /// more than useful, and one of any size when less than half of that is left under way.
    pub(crate) fn has_room(&self, size: usize, round_trip: Option<Duration>) -> bool {
        let useful = useful_bytes(round_trip);
        self.cost + cost(size) <= useful || self.cost_of_unacknowledged() < useful / 2
    }

    fn cost_of_unacknowledged(&self) -> usize {
        let Some(first) = self.sizes.front() else {
            return 0;
        };
        let acknowledged = self.bytes.saturating_sub(self.unacknowledged);
        self.cost - cost(*first) + cost(first.saturating_sub(acknowledged))
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
#[path = "send_window_tests.rs"]
mod tests;
