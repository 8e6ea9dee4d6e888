//! The host's side: lines from standard input, and what waits for standard output.

use std::io::{self, Read, Write};

use rustix::pipe::PIPE_BUF;

use super::write_queue::WriteQueue;
use crate::limits;
use crate::protocol::lines::LineBuffer;

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
    unwritten: WriteQueue,
}

impl<I: Read, O: Write> Host<I, O> {
    pub(super) fn new(input: I, output: O, line_bytes: usize) -> Self {
        Host {
            input,
            output,
            lines: LineBuffer::new(line_bytes),
            is_open: true,
            is_gone: false,
            unwritten: WriteQueue::default(),
        }
    }

    /// Adds a line to what is written.
    pub(super) fn push(&mut self, line: &str) {
        self.unwritten.push(line);
    }

    pub(super) fn has_output(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Returns whether input should be read: not while the host leaves too much unread.
    pub(super) fn takes_input(&self) -> bool {
        self.is_open && self.unwritten.len() < limits::MCP_OUTPUT_BYTES
    }

    /// Writes as much as is taken at once. To be called when there is room: a pipe with room takes `PIPE_BUF` bytes
    /// without waiting.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let rest = self.unwritten.unwritten();
        let next = rest.get(..PIPE_BUF).unwrap_or(rest);
        match self.output.write(next) {
            Ok(count) => self.unwritten.wrote(count),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                io::ErrorKind::BrokenPipe => self.is_gone = true,
                _ => return Err(error),
            },
        }
        Ok(())
    }

    /// Writes all that is left, however long the host takes.
    pub(super) fn write_all(&mut self) -> io::Result<()> {
        match self.output.write_all(self.unwritten.unwritten()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
