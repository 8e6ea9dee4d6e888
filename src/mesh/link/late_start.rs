//! Holds back the first SCTP packets from a peer that is not ready for them as soon as DTLS is.
//!
//! aiortc before 1.16 reads nothing that comes in the same datagram as the end of the DTLS handshake, and
//! listens to SCTP only a moment later. What it misses is sent again only after 3 s.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Transmit;
use super::dtls_record::records;

/// How long the first packet is held back.
const MOMENT: Duration = Duration::from_millis(50);

/// The packets of one connection that are held back. Until they are released nothing comes in that could
/// be answered, so there is little of it: the packet that begins the association.
#[derive(Debug, Default)]
pub(crate) struct LateStart {
    until: Option<Instant>,
    held: VecDeque<Transmit>,
}

impl LateStart {
    /// Returns what to send now of a datagram, and holds back the application data in it.
    pub(crate) fn pass(&mut self, now: Instant, mut transmit: Transmit) -> Option<Transmit> {
        if self.is_over(now) {
            return Some(transmit);
        }
        let Some(at) = application_data(&transmit.bytes) else {
            return Some(transmit);
        };
        self.until.get_or_insert(now + MOMENT);
        let bytes = transmit.bytes.split_off(at);
        self.held.push_back(Transmit {
            source: transmit.source,
            destination: transmit.destination,
            bytes,
        });
        (at > 0).then_some(transmit)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until) && self.held.is_empty()
    }

    /// Takes out a datagram that has been held back long enough.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Transmit> {
        self.held
            .pop_front_if(|_| self.until.is_some_and(|until| now >= until))
    }

    /// Returns when the next held datagram is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.until.filter(|_| !self.held.is_empty())
    }
}

/// Returns where application data begins in a datagram of DTLS records.
fn application_data(datagram: &[u8]) -> Option<usize> {
    records(datagram)
        .find(|record| record.is_application_data())
        .map(|record| record.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: u8 = 22;
    const APPLICATION_DATA: u8 = 23;

    /// A datagram of records, each with its content type as its only content.
    fn datagram(types: &[u8]) -> Transmit {
        let record = |kind: &u8| [*kind, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, *kind];
        Transmit {
            source: "192.0.2.1:1".parse().unwrap(),
            destination: "192.0.2.2:2".parse().unwrap(),
            bytes: types.iter().flat_map(record).collect(),
        }
    }

    #[test]
    fn application_data_waits_for_its_moment_and_keeps_its_order() {
        let mut late = LateStart::default();
        let start = Instant::now();
        let both = late.pass(start, datagram(&[HANDSHAKE, APPLICATION_DATA]));
        assert_eq!(both.unwrap().bytes, datagram(&[HANDSHAKE]).bytes);
        assert_eq!(late.next(), Some(start + MOMENT));
        assert!(late.due(start + MOMENT / 2).is_none());
        let end = start + MOMENT;
        let behind = datagram(&[APPLICATION_DATA, APPLICATION_DATA]);
        assert!(late.pass(end, behind).is_none());
        assert_eq!(late.due(end).unwrap().bytes.len(), 14);
        assert_eq!(late.due(end).unwrap().bytes.len(), 28);
        assert_eq!(late.next(), None);
        assert!(late.pass(end, datagram(&[APPLICATION_DATA])).is_some());
    }

    #[test]
    fn everything_else_goes_at_once() {
        let mut late = LateStart::default();
        let mut binding = datagram(&[APPLICATION_DATA]);
        binding.bytes[0] = 0;
        let mut broken = datagram(&[HANDSHAKE]);
        broken.bytes.truncate(5);
        for transmit in [datagram(&[HANDSHAKE, 20]), datagram(&[]), binding, broken] {
            assert!(late.pass(Instant::now(), transmit).is_some());
        }
        assert_eq!(late.next(), None);
    }
}
