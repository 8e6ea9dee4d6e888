//! Takes FORWARD-TSN (RFC 3758) out of what a peer's description says that its SCTP supports.
//!
//! The description holds the SCTP INIT chunk of the peer (`a=sctp-init`, draft-hancke-tsvwg-snap). If both sides
//! support FORWARD-TSN, sctp-proto looks for expired messages twice in everything under way each time it is polled.
//! Ours never expire. Nothing changes on the wire: a side that reads this merely never sends FORWARD-TSN.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ATTRIBUTE: &str = "a=sctp-init:";

/// The type of an INIT chunk, and how long it is without parameters (RFC 9260 section 3.3.2).
const INIT: u8 = 1;
const FIXED_BYTES: usize = 20;
/// The type and the length of a parameter (RFC 9260 section 3.2.1).
const PARAMETER_HEADER_BYTES: usize = 4;

/// The parameter Forward-TSN-Supported (RFC 3758 section 3.1).
const FORWARD_TSN_SUPPORTED: [u8; 2] = [0xc0, 0x00];
/// The parameter Supported Extensions, a list of types of chunks (RFC 5061 section 4.2.7).
const SUPPORTED_EXTENSIONS: [u8; 2] = [0x80, 0x08];
/// The chunks FORWARD-TSN and I-FORWARD-TSN (RFC 8260 section 2.3.1).
const FORWARD_TSN_CHUNKS: [u8; 2] = [0xc0, 0xc2];

/// Returns the description with an INIT chunk that does not support FORWARD-TSN. What can't be read stays as it is.
pub fn without_forward_tsn(sdp: &str) -> Cow<'_, str> {
    if !sdp.lines().any(|line| line.starts_with(ATTRIBUTE)) {
        return Cow::Borrowed(sdp);
    }
    let mut rewritten = String::with_capacity(sdp.len());
    for line in sdp.split_inclusive('\n') {
        let (text, end) = line.split_at(line.trim_end().len());
        match text.strip_prefix(ATTRIBUTE).and_then(rewrite) {
            Some(init) => rewritten.extend([ATTRIBUTE, &init]),
            None => rewritten.push_str(text),
        }
        rewritten.push_str(end);
    }
    Cow::Owned(rewritten)
}

fn rewrite(encoded: &str) -> Option<String> {
    let chunk = STANDARD.decode(encoded).ok()?;
    Some(STANDARD.encode(without_parameters(&chunk)?))
}

/// Returns the INIT chunk without what says that FORWARD-TSN is supported; `None` if it is no such chunk.
fn without_parameters(chunk: &[u8]) -> Option<Vec<u8>> {
    let [INIT, flags, high, low, ..] = *chunk else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let mut rewritten = chunk.get(..FIXED_BYTES)?.to_vec();
    let mut rest = chunk.get(FIXED_BYTES..length)?;
    while !rest.is_empty() {
        let [first, second, high, low, ..] = *rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = rest.get(PARAMETER_HEADER_BYTES..length)?;
        let (kind, padded) = ([first, second], length.next_multiple_of(4));
        match kind {
            FORWARD_TSN_SUPPORTED => {}
            SUPPORTED_EXTENSIONS => {
                let kept = value
                    .iter()
                    .filter(|kind| !FORWARD_TSN_CHUNKS.contains(kind));
                push_parameter(&mut rewritten, kind, &kept.copied().collect::<Vec<_>>())?;
            }
            _ => push_parameter(&mut rewritten, kind, value)?,
        }
        rest = rest.get(padded..).unwrap_or_default();
    }
    let length = u16::try_from(rewritten.len()).ok()?.to_be_bytes();
    let header = [INIT, flags].into_iter().chain(length);
    rewritten.splice(..PARAMETER_HEADER_BYTES, header);
    Some(rewritten)
}

/// Appends a parameter. The length of the chunk counts the padding before it, and none after the last.
fn push_parameter(chunk: &mut Vec<u8>, kind: [u8; 2], value: &[u8]) -> Option<()> {
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    let length = u16::try_from(PARAMETER_HEADER_BYTES + value.len()).ok()?;
    chunk.extend(kind.into_iter().chain(length.to_be_bytes()));
    chunk.extend(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An INIT chunk with these parameters, each padded but for the last.
    fn init(parameters: &[(u16, &[u8])]) -> Vec<u8> {
        let mut chunk = vec![INIT, 0, 0, 0];
        chunk.extend([7; FIXED_BYTES - 4]);
        for (kind, value) in parameters {
            push_parameter(&mut chunk, kind.to_be_bytes(), value).unwrap();
        }
        let length = u16::try_from(chunk.len()).unwrap();
        chunk[2..4].copy_from_slice(&length.to_be_bytes());
        chunk
    }

    fn description(chunk: &[u8]) -> String {
        let init = STANDARD.encode(chunk);
        format!("v=0\r\nm=application 9\r\na=sctp-init:{init}\r\na=mid:0\r\n")
    }

    #[test]
    fn forward_tsn_is_taken_out_and_nothing_else() {
        let before = init(&[
            (0x8008, &[0x82, 0xc0, 0xc1, 0xc2, 0x40]),
            (0xc000, &[]),
            (0x8001, &[1, 2, 3]),
        ]);
        let after = init(&[(0x8008, &[0x82, 0xc1, 0x40]), (0x8001, &[1, 2, 3])]);
        let rewritten = description(&after);
        assert_eq!(without_forward_tsn(&description(&before)), rewritten);
        assert_eq!(without_forward_tsn(&rewritten), rewritten);
    }

    #[test]
    fn a_chunk_may_be_padded_at_its_end() {
        let mut chunk = init(&[(0x8008, &[0x82, 0xc0])]);
        chunk.extend([0, 0]);
        let expected = description(&init(&[(0x8008, &[0x82])]));
        assert_eq!(without_forward_tsn(&description(&chunk)), expected);
    }

    #[test]
    fn what_is_no_init_stays_as_it_is() {
        let mut init_ack = init(&[(0xc000, &[])]);
        init_ack[0] = 2;
        let mut too_long = init(&[(0xc000, &[])]);
        too_long[3] += 1;
        let mut endless = init(&[(0xc000, &[])]);
        endless[FIXED_BYTES + 3] = 0;
        let odd = [init_ack, too_long, endless, vec![INIT; 5], Vec::new()];
        for sdp in odd.map(|chunk| description(&chunk)) {
            assert_eq!(without_forward_tsn(&sdp), sdp);
        }
        for sdp in ["", "a=sctp-init:\r\n", "a=sctp-init:!\n", "v=0\r\n"] {
            assert_eq!(without_forward_tsn(sdp), sdp);
        }
    }

    #[test]
    fn no_chunk_is_too_odd() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut chunk = init(&[(0x8008, &[0x82, 0xc0, 0xc2]), (0xc000, &[]), (0x8001, &[1])]);
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..chunk.len());
                chunk[at] = random.u8(..);
            }
            chunk.truncate(random.usize(..=chunk.len()));
            let once = without_forward_tsn(&description(&chunk)).into_owned();
            assert_eq!(without_forward_tsn(&once), once);
        }
    }
}
