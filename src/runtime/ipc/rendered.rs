//! Events as the lines that an agent reads, and how much of them was taken.

use rustix::io::Errno;

use super::transport::Output;
use crate::limits;
use crate::protocol::ipc::Event;

/// The lines. Events that were written and counted are forgotten first.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    bytes: Vec<u8>,
    /// Where in `bytes` each event ends that was not counted yet.
    ends: Vec<usize>,
    /// How many of the bytes are in the output.
    written: usize,
    /// How many of the bytes belong to events that were counted.
    counted: usize,
}

impl Rendered {
    /// Begins anew. The first `begun` bytes of what comes are in the output already.
    pub(super) fn begin(&mut self, begun: usize) {
        self.bytes.clear();
        if self.bytes.capacity() > limits::IPC_WRITER_BUFFER_BYTES {
            self.bytes.shrink_to(limits::IPC_WRITE_BYTES);
        }
        self.ends.clear();
        self.written = begun;
        self.counted = 0;
    }

    /// Returns the size of all lines in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns how many events are not wholly written, or not counted yet.
    pub(super) fn events(&self) -> usize {
        self.ends.len()
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: &Event) {
        event.write_line(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Writes as much as there is room for. Returns whether that is all.
    pub(super) fn write(&mut self, output: &Output) -> Result<bool, Errno> {
        while let Some(rest) = self.bytes.get(self.written..)
            && !rest.is_empty()
        {
            match output.write(rest) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Returns how many further events are wholly in the output.
    pub(super) fn count(&mut self) -> usize {
        let events = self.ends.partition_point(|end| *end <= self.written);
        self.counted = self
            .ends
            .drain(..events)
            .next_back()
            .unwrap_or(self.counted);
        events
    }

    /// Returns how many bytes of the first event that is not wholly in the output are there. To be asked
    /// after [`Rendered::count`].
    pub(super) fn begun(&self) -> usize {
        self.written - self.counted
    }
}
