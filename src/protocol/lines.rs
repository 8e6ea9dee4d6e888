//! Splitting of a byte stream into lines, with a limit.

use memchr::memchr;

/// The byte order mark with which some editors begin a file. It is no part of a line's JSON (RFC 8259, 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Least room that [`LineBuffer::space`] returns, and what an idle buffer holds, in bytes.
pub const READ_BYTES: usize = 64 * 1024;

/// A result of [`LineBuffer::next_line`].
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its `\n` or `\r\n`, and without a byte order mark before it; never blank.
    Complete(&'a [u8]),
    /// A line longer than the limit has ended or has just grown past it. This is said once for each such
    /// line, with how it begins; the rest of it is skipped.
    TooLong(&'a [u8]),
}

/// Splits a byte stream into lines. It never holds more than one line of the limit and one read.
///
/// After each read, take lines until [`LineBuffer::next_line`] returns `None`.
#[derive(Debug)]
pub struct LineBuffer {
    limit: usize,
    /// Bytes `start..end` are read and not yet taken; the room is beyond `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// No line ends in `start..scanned`.
    scanned: usize,
    /// Whether the line being read was already said to be too long, so that the rest of it is dropped.
    skipping: bool,
}

impl LineBuffer {
    /// Makes a buffer for lines of at most `limit` bytes, line ending not counted.
    pub fn new(limit: usize) -> Self {
        LineBuffer {
            limit,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            scanned: 0,
            skipping: false,
        }
    }

    /// Returns room to read into, [`READ_BYTES`] or more. [`LineBuffer::filled`] has to be told how much
    /// of it was used.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.buffer.truncate(READ_BYTES);
            self.buffer.shrink_to(READ_BYTES);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
        }
        self.scanned -= self.start;
        self.end -= self.start;
        self.start = 0;

        let least = self.end + READ_BYTES;
        if self.buffer.len() < least {
            // A long line doubles the buffer, up to what the longest line needs.
            let most = self.limit.saturating_add(READ_BYTES).max(least);
            let doubled = (self.buffer.len() * 2).clamp(least, most);
            self.buffer.reserve_exact(doubled - self.buffer.len());
            self.buffer.resize(doubled, 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Notes that `count` bytes were read into [`LineBuffer::space`].
    pub fn filled(&mut self, count: usize) {
        debug_assert!(count <= self.buffer.len() - self.end, "more than the space");
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Notes that the stream has ended: its last line is whole even without its line ending.
    pub fn end(&mut self) {
        if let Some(byte) = self.space().first_mut() {
            *byte = b'\n';
            self.filled(1);
        }
    }

    /// Returns the next line, if a whole one is there. Skips blank lines.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        loop {
            let unseen = self.held(self.scanned, self.end);
            let Some(length) = memchr(b'\n', unseen) else {
                self.scanned = self.end;
                let (start, end) = (self.start, self.end);
                return self
                    .has_grown_too_long()
                    .then(|| Line::TooLong(self.content(start, end)));
            };
            let start = self.start;
            let end = self.scanned + length;
            self.start = end + 1;
            self.scanned = self.start;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let line = self.held(start, end);
            let length = line.len() - usize::from(line.ends_with(b"\r"));
            if length > self.limit {
                return Some(Line::TooLong(self.content(start, start + length)));
            }
            if !self.content(start, end).trim_ascii_start().is_empty() {
                return Some(Line::Complete(self.content(start, start + length)));
            }
        }
    }

    /// Looks at the line whose end has not come yet: drops it when it is too long, and returns true the
    /// first time.
    fn has_grown_too_long(&mut self) -> bool {
        let line = self.held(self.start, self.end);
        let within = line.len() <= self.limit
            // The one byte too many may be half of the line's ending.
            || (line.len() - 1 == self.limit && line.ends_with(b"\r"));
        if within && !self.skipping {
            return false;
        }
        self.start = self.end;
        !std::mem::replace(&mut self.skipping, true)
    }

    /// Returns a line, or how it begins, without the byte order mark before it.
    fn content(&self, start: usize, end: usize) -> &[u8] {
        let line = self.held(start, end);
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }

    fn held(&self, start: usize, end: usize) -> &[u8] {
        self.buffer.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
