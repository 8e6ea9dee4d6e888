//! A fast agent for the benchmark: it costs as little as possible, with many lines in one write and as
//! many in one read.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use chatixia_sidecar::protocol::lines::{Line, LineBuffer};
use memchr::memmem;

use super::Outcome;

/// Longest line that is understood, in bytes.
const LINE_BYTES: usize = 1024 * 1024;

/// How long reading or writing may make no progress before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a sidecar that greets may take for it. Others say nothing before they have a peer.
const GREETING: Duration = Duration::from_secs(2);

/// Interval at which the socket is looked for.
const SOCKET_LOOK: Duration = Duration::from_micros(100);

/// Waits until the file of a socket is there; says when that was.
pub(crate) fn wait_for_socket(path: &Path) -> Outcome<Instant> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if path.exists() {
            return Ok(Instant::now());
        }
        if Instant::now() >= deadline {
            return Err(format!("no socket {}", path.display()));
        }
        thread::sleep(SOCKET_LOOK);
    }
}

/// Connects as soon as the socket is there.
pub(crate) fn connect(path: &Path) -> Outcome<(Sender, Receiver)> {
    wait_for_socket(path)?;
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let stream = connect_to_listener(path).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let writing = stream.try_clone().map_err(failed)?;
    Ok(halves(writing.into(), stream.into()))
}

/// Returns whether the sidecar at this socket says something at once.
pub(crate) fn is_greeted(path: &Path) -> Outcome<bool> {
    wait_for_socket(path)?;
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut stream = connect_to_listener(path).map_err(failed)?;
    stream.set_read_timeout(Some(GREETING)).map_err(failed)?;
    match stream.read(&mut [0]) {
        Ok(count) => Ok(count > 0),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// An agent that writes to the one descriptor and reads from the other.
pub(crate) fn halves(writing: OwnedFd, reading: OwnedFd) -> (Sender, Receiver) {
    (
        Sender {
            stream: writing.into(),
        },
        Receiver {
            stream: reading.into(),
            lines: LineBuffer::new(LINE_BYTES),
        },
    )
}

/// Connects to a socket whose file may be there a moment before somebody listens.
fn connect_to_listener(path: &Path) -> std::io::Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Err(error)
                if error.kind() == std::io::ErrorKind::ConnectionRefused
                    && Instant::now() < deadline => {}
            connected => return connected,
        }
        thread::sleep(SOCKET_LOOK);
    }
}

/// The half of an agent that sends commands.
pub(crate) struct Sender {
    stream: File,
}

impl Sender {
    pub(crate) fn write(&mut self, lines: &[u8]) -> Outcome<()> {
        let written = self.stream.write_all(lines);
        written.map_err(|error| format!("can't write to the sidecar: {error}"))
    }
}

/// Appends the line that sends what `message` appends, to one peer or to all.
pub(crate) fn append_send(
    out: &mut Vec<u8>,
    target: Option<&str>,
    message: impl FnOnce(&mut Vec<u8>),
) {
    match target {
        Some(target) => {
            out.extend_from_slice(br#"{"type":"send","payload":{"target_peer":""#);
            out.extend_from_slice(target.as_bytes());
            out.extend_from_slice(br#"","message":"#);
        }
        None => out.extend_from_slice(br#"{"type":"broadcast","payload":{"message":"#),
    }
    message(out);
    out.extend_from_slice(b"}}\n");
}

/// The half of an agent that reads events.
pub(crate) struct Receiver {
    stream: File,
    lines: LineBuffer,
}

impl Receiver {
    /// Gives each line to `take` until it breaks. An error that the sidecar tells is a failure.
    pub(crate) fn listen<T>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Outcome<ControlFlow<T>>,
    ) -> Outcome<T> {
        loop {
            while let Some(line) = self.lines.next_line() {
                let Line::Complete(line) = line else {
                    return Err(format!("a line of more than {LINE_BYTES} bytes"));
                };
                if line.starts_with(br#"{"type":"error""#) {
                    let line = String::from_utf8_lossy(line);
                    return Err(format!("the sidecar reports {line}"));
                }
                if let ControlFlow::Break(found) = take(line)? {
                    return Ok(found);
                }
            }
            match self.stream.read(self.lines.space()) {
                Ok(0) => return Err("the sidecar has closed the connection".to_owned()),
                Ok(count) => self.lines.filled(count),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("nothing from the sidecar: {error}")),
            }
        }
    }

    /// Waits for a message, and gives what `take` makes of it.
    pub(crate) fn message<T>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Outcome<ControlFlow<T>>,
    ) -> Outcome<T> {
        self.listen(|line| match message_in(line) {
            Some(message) => take(message),
            None => Ok(ControlFlow::Continue(())),
        })
    }

    /// Waits for any line; says when it was read.
    pub(crate) fn first_line(&mut self) -> Outcome<Instant> {
        self.listen(|_| Ok(ControlFlow::Break(Instant::now())))
    }

    /// Waits until the sidecar is registered; says when that was told.
    pub(crate) fn registered(&mut self) -> Outcome<Instant> {
        self.listen(|line| {
            let tells = line.starts_with(br#"{"type":"ready""#)
                && memmem::find(line, br#""registry":"connected""#).is_some()
                || line.starts_with(br#"{"type":"registry","payload":{"state":"connected""#);
            Ok(match tells {
                true => ControlFlow::Break(Instant::now()),
                false => ControlFlow::Continue(()),
            })
        })
    }

    /// Waits until `count` further peers are connected; says when the last of them was.
    pub(crate) fn peers_connected(&mut self, count: usize) -> Outcome<Instant> {
        self.events(br#"{"type":"peer_connected""#, count)
    }

    /// Waits until a peer is told to be disconnected.
    pub(crate) fn peer_disconnected(&mut self) -> Outcome<Instant> {
        self.events(br#"{"type":"peer_disconnected""#, 1)
    }

    fn events(&mut self, start: &[u8], mut count: usize) -> Outcome<Instant> {
        if count == 0 {
            return Ok(Instant::now());
        }
        self.listen(|line| {
            count -= usize::from(line.starts_with(start));
            Ok(match count {
                0 => ControlFlow::Break(Instant::now()),
                _ => ControlFlow::Continue(()),
            })
        })
    }
}

/// The mesh message of a `message` event, untouched.
fn message_in(line: &[u8]) -> Option<&[u8]> {
    const MEMBER: &[u8] = br#""message":"#;
    let line = line.strip_prefix(br#"{"type":"message","#)?;
    let at = memmem::find(line, MEMBER)?;
    line.get(at + MEMBER.len()..)?.strip_suffix(b"}}")
}
