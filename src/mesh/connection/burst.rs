//! A burst: datagrams that are there together are given to the transport together, so that one acknowledgement answers
//! them all. An acknowledgement costs both sides about as much as a packet.
//!
//! A peer of another make gets one for every second packet, as SCTP wants it. aiortc sends four more packets for each
//! acknowledgement: when one answers all that are under way it falls into step with us, and when the last step of a
//! message is a single packet, it waits the 200 ms by which a single one is acknowledged.
//!
//! Where a packet is missing each one behind it is to be answered by itself: the peer sends again what three
//! acknowledgements have reported missing. The numbers of the records tell it, because they are not encrypted.
//!
//! And when a connection ends, the stack forgets the messages that were not taken out of it. So they are taken before
//! it is given a record that may end it: an alert, or, of other makes, whatever is so small that SCTP may end the
//! association or a stream with it.

use crate::limits;
use crate::mesh::link::dtls_record::{Record, records};

/// How many records are answered by themselves after one that is not the next in order. Three would do, if none of
/// the answers were lost.
const APART_AFTER_GAP: usize = 8;

/// More than SCTP's packets have that end an association or a stream, in a DTLS record.
const ENDING_BYTES: usize = 300;

/// The datagrams that one link was given since its outputs were last taken.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    /// How many records they hold.
    records: usize,
    /// The number of the record that comes next, if none is missing.
    next: Option<u64>,
    /// How many more records are answered by themselves.
    apart: usize,
}

impl Burst {
    /// Returns whether the link may be given this datagram before its outputs are taken. It may be given any when they
    /// were.
    pub(crate) fn has_room_for(&self, datagram: &[u8], is_of_other_make: bool) -> bool {
        let may_end = |record: &Record| {
            !record.is_application_data() || is_of_other_make && record.length < ENDING_BYTES
        };
        let count = records(datagram).count();
        let has_room = count > 0 && self.records + count <= most_records(is_of_other_make);
        !self.is_waiting() || has_room && !records(datagram).any(|record| may_end(&record))
    }

    /// Notes that the link was given a datagram. Returns whether its outputs may wait for further ones.
    pub(crate) fn add(&mut self, datagram: &[u8], is_of_other_make: bool) -> bool {
        let mut is_all_data = true;
        for record in records(datagram) {
            self.records += 1;
            is_all_data &= record.is_application_data();
            self.look_for_gap(record);
        }
        is_all_data
            && self.apart == 0
            && self.is_waiting()
            && self.records < most_records(is_of_other_make)
    }

    fn look_for_gap(&mut self, record: Record) {
        let expected = self.next.replace(record.number.wrapping_add(1));
        self.apart = match expected {
            Some(expected) if expected != record.number => APART_AFTER_GAP,
            _ => self.apart.saturating_sub(1),
        };
    }

    /// Notes that the link's outputs were taken.
    pub(crate) fn drained(&mut self) {
        self.records = 0;
    }

    /// Returns whether outputs wait to be taken.
    pub(crate) fn is_waiting(&self) -> bool {
        self.records > 0
    }
}

/// Returns how many records the link is given at most before its outputs are taken.
fn most_records(is_of_other_make: bool) -> usize {
    match is_of_other_make {
        true => limits::BURST_RECORDS_OF_OTHERS,
        false => limits::BURST_RECORDS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram of empty records with these types and numbers.
    fn datagram(records: &[(u8, u64)]) -> Vec<u8> {
        let header = |(kind, number): &(u8, u64)| {
            let mut header = vec![*kind, 254, 253];
            header.extend(number.to_be_bytes());
            header.extend([0, 0]);
            header
        };
        records.iter().flat_map(header).collect()
    }

    /// A datagram of one record of data with this number and length.
    fn data(number: u64, length: u16) -> Vec<u8> {
        let mut record = datagram(&[(23, number)]);
        record.truncate(11);
        record.extend(length.to_be_bytes());
        record.resize(record.len() + usize::from(length), 0);
        record
    }

    /// Returns of each number of a record whether its outputs may wait, when no more than these have come.
    fn waits(numbers: &[u64], is_of_other_make: bool) -> Vec<bool> {
        let mut burst = Burst::default();
        let add = |number: &u64| {
            let may_wait = burst.add(&datagram(&[(23, *number)]), is_of_other_make);
            if !may_wait {
                burst.drained();
            }
            may_wait
        };
        numbers.iter().map(add).collect()
    }

    #[test]
    fn the_last_that_has_room_waits_no_longer() {
        for (most, is_of_other_make) in [
            (limits::BURST_RECORDS, false),
            (limits::BURST_RECORDS_OF_OTHERS, true),
        ] {
            let all: Vec<_> = (5..5 + 2 * most as u64).collect();
            let waiting = waits(&all, is_of_other_make);
            let (last, others) = waiting[..most].split_last().unwrap();
            assert!(!last && others.iter().all(|waits| *waits));
            assert_eq!(waiting[..most], waiting[most..]);
        }
    }

    #[test]
    fn records_are_counted_and_not_datagrams() {
        let of = |count: u64, first: u64| {
            let records: Vec<_> = (first..first + count).map(|number| (23, number)).collect();
            datagram(&records)
        };
        let most = limits::BURST_RECORDS as u64;
        let mut burst = Burst::default();
        assert!(
            burst.has_room_for(&of(most + 1, 0), false),
            "one alone may be larger"
        );
        assert!(burst.add(&of(most - 2, 0), false));
        assert!(burst.has_room_for(&of(2, most - 2), false));
        assert!(!burst.has_room_for(&of(3, most - 2), false));
        assert!(!burst.add(&of(2, most - 2), false));
    }

    #[test]
    fn behind_a_gap_each_is_answered_by_itself_for_a_while() {
        for behind in [[1, 2, 4, 5, 6, 7], [1, 2, 2, 3, 4, 5], [1, 3, 2, 4, 5, 6]] {
            let waiting = waits(&behind, false);
            let gap = waiting.iter().position(|waits| !waits).unwrap();
            assert!(waiting[gap..].iter().all(|waits| !waits), "{behind:?}");
        }
        let (first, last) = (3, 3 + 2 * APART_AFTER_GAP as u64);
        let behind: Vec<_> = [1].into_iter().chain(first..last).collect();
        let waiting = waits(&behind, false);
        let apart = waiting.iter().skip_while(|waits| **waits);
        assert_eq!(apart.take_while(|waits| !**waits).count(), APART_AFTER_GAP);
    }

    #[test]
    fn what_is_no_application_data_waits_for_nothing() {
        let alert = datagram(&[(23, 1), (21, 2)]);
        let cut = &datagram(&[(23, 1)])[..5];
        for odd in [&alert[..], cut, &[], b"garbage that is no record"] {
            assert!(!Burst::default().add(odd, false), "{odd:?}");
        }
    }

    #[test]
    fn what_may_end_the_connection_comes_after_everything_was_taken() {
        let mut burst = Burst::default();
        let (alert, small, large) = (datagram(&[(21, 2)]), data(2, 60), data(2, 1200));
        for is_of_other_make in [false, true] {
            assert!(burst.has_room_for(&alert, is_of_other_make));
            assert!(burst.has_room_for(&small, is_of_other_make));
        }
        assert!(burst.add(&data(1, 1200), true));
        for is_of_other_make in [false, true] {
            assert!(!burst.has_room_for(&alert, is_of_other_make));
            assert!(!burst.has_room_for(&alert[1..], is_of_other_make));
            assert!(burst.has_room_for(&large, is_of_other_make));
            assert_eq!(
                burst.has_room_for(&small, is_of_other_make),
                !is_of_other_make
            );
        }
    }
}
