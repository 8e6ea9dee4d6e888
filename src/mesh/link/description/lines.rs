//! Reads single lines of descriptions, as the core needs them before there is a connection.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::protocol::fingerprint::parse as parse_fingerprint;
use crate::protocol::multicast_dns::is_local_name;

/// The largest message for a peer that announces no `a=max-message-size`: one byte less than the 64 KiB
/// of RFC 8841, because one message of exactly that size kills the channel of several stacks.
pub const UNANNOUNCED_MAX_MESSAGE_BYTES: usize = 65_535;

/// Returns the largest message that the sender of this description takes, in bytes (RFC 8841: 0 is no
/// limit).
pub fn max_message_bytes(sdp: &str) -> usize {
    let announced = sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=max-message-size:"))
        .and_then(|size| size.trim().parse::<u64>().ok());
    match announced {
        None => UNANNOUNCED_MAX_MESSAGE_BYTES,
        Some(0) => usize::MAX,
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
    }
}

/// Returns the SHA-256 fingerprint of the certificate of whoever sent this description (RFC 8122), in upper
/// case. There is none unless the description has one fingerprint exactly, written as ours write it: of
/// several the connection takes the one that it finds first.
pub fn fingerprint(sdp: &str) -> Option<String> {
    const ATTRIBUTE: &str = "fingerprint";
    let lines = sdp.split(['\r', '\n']);
    let mut told = lines.filter(|line| line.to_ascii_lowercase().contains(ATTRIBUTE));
    let (Some(line), None) = (told.next(), told.next()) else {
        return None;
    };
    parse_fingerprint(line.strip_prefix("a=fingerprint:sha-256 ")?)
}

/// Returns the candidate lines of a description, as they are trickled (RFC 8839 section 5.1).
pub fn candidates(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.lines().filter_map(candidate_of)
}

/// Returns the description with only the first `most` candidates.
pub fn limit_candidates(sdp: &str, most: usize) -> Cow<'_, str> {
    if candidates(sdp).nth(most).is_none() {
        return Cow::Borrowed(sdp);
    }
    let mut left = most;
    let mut is_kept = |line: &&str| {
        let is_candidate = candidate_of(line).is_some();
        let is_kept = !is_candidate || left > 0;
        left = left.saturating_sub(usize::from(is_candidate));
        is_kept
    };
    let lines = sdp.split_inclusive('\n');
    lines.filter(|line| is_kept(line)).collect()
}

fn candidate_of(line: &str) -> Option<&str> {
    line.strip_prefix("a=")
        .filter(|candidate| candidate.starts_with("candidate:"))
}

/// Returns the address of a candidate line and its kind, if it names an address (RFC 8839 section 5.1).
pub fn candidate_address(line: &str) -> Option<(SocketAddr, &'static str)> {
    let mut words = line.strip_prefix("candidate:")?.split(' ');
    let address = words.nth(4)?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let kind = words.nth(1)?;
    let kind = ["host", "srflx", "prflx", "relay"]
        .into_iter()
        .find(|known| *known == kind)?;
    Some((SocketAddr::new(address, port), kind))
}

/// Returns the name in a candidate line whose address is a name under `.local` (RFC 6762), as browsers
/// write it.
pub fn candidate_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("candidate:")?.split(' ').nth(4)?;
    is_local_name(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_without_announcement_gets_less_than_64_kib() {
        assert_eq!(max_message_bytes("v=0\r\na=mid:0\r\n"), 65_535);
        assert_eq!(max_message_bytes("a=max-message-size:262144\r\n"), 262_144);
        assert_eq!(max_message_bytes("a=max-message-size:65536\r\n"), 65_536);
        assert_eq!(max_message_bytes("a=max-message-size:0\r\n"), usize::MAX);
        assert_eq!(max_message_bytes("a=max-message-size:x\r\n"), 65_535);
    }

    #[test]
    fn a_candidate_that_names_an_address_is_read() {
        let line = "candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host ufrag x";
        let address = "192.0.2.7:5000".parse().unwrap();
        assert_eq!(candidate_address(line), Some((address, "host")));
        for useless in [
            "",
            "candidate:",
            "candidate:1 1 udp 1 x.local 5000 typ host",
            "candidate:1 1 udp 1 192.0.2.7 99999 typ host",
            "candidate:1 1 udp 1 192.0.2.7 5000 typ cat",
        ] {
            assert_eq!(candidate_address(useless), None, "{useless}");
        }
    }

    #[test]
    fn candidates_beyond_the_limit_are_left_out_and_nothing_else() {
        let sdp = "v=0\r\na=candidate:1\r\nm=x\na=candidate:2\na=candidate:3\r\na=mid:0\r\n";
        assert_eq!(
            candidates(sdp).collect::<Vec<_>>(),
            ["candidate:1", "candidate:2", "candidate:3"]
        );
        assert_eq!(limit_candidates(sdp, 3), sdp);
        let two = "v=0\r\na=candidate:1\r\nm=x\na=candidate:2\na=mid:0\r\n";
        assert_eq!(limit_candidates(sdp, 2), two);
        assert_eq!(limit_candidates(sdp, 0), "v=0\r\nm=x\na=mid:0\r\n");
    }

    #[test]
    fn a_name_under_local_is_found_in_its_candidate() {
        let line = "candidate:1 1 udp 2113937151 5aa0-1.local 49203 typ host";
        assert_eq!(candidate_name(line), Some("5aa0-1.local"));
        let line = "candidate:1 1 udp 2113937151 192.0.2.7 49203 typ host";
        assert_eq!(candidate_name(line), None);
    }

    #[test]
    fn only_one_fingerprint_that_is_written_as_ours_is_taken() {
        let bytes = vec!["0a"; 32].join(":");
        let line = format!("a=fingerprint:sha-256 {bytes}\r\n");
        assert_eq!(fingerprint(&line), Some(bytes.to_uppercase()));
        let odd = [
            format!("{line}{line}"),
            format!("a=fingerprint:sha-256  {bytes}\r\n"),
            format!("a=fingerprint:sha-256 {bytes} \r\n"),
            format!("a=fingerprint:SHA-256 {bytes}\r\n"),
            format!("a=fingerprint:sha-1 {bytes}\r\n{line}"),
            format!("a= fingerprint:sha-256 {bytes}\r\n"),
            format!("a=fingerprint:sha-256 {}\r\n", &bytes[3..]),
            String::new(),
        ];
        for sdp in odd {
            assert_eq!(fingerprint(&sdp), None, "{sdp}");
        }
    }
}
