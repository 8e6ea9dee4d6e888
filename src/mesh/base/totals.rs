//! Counters that `stats` and the metrics tell.

use serde::Serialize;

use super::histogram::Histogram;

/// Messages and bytes of one direction.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Count {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Count {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }
}

/// The times from a message's acceptance to its receipt.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReceiptTimes {
    /// Of those whose agent has taken the message.
    pub(crate) agent: Histogram,
    /// Of those that the transport of a peer of another make has acknowledged.
    pub(crate) transport: Histogram,
}

/// What was lost or not taken, by cause.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Drops {
    pub(crate) failed_messages: u64,
    pub(crate) unusable_messages: u64,
    pub(crate) stray_datagrams: u64,
    pub(crate) ignored_offers: u64,
    pub(crate) ignored_candidates: u64,
    pub(crate) ignored_frames: u64,
    /// Connections and offers of peers that are not trusted.
    pub(crate) untrusted_peers: u64,
    /// The agent's queue counts these, so they are filled in when the others are told.
    pub(crate) events_left_out: u64,
}

/// Counters since the process started.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) sent: Count,
    pub(crate) received: Count,
    pub(crate) drops: Drops,
    /// Connections that took the place of another.
    pub(crate) restarts: u64,
    pub(crate) receipts: ReceiptTimes,
}
