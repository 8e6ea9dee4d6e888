//! Bytes of a stream to lines, with a limit.

/// What [`LineBuffer::next_line`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its `\n` or `\r\n`; never blank.
    Complete(&'a [u8]),
    /// A line longer than the limit has ended or has just grown past it; said once a line, and the
    /// rest of it is skipped.
    TooLong,
}

/// Splits a byte stream into lines and never holds more than one line of the limit and one read.
#[derive(Debug)]
pub struct LineBuffer {
    limit: usize,
}

impl LineBuffer {
    /// A buffer for lines of at most `limit` bytes, line ending not counted.
    pub fn new(limit: usize) -> Self {
        LineBuffer { limit }
    }

    /// Room to read into; tell with [`LineBuffer::filled`] how much of it was used.
    pub fn space(&mut self) -> &mut [u8] {
        todo!("{}", self.limit)
    }

    /// `count` bytes of [`LineBuffer::space`] were read.
    pub fn filled(&mut self, count: usize) {
        todo!("{count}")
    }

    /// The next line, if a whole one is there. Blank lines are passed over.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        todo!()
    }
}
