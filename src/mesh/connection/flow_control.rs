//! Flow control for incoming messages: holds a peer's DTLS datagrams, in order, until the agent has room.
//!
//! This slows a peer of another make, and one of ours whose messages are tiny. str0m can't be paused, but
//! a transport that hears no acknowledgement stops by itself. STUN goes through, so the path stays up. A
//! newer datagram must never pass a held one: DTLS would take the held ones for replays.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::mesh::base::queue_size::QueueSize;
use crate::mesh::link::Datagram;

/// A datagram that is held.
#[derive(Debug)]
pub(crate) struct Held {
    destination: SocketAddr,
    source: SocketAddr,
    bytes: Vec<u8>,
}

impl Held {
    pub(crate) fn as_datagram(&self) -> Datagram<'_> {
        Datagram {
            destination: self.destination,
            source: self.source,
            bytes: &self.bytes,
        }
    }
}

/// Holds the DTLS datagrams of one connection while it is closed.
#[derive(Debug)]
pub(crate) struct FlowControl {
    closed: bool,
    held: VecDeque<Held>,
    account: QueueSize,
    /// How much the held datagrams may cost, in bytes.
    limit: usize,
}

impl FlowControl {
    /// Creates a flow control that lets everything pass at first. Once closed it holds what a peer may
    /// have under way for a receive window of `window_bytes`, and a quarter more for the overhead.
    /// Datagrams beyond that are dropped; the peer's transport sends them again.
    pub(crate) fn new(window_bytes: usize) -> Self {
        FlowControl {
            closed: false,
            held: VecDeque::new(),
            account: QueueSize::default(),
            limit: window_bytes + window_bytes / 4,
        }
    }

    pub(crate) fn set_closed(&mut self, closed: bool) {
        self.closed = closed;
    }

    /// Keeps the datagram if it has to wait; returns `false` when it may pass.
    pub(crate) fn holds(&mut self, datagram: &Datagram<'_>) -> bool {
        // RFC 7983: the first byte of a DTLS record is 20 to 63.
        let is_dtls = matches!(datagram.bytes.first(), Some(20..=63));
        if !is_dtls || (!self.closed && self.held.is_empty()) {
            return false;
        }
        if self.account.cost() < self.limit {
            self.account.add(datagram.bytes.len());
            self.held.push_back(Held {
                destination: datagram.destination,
                source: datagram.source,
                bytes: datagram.bytes.to_vec(),
            });
        }
        true
    }

    /// Takes out the oldest held datagram; `None` while closed.
    pub(crate) fn release(&mut self) -> Option<Held> {
        if self.closed {
            return None;
        }
        let oldest = self.held.pop_front()?;
        self.account.remove(oldest.bytes.len());
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(bytes: &[u8]) -> Datagram<'_> {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        Datagram {
            destination: address,
            source: address,
            bytes,
        }
    }

    #[test]
    fn holds_dtls_in_order_and_lets_stun_through() {
        let mut gate = FlowControl::new(1000);
        assert!(!gate.holds(&datagram(&[23, 1])));
        gate.set_closed(true);
        assert!(gate.holds(&datagram(&[23, 1])));
        assert!(!gate.holds(&datagram(&[0, 1])));
        assert!(gate.release().is_none());
        gate.set_closed(false);
        assert!(
            gate.holds(&datagram(&[23, 2])),
            "a newer datagram must not pass a held one"
        );
        let released: Vec<_> = std::iter::from_fn(|| gate.release())
            .map(|held| held.bytes)
            .collect();
        assert_eq!(released, [[23, 1], [23, 2]]);
        assert!(!gate.holds(&datagram(&[23, 3])));
    }

    #[test]
    fn drops_the_tail_beyond_its_limit() {
        let mut gate = FlowControl::new(80_000);
        gate.set_closed(true);
        (0..200).for_each(|_| assert!(gate.holds(&datagram(&[23; 1200]))));
        gate.set_closed(false);
        let released = std::iter::from_fn(|| gate.release()).count();
        assert!((70..=80).contains(&released), "{released}");
    }

    #[test]
    fn tiny_datagrams_take_no_more_memory_than_large_ones() {
        let mut gate = FlowControl::new(80_000);
        gate.set_closed(true);
        (0..100_000).for_each(|_| assert!(gate.holds(&datagram(&[23]))));
        assert!(gate.held.len() < 1000, "{} are held", gate.held.len());
    }
}
