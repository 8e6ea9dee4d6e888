//! The host's side: lines from standard input, and what waits for standard output.

use std::io::{self, Read, Write};

use crate::limits;
use crate::protocol::lines::LineBuffer;

/// Bytes that a pipe takes without waiting if it takes any (PIPE_BUF).
const WRITE_BYTES: usize = 4096;

/// The host.
#[derive(Debug)]
pub(super) struct Host<I, O> {
    pub(super) input: I,
    pub(super) output: O,
    pub(super) lines: LineBuffer,
    /// Whether the input has not ended.
    pub(super) is_open: bool,
    /// Whether nobody reads the output any more.
    pub(super) is_gone: bool,
    unwritten: Vec<u8>,
    written: usize,
}

impl<I: Read, O: Write> Host<I, O> {
    pub(super) fn new(input: I, output: O, line_bytes: usize) -> Self {
        Host {
            input,
            output,
            lines: LineBuffer::new(line_bytes),
            is_open: true,
            is_gone: false,
            unwritten: Vec::new(),
            written: 0,
        }
    }

    /// Adds a line to what is written.
    pub(super) fn push(&mut self, line: &str) {
        self.unwritten.extend_from_slice(line.as_bytes());
    }

    pub(super) fn has_output(&self) -> bool {
        self.written < self.unwritten.len()
    }

    /// Returns whether input should be read: not while the host leaves too much unread.
    pub(super) fn takes_input(&self) -> bool {
        self.is_open && self.unwritten.len() - self.written < limits::MCP_OUTPUT_BYTES
    }

    /// Writes as much as is taken at once. To be called when there is room.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let rest = self.unwritten.get(self.written..).unwrap_or_default();
        let next = rest.get(..WRITE_BYTES).unwrap_or(rest);
        match self.output.write(next) {
            Ok(count) => self.written += count,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                io::ErrorKind::BrokenPipe => self.is_gone = true,
                _ => return Err(error),
            },
        }
        if !self.has_output() {
            self.unwritten.clear();
            self.unwritten.shrink_to(WRITE_BYTES);
            self.written = 0;
        }
        Ok(())
    }

    /// Writes all that is left, however long the host takes.
    pub(super) fn write_all(&mut self) -> io::Result<()> {
        let rest = self.unwritten.get(self.written..).unwrap_or_default();
        match self.output.write_all(rest) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
