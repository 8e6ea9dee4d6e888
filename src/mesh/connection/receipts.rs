//! Receipts of the transport, for peers that are not ours.
//!
//! SCTP tells how many bytes of a channel are not acknowledged, not which: bytes acknowledged out of
//! order count too. So a message has certainly arrived only when nothing at all is outstanding, or
//! when more was acknowledged beyond its end than any receiver buffers out of order.

use std::collections::VecDeque;

use crate::limits;

use crate::mesh::agent::origin::Origin;

/// More than the receive window of every stack in the field (the largest, Chromium's, is 5 MiB).
const RECEIVE_WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// Messages that may be written beyond the bound, one at a time. Two are enough for the last packet to
/// be acknowledged, unless they take an even number of packets each.
const COMPANIONS: usize = 64;

/// A message that was written to a connection and is out of our hands.
#[derive(Debug)]
pub(crate) struct Written {
    /// Whom to tell.
    pub(crate) origin: Origin,
    /// For the error, should the connection be lost.
    pub(crate) request_id: Option<String>,
    /// Bytes written to the channel up to the end of this message.
    end: u64,
}

/// What was written to one connection and is not known to have arrived, in order.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    unsettled: VecDeque<Written>,
    written_bytes: u64,
}

impl Receipts {
    /// Whether all that was written has arrived.
    pub(crate) fn is_empty(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Whether another message may be written.
    pub(crate) fn has_room(&self) -> bool {
        self.unsettled.len() < limits::UNSETTLED_MESSAGES
    }

    /// Whether one message may be written though there is no room, because what is left to arrive may
    /// be one packet: it is acknowledged once another follows.
    pub(crate) fn has_room_for_companion(&self) -> bool {
        self.unsettled.len() < limits::UNSETTLED_MESSAGES + COMPANIONS
    }

    /// A message of `size` bytes was written.
    pub(crate) fn written(&mut self, origin: Origin, request_id: Option<String>, size: usize) {
        self.written_bytes += size as u64;
        self.unsettled.push_back(Written {
            origin,
            request_id,
            end: self.written_bytes,
        });
    }

    /// The transport says that `buffered` bytes of the channel are not acknowledged. Gives the
    /// messages that have certainly arrived.
    pub(crate) fn settle(&mut self, buffered: usize) -> Vec<Written> {
        let acknowledged = self.written_bytes.saturating_sub(buffered as u64);
        let certain = if buffered == 0 {
            acknowledged
        } else {
            acknowledged.saturating_sub(RECEIVE_WINDOW_BYTES)
        };
        let count = self.unsettled.partition_point(|done| done.end <= certain);
        self.unsettled.drain(..count).collect()
    }

    /// The connection is lost: gives all that is not known to have arrived.
    pub(crate) fn take_all(&mut self) -> Vec<Written> {
        self.unsettled.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(receipts: &mut Receipts, size: usize) {
        receipts.written(Origin::Broadcast(0), None, size);
    }

    #[test]
    fn bytes_acknowledged_out_of_order_settle_nothing() {
        let mut receipts = Receipts::default();
        (0..10).for_each(|_| write(&mut receipts, 100));
        assert!(receipts.settle(1).is_empty());
        assert_eq!(receipts.settle(0).len(), 10);
    }

    #[test]
    fn a_stream_that_never_pauses_is_settled_a_receive_window_behind() {
        let mut receipts = Receipts::default();
        (0..100).for_each(|_| write(&mut receipts, 1024 * 1024));
        assert_eq!(receipts.settle(1024 * 1024).len(), 91);
    }

    #[test]
    fn too_many_unsettled_messages_wait_for_all_of_them() {
        let mut receipts = Receipts::default();
        (0..limits::UNSETTLED_MESSAGES).for_each(|_| write(&mut receipts, 1));
        assert!(!receipts.has_room());
        assert!(receipts.has_room_for_companion());
        (0..COMPANIONS).for_each(|_| write(&mut receipts, 1));
        assert!(!receipts.has_room_for_companion());
        receipts.settle(0);
        assert!(receipts.has_room());
    }
}
