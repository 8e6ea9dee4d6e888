//! Reads the headers of the DTLS records in a datagram (RFC 6347 section 4.1). They are not encrypted, and may be
//! anybody's.

/// The length of a header: type, version, epoch, sequence number, length.
const HEADER_BYTES: usize = 13;

/// The type of a record with application data.
const APPLICATION_DATA: u8 = 23;

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    kind: u8,
    /// Its number, in order of sending: epoch and sequence number.
    pub(crate) number: u64,
    /// Where in the datagram it begins.
    pub(crate) at: usize,
    /// Its length behind the header, in bytes.
    pub(crate) length: usize,
}

impl Record {
    /// Returns whether it holds application data: SCTP packets.
    pub(crate) fn is_application_data(self) -> bool {
        self.kind == APPLICATION_DATA
    }
}

/// Returns the records of a datagram, up to the first that is none.
pub(crate) fn records(datagram: &[u8]) -> impl Iterator<Item = Record> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let at = next;
        let header = datagram.get(at..at + HEADER_BYTES)?;
        let (&[kind @ 20..=23, _, _], rest) = header.split_first_chunk()? else {
            return None;
        };
        let (number, length) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        next += HEADER_BYTES + length;
        Some(Record {
            kind,
            number: u64::from_be_bytes(*number),
            at,
            length,
        })
    })
}
