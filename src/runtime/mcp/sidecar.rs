//! The sidecar as a child process: this program, with the agent's lines on standard input and output.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::child::command;
use super::write_queue::WriteQueue;
use crate::config::SidecarFlags;
use crate::limits;
use crate::mcp::Exit;
use crate::protocol::lines::LineBuffer;

/// Interval at which a process that has closed its output is asked for its exit code.
const EXIT_CHECK: Duration = Duration::from_millis(5);

/// A running sidecar.
#[derive(Debug)]
pub(super) struct Sidecar {
    process: Child,
    /// `None` once it takes nothing more.
    input: Option<ChildStdin>,
    pub(super) output: ChildStdout,
    pub(super) lines: LineBuffer,
    unwritten: WriteQueue,
}

impl Sidecar {
    /// Starts it.
    pub(super) fn start(flags: &SidecarFlags, line_bytes: usize) -> io::Result<Sidecar> {
        let mut process = command(&["--stdio"], flags)?
            .stdin(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("it has no standard input and output");
        let input = process.stdin.take().ok_or_else(missing)?;
        let output = process.stdout.take().ok_or_else(missing)?;
        // Only our ends: the descriptors that it has are others.
        rustix::io::ioctl_fionbio(&input, true)?;
        rustix::io::ioctl_fionbio(&output, true)?;
        Ok(Sidecar {
            process,
            input: Some(input),
            output,
            lines: LineBuffer::new(line_bytes + limits::LINE_OVERHEAD_BYTES),
            unwritten: WriteQueue::default(),
        })
    }

    /// Adds a line to what is written, and writes what is taken at once.
    pub(super) fn push(&mut self, line: &str) {
        self.unwritten.push(line);
        self.write();
    }

    /// Returns the input if something waits to be written to it.
    pub(super) fn input_with_output(&self) -> Option<&ChildStdin> {
        self.input.as_ref().filter(|_| !self.unwritten.is_empty())
    }

    /// Writes as much as is taken at once. That it has ended shows in its output.
    pub(super) fn write(&mut self) {
        while !self.unwritten.is_empty()
            && let Some(input) = &mut self.input
        {
            match input.write(self.unwritten.unwritten()) {
                Ok(count) => self.unwritten.wrote(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.input = None,
            }
        }
    }

    /// Returns how it has ended, after its output has. One that does not end is killed.
    pub(super) fn end(mut self) -> Exit {
        drop(self.input.take());
        let deadline = Instant::now() + limits::MCP_FAREWELL;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return exit(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(EXIT_CHECK),
                Ok(None) => {
                    let _ = self.process.kill();
                    return self.process.wait().map_or(Exit::Signal(9), exit);
                }
                Err(error) => return Exit::Unknown(error.to_string()),
            }
        }
    }

    /// Tells it that its agent leaves, and waits so long for its end. If it takes longer to deliver what it has
    /// accepted, it goes on by itself.
    pub(super) fn leave(mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut has_ended = false;
        while !has_ended && Instant::now() < deadline {
            self.write();
            if self.input_with_output().is_none() {
                drop(self.input.take());
            }
            has_ended = self.discard(deadline);
        }
        if has_ended {
            let exit = self.end();
            log::debug!("the sidecar {exit}");
        }
    }

    /// Reads and forgets what it says; returns whether it says nothing more.
    fn discard(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or_default(),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut polled = vec![PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::IN)];
        if let Some(input) = self.input_with_output() {
            polled.push(PollFd::new(input, PollFlags::OUT));
        }
        if poll(&mut polled, Some(&timeout)).is_err() {
            return false;
        }
        let mut bytes = [0; 4096];
        match self.output.read(&mut bytes) {
            Ok(count) => count == 0,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
            ),
        }
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}
