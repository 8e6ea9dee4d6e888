//! Leaves out of the files in `web/` what only their readers need: comments that have lines of their own, and
//! indentation. The compiler does it, so the rest alone is in the binary.

#![allow(
    clippy::indexing_slicing,
    reason = "it runs in the compiler, where an index out of bounds is an error of the build"
)]

/// Returns how long [`compact`] makes a text, in bytes.
pub(super) const fn compact_length(text: &str) -> usize {
    let text = text.as_bytes();
    let (mut at, mut length, mut in_comment) = (0, 0, false);
    while at < text.len() {
        let line = Line::at(text, at, in_comment);
        length += if line.is_kept {
            line.end - line.start
        } else {
            0
        };
        (at, in_comment) = (line.end, line.is_in_comment);
    }
    length
}

/// Returns the text without indentation, empty lines and lines of comments; no string in it may have several lines.
pub(super) const fn compact<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    let text = text.as_bytes();
    let mut kept = [0; LENGTH];
    let (mut at, mut length, mut in_comment) = (0, 0, false);
    while at < text.len() {
        let line = Line::at(text, at, in_comment);
        let mut from = line.start;
        while line.is_kept && from < line.end {
            kept[length] = text[from];
            length += 1;
            from += 1;
        }
        (at, in_comment) = (line.end, line.is_in_comment);
    }
    kept
}

/// A line of a text: from what follows its indentation to its end, the line break included.
struct Line {
    start: usize,
    end: usize,
    is_kept: bool,
    /// Whether the next line goes on with a comment.
    is_in_comment: bool,
}

impl Line {
    const fn at(text: &[u8], at: usize, in_comment: bool) -> Line {
        let mut start = at;
        while start < text.len() && text[start] == b' ' {
            start += 1;
        }
        let mut end = start;
        let mut closes = false;
        while end < text.len() && text[end] != b'\n' {
            closes |= has(text, end, *b"*/");
            end += 1;
        }
        let begins = has(text, start, *b"/*");
        let is_comment = in_comment || begins || has(text, start, *b"//");
        Line {
            start,
            end: if end < text.len() { end + 1 } else { end },
            is_kept: !is_comment && start < end,
            is_in_comment: (in_comment || begins) && !closes,
        }
    }
}

const fn has(text: &[u8], at: usize, two: [u8; 2]) -> bool {
    at + 1 < text.len() && text[at] == two[0] && text[at + 1] == two[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_on_lines_of_their_own_and_indentation_go() {
        const TEXT: &str = "// Why.\n\nlet a = 1; // One.\n  /** What. */\n  /**\n   * More.\n   */\n  b(\"//\");\n* { c }";
        const LENGTH: usize = compact_length(TEXT);
        let kept = compact::<LENGTH>(TEXT);
        assert_eq!(
            str::from_utf8(&kept),
            Ok("let a = 1; // One.\nb(\"//\");\n* { c }")
        );
    }
}
