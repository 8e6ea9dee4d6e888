//! Reads an agent's lines and turns them into requests.

use std::convert::Infallible;
use std::io::{self, PipeReader};
use std::mem;
use std::os::fd::AsFd as _;
use std::thread;

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};

use super::messages::{Ended, LoopEnded, LoopLink, RequestBatch};
use super::transport::{Input, poll_one};
use crate::limits;
use crate::mesh::Generation;
use crate::protocol::ipc::{self, Limits};
use crate::protocol::lines::{Line, LineBuffer};

/// Reads until the agent has shut down its sending side or is gone, and delivers all that it wrote.
/// When it is stopped, it delivers all that the agent had written by then.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) input: Input,
    pub(super) generation: Generation,
    pub(super) limits: Limits,
    pub(super) link: LoopLink,
    /// The reader of the agent before, whose requests come first.
    pub(super) before: Option<Ended>,
    /// A pipe that gets a byte when no more is to be read.
    pub(super) stopped: PipeReader,
    /// Dropped with the reader, which shows others that it has ended.
    pub(super) _reading: Sender<Infallible>,
}

impl Reader {
    pub(super) fn spawn(self) -> io::Result<()> {
        thread::Builder::new()
            .name("ipc-read".to_owned())
            .spawn(move || {
                if self.run().is_err() {
                    log::debug!("the event loop has ended before agent {}", self.generation);
                }
            })?;
        Ok(())
    }

    fn run(&self) -> Result<(), LoopEnded> {
        if let Some(before) = &self.before {
            // Nothing is ever sent: this returns when the other reader has ended.
            let _ = before.recv();
        }
        let mut lines = LineBuffer::new(self.limits.line_bytes);
        // The number of bytes that are still to be read, once stopped.
        let mut left = None;
        loop {
            if left == Some(0) {
                if self.is_at_the_end() {
                    lines.end();
                }
                break;
            }
            if left.is_none() && self.wait() {
                left = Some(ioctl_fionread(&self.input).unwrap_or(0));
                continue;
            }
            match self.input.read(lines.space()) {
                Ok(0) => {
                    lines.end();
                    break;
                }
                Ok(count) => {
                    lines.filled(count);
                    left = left.map(|left| left.saturating_sub(count as u64));
                    self.deliver(&mut lines, false)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The agent has made its end of a pipe non-blocking, and with it ours.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && left.is_none() => {}
                Err(error) => {
                    // This is mostly a reset: the agent left without reading all that we wrote.
                    log::debug!("reading from agent {}: {error}", self.generation);
                    break;
                }
            }
        }
        self.deliver(&mut lines, true)
    }

    /// Returns whether the agent has shut down its sending side, once all that it wrote has been read.
    fn is_at_the_end(&self) -> bool {
        let found = poll_one(self.input.as_fd(), PollFlags::IN, &Timespec::default());
        let is_ready = found.is_ok_and(|found| !found.is_empty());
        is_ready && ioctl_fionread(&self.input) == Ok(0)
    }

    /// Waits until there is something to read. Returns whether reading is to stop.
    fn wait(&self) -> bool {
        let mut watched = [
            PollFd::new(&self.input, PollFlags::IN),
            PollFd::new(&self.stopped, PollFlags::IN),
        ];
        loop {
            match poll(&mut watched, None) {
                Err(Errno::INTR) => {}
                Err(error) => {
                    log::error!("waiting for agent {}: {error}", self.generation);
                    return true;
                }
                Ok(_) => {
                    let [_, stopped] = &watched;
                    return stopped.revents().contains(PollFlags::IN);
                }
            }
        }
    }

    /// Sends all whole lines as requests, in batches that are never large.
    fn deliver(&self, lines: &mut LineBuffer, end: bool) -> Result<(), LoopEnded> {
        let mut requests = Vec::new();
        let mut bytes = 0;
        while let Some(line) = lines.next_line() {
            requests.push(match line {
                Line::Complete(line) => {
                    bytes += line.len();
                    ipc::parse(line, self.limits)
                }
                Line::TooLong(beginning) => Err(ipc::line_too_long(beginning, self.limits)),
            });
            if requests.len() >= limits::IPC_BATCH_REQUESTS || bytes >= limits::IPC_BATCH_BYTES {
                bytes = 0;
                self.link.request(RequestBatch {
                    generation: self.generation,
                    requests: mem::take(&mut requests),
                    end: false,
                })?;
            }
        }
        if end || !requests.is_empty() {
            self.link.request(RequestBatch {
                generation: self.generation,
                requests,
                end,
            })?;
        }
        Ok(())
    }
}
