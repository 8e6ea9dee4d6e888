//! The overflow: accounts for what waits for peers beyond their own queues.
//!
//! What waits for a peer is in one queue, in its order. Up to `QUEUE_BYTES` it is the peer's own; what goes beyond is
//! its excess, and has never been written to a connection. All peers share the room for that. It is counted in two sums,
//! and each has room for `OVERFLOW_BYTES`:
//!
//! * The excess of peers that may take something at any moment. While it fills its room, the agent's lines are not
//!   read: the agent waits, as the peers do for which it writes too much. They are read on as soon as there is any room,
//!   not only when much of it is free, because what is for others waits with them, and each of them costs the same
//!   whenever it is read.
//! * The excess of peers that are out of the way: out of reach, or stalled. Nobody waits for those. A message that has
//!   no room is refused, and so is, from the newest on, what a peer has beyond the room when it gets out of the way.
//!
//! So all queues together hold `QUEUE_BYTES` for each peer, twice `OVERFLOW_BYTES`, and one message more for each peer and
//! one for each peer that a single broadcast is for: a queue that is not full takes a message of any size, and so
//! does the sum that keeps lines from being read.

/// A peer's part of the overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excess {
    bytes: usize,
    is_aside: bool,
}

impl Excess {
    /// Creates the part of a peer for which nothing waits, and which is out of reach.
    pub(crate) fn none() -> Self {
        Excess {
            bytes: 0,
            is_aside: true,
        }
    }
}

/// The sums of what waits for peers beyond their own queues.
#[derive(Debug)]
pub(crate) struct Overflow {
    capacity: usize,
    /// The sum over peers that may take something at any moment, in bytes.
    moving: usize,
    /// The sum over peers that are out of the way, in bytes.
    aside: usize,
}

impl Overflow {
    /// Creates an empty overflow with room for `capacity` bytes of each kind. With none, a single full queue
    /// keeps the agent's lines from being read.
    pub(crate) fn new(capacity: usize) -> Self {
        Overflow {
            capacity,
            moving: 0,
            aside: 0,
        }
    }

    /// Returns whether the agent's lines are not to be read.
    pub(crate) fn is_full(&self) -> bool {
        self.moving >= self.capacity.max(1)
    }

    /// Returns whether `bytes` more of peers out of the way have room.
    pub(crate) fn has_room_aside(&self, bytes: usize) -> bool {
        self.aside + bytes <= self.capacity
    }

    /// Notes that a peer has `bytes` of excess and whether it is out of the way, in place of the `part` that was
    /// noted before. Returns whether it has got out of the way or come back.
    pub(crate) fn account(&mut self, part: &mut Excess, bytes: usize, is_aside: bool) -> bool {
        *self.sum_of(part.is_aside) -= part.bytes;
        *self.sum_of(is_aside) += bytes;
        let new = Excess { bytes, is_aside };
        std::mem::replace(part, new).is_aside != is_aside
    }

    fn sum_of(&mut self, is_aside: bool) -> &mut usize {
        if is_aside {
            &mut self.aside
        } else {
            &mut self.moving
        }
    }

    /// Returns the bytes of both sums together.
    pub(crate) fn bytes(&self) -> usize {
        self.moving + self.aside
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn sums(&self) -> (usize, usize) {
        (self.moving, self.aside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_peers_that_may_move_keep_lines_from_being_read() {
        let mut overflow = Overflow::new(100);
        let (mut one, mut other) = (Excess::none(), Excess::none());
        assert!(overflow.account(&mut one, 60, false), "it comes back");
        assert!(!overflow.account(&mut other, 100, true));
        assert!(!overflow.is_full() && !overflow.has_room_aside(1));
        assert!(overflow.account(&mut other, 40, false));
        assert!(overflow.is_full() && overflow.has_room_aside(100));
        assert!(!overflow.account(&mut one, 59, false));
        assert!(!overflow.is_full());
        assert!(overflow.account(&mut one, 59, true));
        assert_eq!(overflow.sums(), (40, 59));
        assert!(overflow.has_room_aside(41) && !overflow.has_room_aside(42));
    }

    #[test]
    fn without_room_a_single_byte_of_excess_fills_it() {
        let mut overflow = Overflow::new(0);
        let mut part = Excess::none();
        assert!(!overflow.is_full());
        overflow.account(&mut part, 1, false);
        assert!(overflow.is_full());
    }
}
