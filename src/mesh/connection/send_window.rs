//! The send window: limits how much is handed to a data channel before the peer's transport has
//! acknowledged it.
//!
//! The transport looks at everything under way each time it is polled, whether messages are small or
//! large, and its throughput is what is under way in one round trip. So the least that keeps the path
//! busy is best.
//!
//! But it is never as little as one packet: a receiver acknowledges every second packet at once, and an
//! odd last one after 200 ms (RFC 9260 section 6.2). If a message had to wait for the end of the one
//! before it, it would wait that long whenever the number of packets is odd. So a message may follow,
//! whatever its size, once half of what is useful is acknowledged, to the byte: one packet always leaves
//! room.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;

/// How many bytes under way are useful for each millisecond of round-trip time.
const BYTES_PER_MILLISECOND: usize = 32 * 1024;

/// The least cost of a message: the transport's work on a smaller one is as much as if it had this many
/// bytes.
const LEAST_COST_BYTES: usize = 512;

/// More than any packet of the transport carries: its datagrams fit into Ethernet frames.
const PACKET_BYTES: usize = 1500;

/// The least that a message takes up in a packet: the header of a chunk, and `{"type":""}` with its
/// padding.
const LEAST_CHUNK_BYTES: usize = 16 + 12;

/// One packet, whatever messages it holds, costs less than half of the least that is useful.
const _: () = assert!(
    PACKET_BYTES + PACKET_BYTES / LEAST_CHUNK_BYTES * LEAST_COST_BYTES
        < limits::CHANNEL_BYTES.0 / 2
);

/// Messages written to a channel and not acknowledged by the peer's transport.
#[derive(Debug, Default)]
pub(crate) struct SendWindow {
    /// Their sizes, in the order of writing. The first may be acknowledged in part.
    sizes: VecDeque<usize>,
    bytes: usize,
    cost: usize,
    /// Bytes that the peer's transport has not acknowledged.
    unacknowledged: usize,
    /// How many of the latest messages were written without looking in between at what is acknowledged,
    /// and so left together.
    together: usize,
    has_looked: bool,
}

impl SendWindow {
    /// Notes that `buffered` bytes are not acknowledged. Returns whether some were acknowledged since the
    /// last call.
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

    /// Notes that a message of `size` bytes was written.
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

    /// Returns whether what is under way may be a single packet, which is acknowledged late unless
    /// another follows.
    pub(crate) fn may_be_alone(&self) -> bool {
        self.sizes.len() <= self.together && self.unacknowledged <= PACKET_BYTES
    }

    /// Returns whether a message of `size` bytes may follow on a path of this round-trip time. It may if
    /// what is under way then is no more than useful, or, whatever its size, if less than half of that is
    /// left under way.
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

/// Returns how many bytes are useful under way: few where the round trip is short, more where it is long,
/// because the transport's work grows with them.
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
