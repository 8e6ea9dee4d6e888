//! The part of multicast DNS (RFC 6762) that finds the address behind a `.local` name. Browsers put such
//! names into their candidates in place of private addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use super::dns_wire::{
    CLASS_INTERNET, HEADER_BYTES, Header, LABEL_BYTES, NAME_BYTES, TYPE_A, TYPE_AAAA, push_name,
};
use crate::limits;

/// Multicast group that questions go to and answers come from (RFC 6762 section 3).
pub const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);

/// The first bit of the class. In a question it asks for an answer to us alone (RFC 6762 section 5.4); in
/// an answer it says that older answers are void (section 10.2).
const TOP_BIT: u16 = 0x8000;

/// Returns whether a candidate's address is a name to be resolved: letters, digits and dashes, with
/// `.local` at the end.
pub fn is_local_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() + 2 <= NAME_BYTES
        && name
            .rsplit_once('.')
            .is_some_and(|(host, last)| last.eq_ignore_ascii_case("local") && !host.is_empty())
        && name.split('.').all(is_label)
}

/// Returns the question for the addresses of both families of a name for which [`is_local_name`] holds.
pub fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![0; HEADER_BYTES];
    // The fifth and the sixth byte count the questions.
    packet.splice(4..6, 2_u16.to_be_bytes());
    for kind in [TYPE_A, TYPE_AAAA] {
        push_name(name, &mut packet);
        packet.extend(kind.to_be_bytes());
        packet.extend((CLASS_INTERNET | TOP_BIT).to_be_bytes());
    }
    packet
}

/// Returns the addresses in an answer, each with its name in lower case. The list ends at the first thing
/// that cannot be read; a packet that is no answer has none.
pub fn addresses(packet: &[u8]) -> Vec<(String, IpAddr)> {
    let mut found = Vec::new();
    // It is `None` where the packet ends early; what was found until there counts.
    let _ = collect_addresses(packet, &mut found);
    found
}

fn collect_addresses(packet: &[u8], found: &mut Vec<(String, IpAddr)>) -> Option<()> {
    let header = Header::of(packet)?;
    if !header.is_answer() {
        return None;
    }
    let limit = limits::MULTICAST_DNS_RECORDS;
    let mut reader = header.records(packet, limit)?;
    let records = usize::from(header.answers) + usize::from(header.others);
    for _ in 0..records.min(limit) {
        let record = reader.record()?;
        if record.class & !TOP_BIT == CLASS_INTERNET {
            found.extend(record.address().map(|address| (record.name, address)));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const NAME: &str = "5aa0e5d4-3a3c-4a2e-9a5d-4a4f2f2b5c1e.local";

    fn name_bytes(name: &str) -> Vec<u8> {
        let labels = name.split('.');
        let mut bytes: Vec<_> = labels
            .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
            .collect();
        bytes.push(0);
        bytes
    }

    /// An answer of these records: name on the wire, type, class, data.
    fn answer(records: &[(&[u8], u16, u16, &[u8])]) -> Vec<u8> {
        let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0];
        for (name, kind, class, data) in records {
            packet.extend_from_slice(name);
            packet.extend(kind.to_be_bytes());
            packet.extend(class.to_be_bytes());
            packet.extend([0, 0, 0, 120]);
            packet.extend((data.len() as u16).to_be_bytes());
            packet.extend_from_slice(data);
        }
        packet
    }

    #[test]
    fn a_question_asks_for_both_families() {
        let packet = question("a-1.local");
        let name = b"\x03a-1\x05local\0";
        let mut expected = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
        expected.extend_from_slice(name);
        expected.extend([0, 1, 0x80, 1]);
        expected.extend_from_slice(name);
        expected.extend([0, 28, 0x80, 1]);
        assert_eq!(packet, expected);
        assert_eq!(addresses(&packet), [], "a question gives no address");
    }

    #[test]
    fn addresses_of_both_families_are_found_among_other_records() {
        let name = name_bytes(&NAME.to_ascii_uppercase());
        let v6 = "2001:db8::7".parse::<Ipv6Addr>().unwrap();
        // The second and the third name point to the first.
        let packet = answer(&[
            (&name, TYPE_A, CLASS_INTERNET | TOP_BIT, &[192, 0, 2, 7]),
            (&[0xc0, 12], 47, CLASS_INTERNET, &[1, 2, 3]),
            (&[0xc0, 12], TYPE_AAAA, CLASS_INTERNET, &v6.octets()),
            (&[0xc0, 12], TYPE_A, 3, &[192, 0, 2, 8]),
        ]);
        let found = addresses(&packet);
        assert_eq!(
            found,
            [
                (NAME.to_owned(), IpAddr::from([192, 0, 2, 7])),
                (NAME.to_owned(), IpAddr::from(v6)),
            ]
        );
        for end in 0..packet.len() {
            assert!(addresses(&packet[..end]).len() <= 2);
        }
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        for pointer in [[0xc0, 12], [0xc0, 13], [0xff, 0xff]] {
            let packet = answer(&[(&pointer, TYPE_A, CLASS_INTERNET, &[192, 0, 2, 7])]);
            assert_eq!(addresses(&packet), []);
        }
    }

    #[test]
    fn only_plain_names_under_local_are_asked_for() {
        assert!(is_local_name(NAME));
        assert!(is_local_name("printer.LOCAL"));
        let long = format!("{}.local", "a".repeat(64));
        for other in [
            "local",
            ".local",
            "a..local",
            "a.example",
            "ä.local",
            "a b.local",
            &long,
        ] {
            assert!(!is_local_name(other), "{other}");
        }
    }
}
