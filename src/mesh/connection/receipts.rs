//! Receipts of the transport: tells which messages have arrived at a peer of another make.
//!
//! SCTP tells how many bytes of a channel are not acknowledged, but not which ones: bytes that were
//! acknowledged out of order count too. So a message has certainly arrived only when nothing at all is
//! outstanding, or when more was acknowledged beyond its end than any receiver buffers out of order.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits;

use crate::mesh::agent::origin::Origin;

/// More than the receive window of every stack in the field (the largest, Chromium's, is 5 MiB).
const RECEIVE_WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// How many messages may be written beyond the bound, one at a time. Two are enough to get the last
/// packet acknowledged, unless each takes an even number of packets.
const COMPANIONS: usize = 64;

/// A message that was written to a connection, so that its delivery is up to the transport.
#[derive(Debug)]
pub(crate) struct Written {
    /// The command that is told what became of it.
    pub(crate) origin: Origin,
    /// When the message was accepted from the agent.
    pub(crate) accepted: Instant,
    /// Its request id, for the error if the connection is lost.
    pub(crate) request_id: Option<String>,
    /// How many bytes were written to the channel up to the end of this message.
    end: u64,
}

/// Messages that were written to one connection and are not known to have arrived, in order.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    unsettled: VecDeque<Written>,
    written_bytes: u64,
}

impl Receipts {
    /// Returns whether all that was written has arrived.
    pub(crate) fn is_empty(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Returns whether another message may be written.
    pub(crate) fn has_room(&self) -> bool {
        self.unsettled.len() < limits::UNSETTLED_MESSAGES
    }

    /// Returns whether one message may be written beyond the bound because only one packet may be left to
    /// be acknowledged: its acknowledgement comes once another packet follows.
    pub(crate) fn has_room_for_companion(&self) -> bool {
        self.unsettled.len() < limits::UNSETTLED_MESSAGES + COMPANIONS
    }

    /// Notes that a message of `size` bytes was written.
    pub(crate) fn written(
        &mut self,
        origin: Origin,
        accepted: Instant,
        request_id: Option<String>,
        size: usize,
    ) {
        self.written_bytes += size as u64;
        self.unsettled.push_back(Written {
            origin,
            accepted,
            request_id,
            end: self.written_bytes,
        });
    }

    /// Returns the messages that have certainly arrived, given that `buffered` bytes of the channel are
    /// not acknowledged.
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

    /// Takes out all messages that are not known to have arrived, because the connection is lost.
    pub(crate) fn take_all(&mut self) -> Vec<Written> {
        self.unsettled.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(receipts: &mut Receipts, size: usize) {
        receipts.written(Origin::Broadcast(0), Instant::now(), None, size);
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
