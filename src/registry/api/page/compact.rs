//! Leaves out of the files in `web/` what only their readers need: comments, but for those in the middle of a line, and
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
        if line.is_kept {
            length += line.end - line.start + 1;
        }
        (at, in_comment) = (line.next, line.is_in_comment);
    }
    length
}

/// Returns the text without indentation, empty lines and comments. No string in it may have several lines, or ` // `.
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
        if line.is_kept {
            kept[length] = b'\n';
            length += 1;
        }
        (at, in_comment) = (line.next, line.is_in_comment);
    }
    kept
}

/// A line of a text.
struct Line {
    /// Where its text begins, after the indentation,
    start: usize,
    /// and where it ends, before the comment behind it.
    end: usize,
    /// Where the next line begins.
    next: usize,
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
        let mut next = start;
        let mut end = None;
        let mut closes = false;
        while next < text.len() && text[next] != b'\n' {
            closes |= has(text, next, b"*/");
            if end.is_none() && has(text, next, b" // ") {
                end = Some(next);
            }
            next += 1;
        }
        let end = match end {
            Some(end) => end,
            None => next,
        };
        let begins = has(text, start, b"/*");
        let is_comment = in_comment || begins || has(text, start, b"//");
        Line {
            start,
            end,
            next: next + 1,
            is_kept: !is_comment && start < end,
            is_in_comment: (in_comment || begins) && !closes,
        }
    }
}

/// Returns whether a text has these bytes at this place.
const fn has(text: &[u8], at: usize, bytes: &[u8]) -> bool {
    let mut count = 0;
    while count < bytes.len() && at + count < text.len() && text[at + count] == bytes[count] {
        count += 1;
    }
    count == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the kept lines of a text that a string is cut off in, or goes on in the next line of.
    fn broken(text: &str) -> Vec<&str> {
        let (mut at, mut in_comment) = (0, false);
        let mut broken = Vec::new();
        while at < text.len() {
            let line = Line::at(text.as_bytes(), at, in_comment);
            let kept = &text[line.start..line.end];
            if line.is_kept && is_open(kept) {
                broken.push(kept);
            }
            (at, in_comment) = (line.next, line.is_in_comment);
        }
        broken
    }

    /// Returns whether a line ends in a string or template.
    fn is_open(line: &str) -> bool {
        let mut quote = None;
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (Some(_), '\\') => drop(characters.next()),
                (Some(open), _) if open == character => quote = None,
                (None, '"' | '\'' | '`') => quote = Some(character),
                _ => {}
            }
        }
        quote.is_some()
    }

    #[test]
    fn a_string_that_would_be_cut_off_is_seen() {
        assert_eq!(broken("a = 'it // is';"), ["a = 'it"]);
        assert_eq!(broken("a = `b // ${c}`;"), ["a = `b"]);
        assert_eq!(broken("a = `\n  // b`;"), ["a = `"]);
        assert!(broken("a = \"http://b\"; // It's.\n// Isn't it?\nb('\\'', \"'\");").is_empty());
    }

    #[test]
    fn nothing_but_comments_is_cut_out_of_the_page() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
        let mut scripts = 0;
        for (name, kind, _) in super::super::FILES {
            let name = if name.is_empty() { "index.html" } else { name };
            let text = std::fs::read_to_string(format!("{directory}/{name}")).unwrap();
            if kind == super::super::SCRIPT {
                scripts += 1;
                assert_eq!(broken(&text), [""; 0], "{name}");
            } else {
                // There it is no comment.
                assert!(!text.contains(" // "), "{name}");
            }
        }
        assert!(scripts > 0);
    }

    #[test]
    fn comments_and_indentation_go() {
        const TEXT: &str = "// Why.\n\nlet a = 1; // One. // Two.\n  /** What. */\n  /**\n   * More.\n   */\n  b(\"//\");\n* { c }";
        const LENGTH: usize = compact_length(TEXT);
        let kept = compact::<LENGTH>(TEXT);
        assert_eq!(
            str::from_utf8(&kept),
            Ok("let a = 1;\nb(\"//\");\n* { c }\n")
        );
    }
}
