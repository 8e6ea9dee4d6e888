//! The two ways between a sidecar and its agent, and what an agent writes to.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PIPE_BUF;

use super::DEADLINE;

/// A way between a sidecar and its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The sidecar's socket.
    Socket,
    /// Two pipes, which are the sidecar's standard input and output.
    Stdio,
}

/// Runs each of these functions, which take a [`Transport`], as a test over each.
macro_rules! on_each_transport {
    ($($test:ident),* $(,)?) => {
        mod over_the_socket {
            $(#[test]
            fn $test() {
                super::$test($crate::support::Transport::Socket);
            })*
        }

        mod over_stdio {
            $(#[test]
            fn $test() {
                super::$test($crate::support::Transport::Stdio);
            })*
        }
    };
}
pub(crate) use on_each_transport;

/// Waits until a descriptor is ready for this. Returns whether it was in time.
pub(crate) fn await_ready(descriptor: impl AsFd, wanted: PollFlags, time: Duration) -> bool {
    let time = Timespec::try_from(time).unwrap();
    match poll(&mut [PollFd::new(&descriptor, wanted)], Some(&time)) {
        Ok(ready) => ready > 0,
        Err(error) => {
            assert_eq!(error, rustix::io::Errno::INTR);
            true
        }
    }
}

/// What an agent writes to. A write that takes longer than its timeout fails with `WouldBlock`, as a socket's
/// does.
pub(crate) struct Writer {
    to: To,
    timeout: Duration,
}

enum To {
    Socket(UnixStream),
    Pipe(Arc<File>),
}

impl Writer {
    pub(crate) fn socket(stream: UnixStream) -> Self {
        Writer {
            to: To::Socket(stream),
            timeout: DEADLINE,
        }
    }

    pub(crate) fn pipe(pipe: OwnedFd) -> Self {
        Writer {
            to: To::Pipe(Arc::new(pipe.into())),
            timeout: DEADLINE,
        }
    }

    /// Another handle for the same.
    pub(crate) fn another(&self) -> Self {
        let to = match &self.to {
            To::Socket(stream) => To::Socket(stream.try_clone().unwrap()),
            To::Pipe(pipe) => To::Pipe(Arc::clone(pipe)),
        };
        let timeout = self.timeout;
        Writer { to, timeout }
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Tells the sidecar that nothing more comes.
    pub(crate) fn finish(self) {
        match self.to {
            To::Socket(stream) => stream.shutdown(std::net::Shutdown::Write).unwrap(),
            To::Pipe(pipe) => assert_eq!(Arc::strong_count(&pipe), 1, "others still write"),
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Socket(stream) => {
                stream.set_write_timeout(Some(self.timeout))?;
                stream.write(bytes)
            }
            To::Pipe(pipe) => {
                if !await_ready(&**pipe, PollFlags::OUT, self.timeout) {
                    return Err(ErrorKind::WouldBlock.into());
                }
                // So much is taken at once.
                (&**pipe).write(bytes.get(..PIPE_BUF).unwrap_or(bytes))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
