//! Slowing a peer that is not ours: its DTLS datagrams are held, in order, until the agent has room.
//!
//! str0m can't be paused, but a transport that hears no acknowledgement stops by itself. STUN goes
//! through, so the path stays up. A newer datagram must never pass a held one: DTLS would take the
//! held ones for replays.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::link::Datagram;

/// A held datagram.
#[derive(Debug)]
pub(super) struct Held {
    destination: SocketAddr,
    source: SocketAddr,
    bytes: Vec<u8>,
}

impl Held {
    pub(super) fn as_datagram(&self) -> Datagram<'_> {
        Datagram {
            destination: self.destination,
            source: self.source,
            bytes: &self.bytes,
        }
    }
}

/// Holds the DTLS datagrams of one connection while it is closed.
#[derive(Debug)]
pub(super) struct Gate {
    closed: bool,
    held: VecDeque<Held>,
    held_bytes: usize,
    limit: usize,
}

impl Gate {
    /// An open gate that will hold what a peer may have under way to a receive window of
    /// `window_bytes`, and a quarter more for what surrounds it. The tail beyond is dropped; the
    /// peer's transport sends it again.
    pub(super) fn new(window_bytes: usize) -> Self {
        Gate {
            closed: false,
            held: VecDeque::new(),
            held_bytes: 0,
            limit: window_bytes + window_bytes / 4,
        }
    }

    pub(super) fn set_closed(&mut self, closed: bool) {
        self.closed = closed;
    }

    /// Keeps the datagram if it has to wait; `false` when it may pass.
    pub(super) fn holds(&mut self, datagram: &Datagram<'_>) -> bool {
        // RFC 7983: the first byte of a DTLS record is 20 to 63.
        let is_dtls = matches!(datagram.bytes.first(), Some(20..=63));
        if !is_dtls || (!self.closed && self.held.is_empty()) {
            return false;
        }
        if self.held_bytes + datagram.bytes.len() <= self.limit {
            self.held_bytes += datagram.bytes.len();
            self.held.push_back(Held {
                destination: datagram.destination,
                source: datagram.source,
                bytes: datagram.bytes.to_vec(),
            });
        }
        true
    }

    /// The oldest held datagram, once the gate is open again.
    pub(super) fn release(&mut self) -> Option<Held> {
        if self.closed {
            return None;
        }
        let oldest = self.held.pop_front()?;
        self.held_bytes -= oldest.bytes.len();
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
        let mut gate = Gate::new(1000);
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
        let mut gate = Gate::new(80);
        gate.set_closed(true);
        let record = [23; 60];
        assert!(gate.holds(&datagram(&record)));
        assert!(gate.holds(&datagram(&record)));
        gate.set_closed(false);
        assert_eq!(std::iter::from_fn(|| gate.release()).count(), 1);
    }
}
