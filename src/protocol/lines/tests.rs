use super::*;

/// The part of a [`Line`] that a test keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Line(Vec<u8>),
    TooLong,
}

fn line(text: &str) -> Seen {
    Seen::Line(text.as_bytes().to_vec())
}

/// Feeds `chunks` one by one and takes all lines after each.
fn feed<'a>(buffer: &mut LineBuffer, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for chunk in chunks {
        for part in chunk.chunks(READ_BYTES) {
            buffer.space()[..part.len()].copy_from_slice(part);
            buffer.filled(part.len());
            while let Some(line) = buffer.next_line() {
                seen.push(match line {
                    Line::Complete(line) => Seen::Line(line.to_vec()),
                    Line::TooLong(_) => Seen::TooLong,
                });
            }
        }
    }
    seen
}

fn lines_of(limit: usize, text: &str) -> Vec<Seen> {
    feed(&mut LineBuffer::new(limit), [text.as_bytes()])
}

/// Returns the lines of a whole stream, without any buffering.
fn naive(limit: usize, stream: &[u8]) -> Vec<Seen> {
    let mut lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    let mut seen: Vec<Seen> = lines
        .into_iter()
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter_map(|line| {
            if line.len() > limit {
                return Some(Seen::TooLong);
            }
            let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            (!line.trim_ascii().is_empty()).then(|| Seen::Line(line.to_vec()))
        })
        .collect();
    if rest.strip_suffix(b"\r").unwrap_or(rest).len() > limit {
        seen.push(Seen::TooLong);
    }
    seen
}

#[test]
fn several_lines_in_one_read_come_one_by_one() {
    assert_eq!(
        lines_of(10, "one\ntwo\nthree\nfo"),
        [line("one"), line("two"), line("three")]
    );
}

#[test]
fn a_line_may_come_in_pieces() {
    let mut buffer = LineBuffer::new(10);
    assert_eq!(feed(&mut buffer, [b"on".as_slice(), b"", b"e"]), []);
    assert_eq!(
        feed(&mut buffer, [b"\ntw".as_slice(), b"o\n"]),
        [line("one"), line("two")]
    );
}

#[test]
fn carriage_return_before_the_line_feed_belongs_to_the_ending() {
    assert_eq!(
        lines_of(10, "one\r\ntwo\r\r\n\rx\n"),
        [line("one"), line("two\r"), line("\rx")]
    );
}

#[test]
fn blank_lines_are_passed_over() {
    assert_eq!(lines_of(10, "\n\r\n \t \n  one\n\n"), [line("  one")]);
}

#[test]
fn a_byte_order_mark_before_a_line_is_passed_over() {
    assert_eq!(
        lines_of(10, "\u{feff}one\n\u{feff}\n\u{feff} \r\ntwo\u{feff}\n"),
        [line("one"), line("two\u{feff}")]
    );
}

#[test]
fn of_a_line_that_is_too_long_the_beginning_is_told() {
    let mut buffer = LineBuffer::new(6);
    buffer.space()[..10].copy_from_slice("\u{feff}begins ".as_bytes());
    buffer.filled(10);
    assert_eq!(buffer.next_line(), Some(Line::TooLong(b"begins ")));
    assert_eq!(buffer.next_line(), None);
    buffer.space()[..14].copy_from_slice(b"ends\n1234567\n\n");
    buffer.filled(14);
    assert_eq!(buffer.next_line(), Some(Line::TooLong(b"1234567")));
    assert_eq!(buffer.next_line(), None);
}

#[test]
fn the_limit_does_not_count_the_line_ending() {
    for ending in ["\n", "\r\n"] {
        assert_eq!(lines_of(3, &format!("one{ending}")), [line("one")]);
        assert_eq!(
            lines_of(3, &format!("four{ending}two{ending}")),
            [Seen::TooLong, line("two")]
        );
    }
}

#[test]
fn a_long_line_is_said_once_as_soon_as_it_is_known_and_its_rest_is_skipped() {
    let mut buffer = LineBuffer::new(3);
    assert_eq!(feed(&mut buffer, [b"thr".as_slice(), b"\r"]), []);
    assert_eq!(feed(&mut buffer, [b"e".as_slice()]), [Seen::TooLong]);
    assert_eq!(feed(&mut buffer, [b"e and".as_slice(), b" more"]), []);
    assert_eq!(
        feed(&mut buffer, [b" end\ntwo\n".as_slice()]),
        [line("two")]
    );
}

#[test]
fn a_line_of_10_mib_is_never_held() {
    let limit = 256 * 1024;
    let mut buffer = LineBuffer::new(limit);
    let piece = [b'x'; READ_BYTES];
    let mut seen = Vec::new();
    for _ in 0..160 {
        seen.extend(feed(&mut buffer, [piece.as_slice()]));
        assert!(buffer.buffer.capacity() <= limit + READ_BYTES);
    }
    assert_eq!(seen, [Seen::TooLong]);
    assert_eq!(feed(&mut buffer, [b"\nok\n".as_slice()]), [line("ok")]);
}

#[test]
fn a_line_of_exactly_the_limit_fits_and_the_room_is_given_back() {
    let limit = 256 * 1024;
    let mut buffer = LineBuffer::new(limit);
    let long = "x".repeat(limit);
    let seen = feed(&mut buffer, [format!("{long}\r\n").as_bytes()]);
    assert_eq!(seen, [line(&long)]);
    assert_eq!(buffer.space().len(), READ_BYTES);
    assert_eq!(buffer.buffer.capacity(), READ_BYTES);
}

#[test]
fn there_is_always_room_for_a_read() {
    let mut buffer = LineBuffer::new(1024 * 1024);
    for _ in 0..20 {
        assert!(buffer.space().len() >= READ_BYTES);
        buffer.space()[..50_000].fill(b'x');
        buffer.filled(50_000);
        assert_eq!(buffer.next_line(), None);
    }
}

#[test]
fn an_unused_buffer_costs_nothing() {
    assert_eq!(LineBuffer::new(1024).buffer.capacity(), 0);
}

#[test]
fn any_chunking_gives_the_lines_of_the_whole_stream() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..500 {
        let limit = random.usize(0..12);
        let stream: Vec<u8> = (0..random.usize(0..80))
            .flat_map(|_| {
                let pieces = ["a", "a", "a", "b", " ", "\r", "\r", "\n", "\n", "\u{feff}"];
                random.choice(pieces).unwrap().bytes()
            })
            .collect();
        let mut rest = stream.as_slice();
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(random.usize(0..=rest.len().min(9)));
            chunks.push(chunk);
            rest = after;
        }
        assert_eq!(
            feed(&mut LineBuffer::new(limit), chunks),
            naive(limit, &stream),
            "limit {limit}, {:?}",
            String::from_utf8_lossy(&stream)
        );
    }
}

#[test]
fn the_end_of_the_stream_ends_the_last_line() {
    let mut lines = LineBuffer::new(100);
    lines.space()[..6].copy_from_slice(b"one\ntw");
    lines.filled(6);
    assert_eq!(lines.next_line(), Some(Line::Complete(b"one")));
    assert_eq!(lines.next_line(), None);
    lines.end();
    assert_eq!(lines.next_line(), Some(Line::Complete(b"tw")));
    lines.end();
    assert_eq!(lines.next_line(), None);
}
