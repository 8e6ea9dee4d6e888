//! Counters that `stats` tells.

use serde::Serialize;

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

/// Counters since the process started.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) sent: Count,
    pub(crate) received: Count,
    pub(crate) failed_messages: u64,
    pub(crate) unusable_messages: u64,
    pub(crate) stray_datagrams: u64,
    pub(crate) ignored_offers: u64,
    pub(crate) ignored_candidates: u64,
    pub(crate) ignored_frames: u64,
    /// Connections and offers of peers that are not trusted.
    pub(crate) untrusted_peers: u64,
}
