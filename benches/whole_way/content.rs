//! The messages of the benchmark: each can be told apart from the others, and checked without being built
//! again.

use std::ops::Range;

/// Longest payload, in bytes.
const PAYLOAD_BYTES: usize = 256 * 1024;

/// Payloads begin at different places of one text; prime, so that neighbours differ.
const STARTS: u64 = 4093;

// The members stand in the order of their names, because other sidecars build a message anew and put them into it.
const HEAD: &str = r#"{"payload":""#;
const MIDDLE: &str = r#"","request_id":""#;
/// Digits of the number that follows [`MIDDLE`].
const DIGITS: usize = 10;
const TAIL: &str = r#"","source_agent":"","target_agent":"","type":"ping"}"#;
const FRAME_BYTES: usize = HEAD.len() + DIGITS + MIDDLE.len() + TAIL.len();

/// The beginning of a message that is too small for [`HEAD`]: its payload is its type.
const BARE_HEAD: &str = r#"{"type":""#;
const BARE_TAIL: &str = r#""}"#;
/// Length of the smallest message that there is.
const LEAST_BYTES: usize = BARE_HEAD.len() + BARE_TAIL.len();

/// Mesh messages of one size, each with a number and a payload of its own.
pub(crate) struct Content {
    text: Vec<u8>,
    payload_bytes: usize,
    frame_bytes: usize,
}

impl Content {
    /// Messages of `bytes` bytes of JSON text; fewer than [`LEAST_BYTES`] are not possible. Of fewer
    /// than 91 only the payload is there to tell them apart.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let length = PAYLOAD_BYTES + STARTS as usize;
        let frame_bytes = if bytes < FRAME_BYTES {
            LEAST_BYTES
        } else {
            FRAME_BYTES
        };
        Content {
            text: (0..length).map(|_| random.alphanumeric() as u8).collect(),
            payload_bytes: bytes.saturating_sub(frame_bytes).min(PAYLOAD_BYTES),
            frame_bytes,
        }
    }

    fn is_bare(&self) -> bool {
        self.frame_bytes == LEAST_BYTES
    }

    /// Length of each message.
    pub(crate) fn bytes(&self) -> usize {
        self.frame_bytes + self.payload_bytes
    }

    /// Appends message `number`.
    pub(crate) fn append(&self, number: u64, out: &mut Vec<u8>) {
        if self.is_bare() {
            out.extend_from_slice(BARE_HEAD.as_bytes());
            out.extend_from_slice(self.payload(number));
            out.extend_from_slice(BARE_TAIL.as_bytes());
            return;
        }
        out.extend_from_slice(HEAD.as_bytes());
        out.extend_from_slice(self.payload(number));
        out.extend_from_slice(MIDDLE.as_bytes());
        out.extend_from_slice(&digits(number));
        out.extend_from_slice(TAIL.as_bytes());
    }

    /// Whether `text` is message `number`, byte for byte; but for the fields that a sidecar adds to a
    /// small one.
    pub(crate) fn matches(&self, number: u64, text: &[u8]) -> bool {
        let mut rest = Some(text);
        let mut expect = |part: &[u8]| {
            rest = rest.and_then(|rest| rest.strip_prefix(part));
        };
        if self.is_bare() {
            expect(BARE_HEAD.as_bytes());
            expect(self.payload(number));
            return rest.is_some_and(|rest| rest.starts_with(b"\""));
        }
        expect(HEAD.as_bytes());
        expect(self.payload(number));
        expect(MIDDLE.as_bytes());
        expect(&digits(number));
        expect(TAIL.as_bytes());
        rest == Some(&[])
    }

    /// The number that a message bears, if it bears one.
    pub(crate) fn number_in(text: &[u8]) -> Option<u64> {
        let text = text.strip_suffix(TAIL.as_bytes())?;
        let digits = text.get(text.len().checked_sub(DIGITS)?..)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn payload(&self, number: u64) -> &[u8] {
        let start = (number % STARTS) as usize;
        let range: Range<usize> = start..start + self.payload_bytes;
        self.text.get(range).unwrap_or_default()
    }
}

fn digits(mut number: u64) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}
