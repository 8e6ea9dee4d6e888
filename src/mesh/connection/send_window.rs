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
//!
//! Beyond what the line carries in a round trip, what is under way only waits in its queue, and whatever
//! follows waits behind it: acknowledgements and checks, too. So there is never more of it than the line
//! delivers in [`limits::LINE_QUEUE`], and one message. The round trip is the least of late, so that our own
//! queue never widens the window. It can only be measured while the line is empty. So a line that is kept
//! full is left empty for a moment, once in half the time for which a measurement counts. Whose acknowledgements
//! come late, and who does not fill the line, holds nothing back for that.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::delivery_rate::DeliveryRate;
use super::least_round_trip::LeastRoundTrip;
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

/// How many bytes may be under way on a line whose rate is not known yet. That is a second of the slowest
/// lines, and more than the transport has under way in its first round trips.
const UNKNOWN_LINE_BYTES: usize = 32 * 1024;

/// More than what is under way takes on any line that is of use.
const LONGEST_ON_LINE: Duration = Duration::from_secs(60);

/// How much may be under way on a line, in bytes.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// With a message that follows.
    most: usize,
    /// Before a message that may be larger than all that. It is more than one packet.
    rest: usize,
}

/// The data that left while nothing was under way, and so found the line empty.
#[derive(Debug)]
struct First {
    left: Instant,
    bytes: usize,
}

/// Messages written to a channel and not acknowledged by the peer's transport, and what their
/// acknowledgements tell of the line.
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
    first: Option<First>,
    /// When something was last written while nothing was under way.
    emptied: Option<Instant>,
    /// Whether a message was held back since the last acknowledgement.
    is_full: bool,
    /// Whether one was since something was last written while nothing was under way.
    was_full: bool,
    round_trip: LeastRoundTrip,
    rate: DeliveryRate,
    /// How many bytes the receive buffers of the peer are known to hold.
    peer_buffer: usize,
}

impl SendWindow {
    /// Notes that `buffered` bytes are not acknowledged. Returns whether some were acknowledged since the
    /// last call.
    pub(crate) fn acknowledged_to(&mut self, now: Instant, buffered: usize) -> bool {
        while let Some(first) = self.sizes.front()
            && (buffered == 0 || self.bytes - first >= buffered)
        {
            self.bytes -= first;
            self.cost -= cost(*first);
            self.sizes.pop_front();
        }
        self.has_looked = true;
        let before = std::mem::replace(&mut self.unacknowledged, buffered);
        let has_more = buffered < before;
        if has_more {
            self.measure(now, before - buffered);
        }
        if buffered == 0 {
            self.rate.pause();
        }
        has_more
    }

    /// Measures the line by an acknowledgement of `bytes`.
    fn measure(&mut self, now: Instant, bytes: usize) {
        // A packet alone is acknowledged late.
        if let Some(first) = self.first.take()
            && first.bytes > 2 * PACKET_BYTES
        {
            let round_trip = now.saturating_duration_since(first.left);
            self.round_trip.measured(now, round_trip);
        }
        let was_full = std::mem::take(&mut self.is_full);
        let round_trip = self.round_trip.least().unwrap_or_default();
        self.rate.acknowledged(now, bytes, was_full, round_trip);
    }

    /// Notes a round-trip time of the path. Our own queue may be part of it.
    pub(crate) fn measured(&mut self, now: Instant, round_trip: Duration) {
        self.round_trip.measured(now, round_trip);
    }

    /// Returns the least round trip of late.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn least_round_trip(&self) -> Option<Duration> {
        self.round_trip.least()
    }

    /// Forgets what was measured of the path, because another is used.
    pub(crate) fn path_changed(&mut self) {
        self.first = None;
        self.round_trip = LeastRoundTrip::default();
        self.rate = DeliveryRate::default();
    }

    /// Notes how much the receive buffers of the peer's sockets hold, in bytes as its system counts them: two or
    /// more for each byte of a packet.
    pub(crate) fn peer_buffers(&mut self, bytes: u64) {
        self.peer_buffer = usize::try_from(bytes / 2).unwrap_or(usize::MAX);
    }

    /// Notes that a message of `size` bytes was written.
    pub(crate) fn written(&mut self, now: Instant, size: usize) {
        if std::mem::take(&mut self.has_looked) {
            self.together = 0;
        }
        self.together += 1;
        if self.unacknowledged == 0 {
            self.emptied = Some(now);
            self.was_full = false;
            self.first = Some(First {
                left: now,
                bytes: 0,
            });
        }
        if let Some(first) = &mut self.first
            && first.left == now
        {
            first.bytes = first.bytes.saturating_add(size);
        }
        self.sizes.push_back(size);
        self.bytes += size;
        self.unacknowledged = self.unacknowledged.saturating_add(size);
        self.cost += cost(size);
    }

    /// Returns whether what is under way may be a single packet, which is acknowledged late unless
    /// another follows.
    pub(crate) fn may_be_alone(&self) -> bool {
        self.sizes.len() <= self.together && self.unacknowledged <= PACKET_BYTES
    }

    /// Returns whether a message of `size` bytes may follow, and notes it if not. It may if what is under way
    /// then is no more than useful, or, whatever its size, if less than half of that is left under way. And
    /// the line must have room for it.
    pub(crate) fn has_room(&mut self, now: Instant, size: usize) -> bool {
        let useful = useful_bytes(self.round_trip.least(), self.peer_buffer);
        let is_useful =
            self.cost + cost(size) <= useful || self.cost_of_unacknowledged() < useful / 2;
        let has_room = is_useful && self.line_has_room(now, size, useful);
        self.is_full |= !has_room;
        self.was_full |= !has_room;
        has_room
    }

    fn line_has_room(&self, now: Instant, size: usize, useful: usize) -> bool {
        let room = self.room_on_line();
        if room.most < useful && self.is_to_empty(now) {
            return self.unacknowledged == 0;
        }
        let bytes = self.unacknowledged.saturating_add(size);
        bytes <= room.most || self.unacknowledged < room.rest
    }

    /// Returns whether the line is to be left empty, so that its round trip can be measured.
    fn is_to_empty(&self, now: Instant) -> bool {
        let is_time = |emptied| now >= emptied + self.round_trip.period() / 2;
        self.was_full && self.emptied.is_some_and(is_time)
    }

    fn room_on_line(&self) -> Room {
        let Some(rate) = self.rate.best() else {
            return Room {
                most: UNKNOWN_LINE_BYTES,
                rest: UNKNOWN_LINE_BYTES / 2,
            };
        };
        let round_trip = self.round_trip.least().unwrap_or_default();
        let mut queue = limits::LINE_QUEUE;
        if self.rate.is_growing() {
            // The transport doubles what it has under way in each round trip.
            queue = queue.max(2 * round_trip);
        }
        let bytes = |time: Duration| (rate * time.as_secs_f64()) as usize;
        Room {
            most: bytes(round_trip + queue).max(4 * PACKET_BYTES),
            rest: bytes(round_trip + queue / 2).max(2 * PACKET_BYTES),
        }
    }

    /// Returns how long the line takes for what is under way, as far as is known.
    pub(crate) fn time_on_line(&self) -> Duration {
        let seconds = self
            .rate
            .best()
            .map(|rate| self.unacknowledged as f64 / rate);
        let longest = LONGEST_ON_LINE.as_secs_f64();
        Duration::from_secs_f64(seconds.unwrap_or_default().min(longest))
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
/// because the transport's work grows with them. The peer's buffer holds those that come while it does other work.
fn useful_bytes(round_trip: Option<Duration>, peer_buffer: usize) -> usize {
    let (least, most) = limits::CHANNEL_BYTES;
    let least = peer_buffer.clamp(least, limits::BUFFERED_CHANNEL_BYTES);
    let milliseconds = round_trip.map_or(0, |round_trip| round_trip.as_millis());
    usize::try_from(milliseconds)
        .unwrap_or(most)
        .saturating_mul(BYTES_PER_MILLISECOND)
        .clamp(least, most)
}

#[cfg(test)]
#[path = "send_window_tests.rs"]
mod tests;
