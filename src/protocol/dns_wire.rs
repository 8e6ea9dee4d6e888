//! The packets of the DNS (RFC 1035 section 4), as multicast DNS and name servers use them.

use std::net::IpAddr;

pub(super) const HEADER_BYTES: usize = 12;
/// The first bit of the flags, which marks an answer (RFC 1035 section 4.1.1).
const IS_ANSWER: u16 = 0x8000;
pub(super) const TYPE_A: u16 = 1;
pub(super) const TYPE_CNAME: u16 = 5;
pub(super) const TYPE_AAAA: u16 = 28;
pub(super) const CLASS_INTERNET: u16 = 1;
/// Longest label and longest name on the wire, in bytes (RFC 1035 section 2.3.4).
pub(super) const LABEL_BYTES: usize = 63;
pub(super) const NAME_BYTES: usize = 255;

/// Appends a name whose labels are not longer than [`LABEL_BYTES`].
pub(super) fn push_name(name: &str, packet: &mut Vec<u8>) {
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap_or(0));
        packet.extend(label.bytes());
    }
    packet.push(0);
}

/// The header of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: u16,
    pub(super) questions: u16,
    pub(super) answers: u16,
    /// The records after the answers.
    pub(super) others: u16,
}

impl Header {
    /// Reads the header; `None` if the packet is shorter.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let mut reader = Reader { packet, at: 0 };
        let (id, flags) = (reader.number()?, reader.number()?);
        let (questions, answers) = (reader.number()?, reader.number()?);
        let others = reader.number()?.saturating_add(reader.number()?);
        Some(Header {
            id,
            flags,
            questions,
            answers,
            others,
        })
    }

    pub(super) fn is_answer(&self) -> bool {
        self.flags & IS_ANSWER != 0
    }

    /// Returns a reader at the first record, behind at most `limit` questions.
    pub(super) fn records<'a>(&self, packet: &'a [u8], limit: usize) -> Option<Reader<'a>> {
        let mut reader = self.body(packet);
        for _ in 0..usize::from(self.questions).min(limit) {
            reader.name()?;
            reader.take(4)?;
        }
        Some(reader)
    }

    /// Returns a reader behind the header.
    pub(super) fn body<'a>(&self, packet: &'a [u8]) -> Reader<'a> {
        Reader {
            packet,
            at: HEADER_BYTES,
        }
    }
}

/// A reader of a packet.
pub(super) struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Returns the next bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.packet.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// Returns the next two bytes as a number.
    pub(super) fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    /// Reads a name, which may continue elsewhere in the packet (RFC 1035 section 4.1.4). Each jump has to
    /// lead backwards, so that reading ends.
    pub(super) fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut reader = Reader {
            packet: self.packet,
            at: self.at,
        };
        let mut lowest = self.at;
        let mut has_jumped = false;
        loop {
            let length = usize::from(*reader.take(1)?.first()?);
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    let label = std::str::from_utf8(reader.take(length)?).ok()?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.chars().map(|letter| letter.to_ascii_lowercase()));
                    if name.len() > NAME_BYTES {
                        return None;
                    }
                }
                3 => {
                    let low = usize::from(*reader.take(1)?.first()?);
                    if !has_jumped {
                        self.at = reader.at;
                    }
                    has_jumped = true;
                    reader.at = (length & 0x3f) << 8 | low;
                    if reader.at >= lowest {
                        return None;
                    }
                    lowest = reader.at;
                }
                _ => return None,
            }
        }
        if !has_jumped {
            self.at = reader.at;
        }
        Some(name)
    }

    /// Reads a record (RFC 1035 section 4.1.3).
    pub(super) fn record(&mut self) -> Option<Record<'a>> {
        let name = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        let _time_to_live = self.take(4)?;
        let length = usize::from(self.number()?);
        let inside = Reader {
            packet: self.packet,
            at: self.at,
        };
        Some(Record {
            name,
            kind,
            class,
            data: self.take(length)?,
            inside,
        })
    }
}

/// A record: what is known of a name.
pub(super) struct Record<'a> {
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) class: u16,
    data: &'a [u8],
    /// A reader at the beginning of the data.
    inside: Reader<'a>,
}

impl Record<'_> {
    /// Returns the address, if it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.kind {
            TYPE_A => <[u8; 4]>::try_from(self.data).ok().map(IpAddr::from),
            TYPE_AAAA => <[u8; 16]>::try_from(self.data).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// Returns the name that the data is.
    pub(super) fn target(mut self) -> Option<String> {
        self.inside.name()
    }
}
