//! Questions to name servers for the addresses of a name, and their answers (RFC 1035, RFC 3596).

use std::net::IpAddr;

use super::dns_wire::{
    CLASS_INTERNET, HEADER_BYTES, Header, LABEL_BYTES, NAME_BYTES, TYPE_A, TYPE_AAAA, TYPE_CNAME,
    push_name,
};
use crate::limits;

/// Flags: recursion is desired; the answer is cut; the code of the result.
const RECURSION_DESIRED: u16 = 0x0100;
const IS_CUT: u16 = 0x0200;
const RESULT: u16 = 0x000f;
const NO_SUCH_NAME: u16 = 3;

/// A family of addresses, each asked for on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4: records of type A.
    V4,
    /// IPv6: records of type AAAA.
    V6,
}

impl Family {
    fn kind(self) -> u16 {
        match self {
            Family::V4 => TYPE_A,
            Family::V6 => TYPE_AAAA,
        }
    }
}

/// The answer of a name server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The addresses of the family, of which there may be none.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The answer is too long for UDP.
    Cut,
    /// The server has failed.
    Failed,
}

/// Returns a question for the addresses of a name; `None` if it can't be one of the DNS.
pub fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| (1..=LABEL_BYTES).contains(&label.len());
    if name.len() + 2 > NAME_BYTES || !name.split('.').all(is_label) {
        return None;
    }
    let mut packet = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    for number in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        packet.extend(number.to_be_bytes());
    }
    push_name(name, &mut packet);
    packet.extend(family.kind().to_be_bytes());
    packet.extend(CLASS_INTERNET.to_be_bytes());
    Some(packet)
}

/// Reads the answer to such a question; `None` if the packet is none, or can't be read. Only addresses of the
/// name itself count, and of those that it is an alias of; at most [`limits::DNS_RECORDS`] records are read.
pub fn reply(packet: &[u8], id: u16, name: &str, family: Family) -> Option<Reply> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let header = Header::of(packet)?;
    if !header.is_answer() || header.id != id || header.questions != 1 {
        return None;
    }
    let mut reader = header.body(packet);
    let is_asked = reader.name()? == name
        && reader.number()? == family.kind()
        && reader.number()? == CLASS_INTERNET;
    if !is_asked {
        return None;
    }
    match header.flags & RESULT {
        0 if header.flags & IS_CUT != 0 => return Some(Reply::Cut),
        0 => {}
        NO_SUCH_NAME => return Some(Reply::NoSuchName),
        _ => return Some(Reply::Failed),
    }
    let (mut names, mut found) = (vec![name], Vec::new());
    for _ in 0..usize::from(header.answers).min(limits::DNS_RECORDS) {
        let record = reader.record()?;
        if record.class != CLASS_INTERNET || !names.contains(&record.name) {
            continue;
        }
        if record.kind == TYPE_CNAME {
            names.extend(record.target());
        } else if record.kind == family.kind() {
            found.extend(record.address());
        }
    }
    Some(Reply::Addresses(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u16 = 0x1234;

    /// An answer with these flags to a question for `Reg.Test`, and these records after its question.
    fn answer(family: Family, flags: u16, count: u8, records: &[u8]) -> Vec<u8> {
        let mut packet = question(ID, "Reg.Test", family).unwrap();
        packet.splice(2..4, (0x8180 | flags).to_be_bytes());
        packet.splice(6..8, [0, count]);
        packet.extend(records);
        packet
    }

    fn read(packet: &[u8], family: Family) -> Option<Reply> {
        reply(packet, ID, "reg.test.", family)
    }

    #[test]
    fn addresses_are_taken_of_the_name_and_of_what_it_is_an_alias_of() {
        let mut records = Vec::new();
        // reg.test is an alias of a.test, whose address follows; one of another name follows that.
        records.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x08\x01a\x04test\0");
        records.extend(b"\x01A\x04test\0\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01");
        records.extend(b"\x01b\x04test\0\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x02");
        let packet = answer(Family::V4, 0, 3, &records);
        let expected = Reply::Addresses(vec![IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(read(&packet, Family::V4), Some(expected));
        for end in 0..packet.len() {
            read(&packet[..end], Family::V4);
        }
        let none = answer(Family::V6, 0, 0, b"");
        assert_eq!(read(&none, Family::V6), Some(Reply::Addresses(Vec::new())));
    }

    #[test]
    fn failures_are_told_apart_and_what_answers_another_question_is_no_answer() {
        let with = |flags| read(&answer(Family::V6, flags, 0, b""), Family::V6);
        assert_eq!(with(2), Some(Reply::Failed));
        assert_eq!(with(3), Some(Reply::NoSuchName));
        assert_eq!(with(IS_CUT), Some(Reply::Cut));
        let packet = answer(Family::V4, 0, 0, b"");
        assert_eq!(read(&packet, Family::V6), None);
        assert_eq!(reply(&packet, ID + 1, "reg.test", Family::V4), None);
        assert_eq!(reply(&packet, ID, "reg.tess", Family::V4), None);
        let asked = question(ID, "reg.test", Family::V4).unwrap();
        assert_eq!(read(&asked, Family::V4), None);
    }

    #[test]
    fn only_names_of_the_dns_are_asked_for() {
        assert!(question(ID, "a_b.test.", Family::V4).is_some());
        let long = "a".repeat(64);
        for name in ["", ".", "a..b", long.as_str(), &"a.".repeat(130)] {
            assert_eq!(question(ID, name, Family::V4), None, "{name}");
        }
    }
}
