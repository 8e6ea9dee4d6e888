//! A queue of lines that wait to be written to a pipe.

use crate::limits;

/// Bytes that wait to be written. What was written gives its room back in time, also if there is always something left.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    bytes: Vec<u8>,
    /// How many of them were written.
    written: usize,
}

impl WriteQueue {
    /// Adds a line.
    pub(super) fn push(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
    }

    /// Returns what is to be written next: all that waits.
    pub(super) fn unwritten(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.unwritten().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes that so many of the bytes that wait were written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written = self.bytes.len().min(self.written + count);
        let waiting = self.len();
        // No more is moved than was written, so that the moves take no longer than the writes.
        if waiting == 0 || (self.written >= limits::MCP_WRITTEN_BYTES && self.written >= waiting) {
            self.bytes.drain(..self.written);
            self.written = 0;
            self.bytes
                .shrink_to((2 * waiting).max(limits::MCP_WRITTEN_BYTES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_never_empty_holds_little_more_than_what_waits() {
        let mut queue = WriteQueue::default();
        let line = "0123456789".repeat(1000);
        queue.push("first");
        let mut written = Vec::new();
        for _ in 0..1000 {
            queue.push(&line);
            written.extend_from_slice(&queue.unwritten()[..line.len()]);
            queue.wrote(line.len());
            assert_eq!(queue.len(), 5);
            assert!(queue.bytes.capacity() < 4 * limits::MCP_WRITTEN_BYTES);
        }
        written.extend_from_slice(queue.unwritten());
        assert_eq!(written, [b"first", line.repeat(1000).as_bytes()].concat());
        queue.wrote(5);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_queue_that_was_long_gives_its_room_back_while_it_is_written() {
        let mut queue = WriteQueue::default();
        queue.push(&"x".repeat(16 * limits::MCP_WRITTEN_BYTES));
        while queue.len() > limits::MCP_WRITTEN_BYTES {
            queue.wrote(4096);
        }
        assert!(queue.bytes.capacity() <= 4 * limits::MCP_WRITTEN_BYTES);
        queue.wrote(queue.len());
        assert!(queue.bytes.capacity() <= limits::MCP_WRITTEN_BYTES);
    }
}
