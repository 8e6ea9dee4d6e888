//! The two ways that an agent's lines take: a connection on the socket, or standard input and output.
//!
//! What a process has for standard output it shares with others: with the one that started it, with a shell,
//! with what runs beside it on a terminal. The flag that makes writes not wait, `O_NONBLOCK`, belongs to all of
//! them, and programs that don't expect it lose output. So it is never set on what was handed to us. A socket
//! is told with each write not to wait; a pipe is opened anew, which gives us a flag of our own; and to anything
//! else only the agent's writer writes, which may wait.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use rustix::pipe::PIPE_BUF;

use crate::limits;

/// The way of an agent's lines to us and of its events to it.
#[derive(Debug)]
pub struct Transport {
    pub(super) input: Input,
    pub(super) output: Arc<Output>,
}

/// The end from which an agent's lines are read.
#[derive(Debug, Clone)]
pub(super) struct Input(Arc<OwnedFd>);

/// The end to which an agent's events are written.
#[derive(Debug)]
pub(super) struct Output {
    descriptor: Arc<OwnedFd>,
    kind: Kind,
}

/// The kind of an output, which decides how it is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A socket on which lines come in as well. It is the agent's alone, and shut down at the end.
    Connection,
    /// A socket that others may hold, too.
    Socket,
    /// A pipe, opened anew by us and set not to wait.
    Pipe,
    /// Anything else: a file, a terminal, a pipe that can't be opened anew. A write to it may wait.
    Waiting,
}

impl Transport {
    /// Takes a connection on the socket.
    pub(super) fn connection(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        Ok(Transport::both_ways(stream.into()))
    }

    /// Takes standard input and output for an agent. What any part of the process reads from them or prints
    /// from now on goes nowhere, so that nothing gets between the lines.
    ///
    /// # Errors
    /// The process has no more descriptors.
    pub fn stdio() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        if let Err(error) = give_up_stdio() {
            log::debug!("standard input and output stay open: {error}");
        }
        Transport::new(input, output)
    }

    fn new(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        let of_input = fs::File::from(input.try_clone()?).metadata()?;
        let of_output = fs::File::from(output.try_clone()?).metadata()?;
        let is_same = (of_input.dev(), of_input.ino()) == (of_output.dev(), of_output.ino());
        let kind = of_output.file_type();
        if kind.is_socket() && is_same {
            // This is how inetd and its heirs start a program.
            return Ok(Transport::both_ways(output));
        }
        let opened_anew = kind.is_fifo().then(|| open_anew(&output)).flatten();
        let (descriptor, kind) = match opened_anew {
            Some(pipe) => (pipe, Kind::Pipe),
            None if kind.is_socket() => (output, Kind::Socket),
            None => (output, Kind::Waiting),
        };
        Ok(Transport {
            input: Input(Arc::new(input)),
            output: Arc::new(Output {
                descriptor: Arc::new(descriptor),
                kind,
            }),
        })
    }

    fn both_ways(socket: OwnedFd) -> Self {
        let descriptor = Arc::new(socket);
        Transport {
            input: Input(Arc::clone(&descriptor)),
            output: Arc::new(Output {
                descriptor,
                kind: Kind::Connection,
            }),
        }
    }
}

impl Input {
    /// Reads what is there; waits if nothing is. 0 is the end.
    pub(super) fn read(&self, space: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, space)?)
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Output {
    /// Returns whether a write may wait, so that only the writer may write.
    pub(super) fn may_wait(&self) -> bool {
        self.kind == Kind::Waiting
    }

    /// Writes as many of the bytes as there is room for.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] when there is no room; others when the agent has left.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        // Rust ignores SIGPIPE at the start of programs, so an agent that has left is an error here.
        match self.kind {
            Kind::Connection | Kind::Socket => send(&self.descriptor, bytes, SendFlags::DONTWAIT),
            Kind::Pipe => rustix::io::write(&self.descriptor, bytes),
            Kind::Waiting if self.poll(PollFlags::OUT, &Timespec::default())?.is_empty() => {
                Err(Errno::AGAIN)
            }
            // So much a pipe that has room at all takes without waiting.
            Kind::Waiting => {
                let piece = bytes.get(..PIPE_BUF).unwrap_or(bytes);
                rustix::io::write(&self.descriptor, piece)
            }
        }
    }

    /// Waits until there is said to be room, or may be some.
    pub(super) fn wait_for_room(&self) -> io::Result<()> {
        let longest = Timespec::try_from(limits::IPC_ROOM_CHECK).unwrap_or_default();
        match self.poll(PollFlags::OUT, &longest) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Shuts the agent's connection down. Other outputs end when the last of their owners drops them.
    pub(super) fn shut_down(&self) {
        if self.kind == Kind::Connection
            && let Err(error) = shutdown(&self.descriptor, Shutdown::Both)
            && error != Errno::NOTCONN
        {
            log::debug!("closing the agent's socket: {error}");
        }
    }

    /// Reads what is left in the agent's connection, after it was shut down. A socket closed with unread bytes
    /// is reset, which keeps some agents from reading their last events.
    pub(super) fn discard_the_unread(&self) {
        if self.kind != Kind::Connection {
            return;
        }
        let socket = self.descriptor.try_clone().map(fs::File::from);
        if let Err(error) = socket.and_then(|mut rest| io::copy(&mut rest, &mut io::sink())) {
            log::debug!("emptying the agent's socket: {error}");
        }
    }

    fn poll(&self, wanted: PollFlags, timeout: &Timespec) -> Result<PollFlags, Errno> {
        poll_one(self.as_fd(), wanted, timeout)
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Returns whether the other end is closed: of a socket both ways, of a pipe the only one. Bytes may still be
/// there to read.
pub(super) fn is_hung_up(descriptor: BorrowedFd<'_>) -> bool {
    let found = poll_one(descriptor, PollFlags::empty(), &Timespec::default());
    found.is_ok_and(|found| found.intersects(PollFlags::HUP | PollFlags::ERR))
}

/// Looks once, with this patience, whether a descriptor is ready.
pub(super) fn poll_one(
    descriptor: BorrowedFd<'_>,
    wanted: PollFlags,
    timeout: &Timespec,
) -> Result<PollFlags, Errno> {
    let mut watched = [PollFd::from_borrowed_fd(descriptor, wanted)];
    poll(&mut watched, Some(timeout))?;
    let [watched] = &watched;
    Ok(watched.revents())
}

/// Puts `/dev/null` in the place of standard input and output.
fn give_up_stdio() -> io::Result<()> {
    let nowhere = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(())
}

/// Opens a pipe a second time, so that writes to it do not wait. `None`: the system has no such way, or the pipe
/// is another user's, or nobody reads from it any more.
#[cfg(target_os = "linux")]
fn open_anew(pipe: &OwnedFd) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{Mode, OFlags};

    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(pipe) => Some(pipe),
        Err(error) => {
            log::debug!("standard output cannot be opened anew: {error}");
            None
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn open_anew(_: &OwnedFd) -> Option<OwnedFd> {
    None
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{OFlags, fcntl_getfl};

    use super::*;

    fn output(descriptor: impl Into<OwnedFd>) -> Output {
        let (input, _other) = io::pipe().unwrap();
        let transport = Transport::new(input.into(), descriptor.into()).unwrap();
        Arc::into_inner(transport.output).unwrap()
    }

    /// Writes until there is no room, and returns how much that was.
    fn fill(output: &Output) -> usize {
        let mut written = 0;
        loop {
            match output.write(&[b'x'; 10_000]) {
                Ok(count) => written += count,
                Err(error) => {
                    assert_eq!(error, Errno::AGAIN);
                    return written;
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_takes_what_it_has_room_for_and_stays_as_it_is_for_others() {
        let (mut reader, writer) = io::pipe().unwrap();
        let others = writer.try_clone().unwrap();
        let output = output(writer);
        assert!(!output.may_wait());
        assert_ne!(output.as_fd().as_raw_fd(), others.as_raw_fd());
        let written = fill(&output);
        assert!(!fcntl_getfl(&others).unwrap().contains(OFlags::NONBLOCK));
        // The other end does not end as long as anybody writes.
        drop((output, others));
        let mut read = Vec::new();
        assert_eq!(reader.read_to_end(&mut read).unwrap(), written);
    }

    #[test]
    fn a_pipe_that_cannot_be_opened_anew_is_never_waited_for_when_it_is_full() {
        let (reader, writer) = io::pipe().unwrap();
        let output = Output {
            descriptor: Arc::new(writer.into()),
            kind: Kind::Waiting,
        };
        assert!(output.may_wait(), "the event loop must not write to it");
        assert!(fill(&output) > PIPE_BUF);
        assert!(!is_hung_up(output.as_fd()));
        drop(reader);
        assert!(is_hung_up(output.as_fd()));
        assert_eq!(output.write(b"x"), Err(Errno::PIPE));
    }

    #[test]
    fn a_socket_takes_what_it_has_room_for_and_is_shut_down_only_if_it_is_the_agents_alone() {
        let (stream, mut other) = UnixStream::pair().unwrap();
        let shared = output(stream.try_clone().unwrap());
        assert!(!shared.may_wait());
        let written = fill(&shared);
        shared.shut_down();
        let alone = Transport::new(stream.try_clone().unwrap().into(), stream.into()).unwrap();
        drop(shared);
        alone.output.shut_down();
        let mut read = Vec::new();
        assert_eq!(other.read_to_end(&mut read).unwrap(), written);
    }

    #[test]
    fn what_is_neither_pipe_nor_socket_is_left_to_the_writer() {
        let nowhere = fs::File::options().write(true).open("/dev/null").unwrap();
        let output = output(nowhere);
        assert!(output.may_wait());
        assert_eq!(output.write(b"x"), Ok(1));
        assert!(!is_hung_up(output.as_fd()));
    }
}
