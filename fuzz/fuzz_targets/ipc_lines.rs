//! Fuzzes the splitting into lines: any bytes in any pieces give the same lines as the whole stream, and
//! no line is above the limit.
//!
//! Input: the limit, a byte for the sizes of the pieces, the stream.
#![no_main]

use chatixia_sidecar_fuzz::protocol::lines::{Line, LineBuffer};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq)]
enum Seen {
    Line(Vec<u8>),
    TooLong,
}

fuzz_target!(|data: &[u8]| {
    let [limit, pieces, stream @ ..] = data else {
        return;
    };
    let limit = usize::from(*limit);
    let mut sizes = piece_sizes(*pieces);
    let mut buffer = LineBuffer::new(limit);
    let mut seen = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(sizes().min(rest.len()));
        buffer.space()[..piece.len()].copy_from_slice(piece);
        buffer.filled(piece.len());
        rest = after;
        while let Some(line) = buffer.next_line() {
            seen.push(match line {
                Line::Complete(line) => Seen::Line(line.to_vec()),
                Line::TooLong(beginning) => {
                    assert!(beginning.len() <= limit + 1 + piece.len());
                    Seen::TooLong
                }
            });
        }
    }
    assert_eq!(seen, whole(limit, stream));
});

/// Sizes of pieces from 0 to 31 bytes, by a seed.
fn piece_sizes(seed: u8) -> impl FnMut() -> usize {
    let mut state = u32::from(seed);
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 27) as usize
    }
}

/// The lines of a whole stream.
fn whole(limit: usize, stream: &[u8]) -> Vec<Seen> {
    let without_return = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    let without_mark = |line: &[u8]| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).to_vec();
    let mut lines: Vec<Vec<u8>> = stream
        .split(|byte| *byte == b'\n')
        .map(without_return)
        .collect();
    let unfinished = lines.pop().unwrap_or_default();
    let mut seen = Vec::new();
    for line in lines {
        if line.len() > limit {
            seen.push(Seen::TooLong);
        } else if !without_mark(&line).trim_ascii().is_empty() {
            seen.push(Seen::Line(without_mark(&line)));
        }
    }
    if unfinished.len() > limit {
        seen.push(Seen::TooLong);
    }
    seen
}
