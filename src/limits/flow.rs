//! Limits of what is under way between peers and waits for the agent.

use std::time::Duration;

use super::table::limits;

limits! {
    "what is under way between peers and waits for the agent" as pub(super) FLOW;

    /// Cost in bytes of the events other than messages that wait for an agent (some 4,000 answers); at this limit no
    /// more requests are read, and changes of state are told in one go when the agent reads again.
    pub const AGENT_EVENT_BYTES: usize = 1024 * 1024;

    /// Failures kept for the next agent while none is connected; further ones are only counted.
    pub const ORPHANED_FAILURES: usize = 1024;

    /// Peers that all broadcasts with an id together wait for; at this limit no more requests are read.
    pub const BROADCAST_DELIVERIES: usize = 16 * 1024;

    /// Bytes of events handed to the agent's writer in one batch; the rest comes with the next.
    pub const EVENT_BATCH_BYTES: usize = 256 * 1024;

    /// Bytes of all peers' messages that wait for the agent; each peer's window is an equal share of it.
    pub const INBOX_BYTES: usize = 16 * 1024 * 1024;

    /// Bytes that a peer of another make may have under way to us; what it sends beyond is dropped. It is the receive
    /// buffer that str0m announces, unless the largest message is larger.
    pub const RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;

    /// Messages of a peer of ours that are kept until its hello gives them their numbers; with more the connection
    /// fails. A peer that keeps the rules can send fewer before it is told its window, even of the smallest (11
    /// bytes).
    pub const EARLY_MESSAGES: usize = LEAST_WINDOW_BYTES / 8;

    /// Bytes handed to a data channel beyond what is acknowledged, the least and the most, depending on the round
    /// trip; the rest waits in the peer's queue. One message of any size may follow when half of them are left.
    pub const CHANNEL_BYTES: (usize, usize) = (64 * 1024, 1024 * 1024);

    /// Data of ours that may wait in the queue of a slow line, in the time that the line takes for it, beside one
    /// message; the rest waits in the peer's queue. Whatever else is sent waits behind it.
    pub const LINE_QUEUE: Duration = Duration::from_millis(500);

    /// Messages written to a peer of another make that are not known to have arrived; at this many nothing more is
    /// written until all have arrived, except for a few that hurry the last acknowledgement.
    pub const UNSETTLED_MESSAGES: usize = 16 * 1024;

    /// DTLS records that a connection is given at once; then its outputs are taken. The DTLS stack holds 30
    /// datagrams, and one more ends the connection.
    pub const BURST_RECORDS: usize = 14;

    /// DTLS records that a connection to a peer of another make is given at once; then its outputs are taken, so that
    /// every second packet is acknowledged (RFC 9260 section 6.2).
    pub const BURST_RECORDS_OF_OTHERS: usize = 2;
}

/// Smallest window of a peer, in bytes, and what a peer may send before it is told its window.
pub const LEAST_WINDOW_BYTES: usize = 64 * 1024;

/// Least time between two acknowledgements to a peer, except those that are due because of the bytes taken.
pub const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(1);

/// The most that the least of [`CHANNEL_BYTES`] becomes where the peer's UDP sockets have buffers for it.
pub const BUFFERED_CHANNEL_BYTES: usize = 256 * 1024;
