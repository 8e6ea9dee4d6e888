//! An agent for the tests: the program at the other end of the sidecar's socket, or of its standard input and
//! output.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use serde_json::{Value, json};

use super::transport::await_ready;
use super::{DEADLINE, Event, Writer};

/// The agent's end of a connection to a sidecar. Reads only when it is asked to.
pub(crate) struct Agent {
    /// `None` when it has finished.
    writer: Option<Writer>,
    reader: File,
    read: Vec<u8>,
    /// Where in `read` the unread rest begins, and up to where no line ends.
    start: usize,
    scanned: usize,
}

impl Agent {
    /// Connects to a socket that is there.
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        let reader = OwnedFd::from(stream.try_clone().unwrap());
        Agent::new(Writer::socket(stream), reader)
    }

    /// At these ends of a sidecar's standard input and output.
    pub(crate) fn at(input: OwnedFd, output: OwnedFd) -> Self {
        Agent::new(Writer::pipe(input), output)
    }

    fn new(writer: Writer, reader: OwnedFd) -> Self {
        Agent {
            writer: Some(writer),
            reader: reader.into(),
            read: Vec::new(),
            start: 0,
            scanned: 0,
        }
    }

    /// Connects and takes the greeting.
    pub(crate) fn greeted(socket: &Path) -> Self {
        let mut agent = Agent::connect(socket);
        agent.take_greeting();
        agent
    }

    pub(crate) fn take_greeting(&mut self) {
        let ready = self.next();
        assert_eq!(ready.kind(), "ready", "{ready:?}");
    }

    /// Takes the greeting, and waits until it or a later event says that the registry is connected.
    pub(crate) fn until_registered(&mut self) {
        self.until(|event| match event.kind() {
            "ready" => event.payload()["registry"] == "connected",
            "registry" => event.payload()["state"] == "connected",
            _ => false,
        });
    }

    /// Another handle of the same connection, for a thread that writes.
    pub(crate) fn writer(&self) -> Writer {
        self.writer.as_ref().unwrap().another()
    }

    /// Another handle of the same connection, from which bytes are read as they are.
    pub(crate) fn reader(&self) -> File {
        self.reader.try_clone().unwrap()
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(bytes.as_ref()).unwrap();
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.write(format!("{}\n", text.as_ref()));
    }

    /// `send` without an id.
    pub(crate) fn send(&mut self, to: &str, message: &Value) {
        let payload = json!({"target_peer": to, "message": message});
        self.line(json!({"type": "send", "payload": payload}).to_string());
    }

    /// A command with an id.
    pub(crate) fn command(&mut self, id: impl Into<Value>, kind: &str, payload: &Value) {
        let command = json!({"type": kind, "id": id.into(), "payload": payload});
        self.line(command.to_string());
    }

    /// Does a command and gives its answer; what comes before it is dropped.
    pub(crate) fn ask(&mut self, kind: &str, payload: &Value) -> Event {
        let id = format!("asked-{}", fastrand::u64(..));
        self.command(id.as_str(), kind, payload);
        self.until(|event| event.id() == Some(&Value::from(id.as_str())))
    }

    /// Shuts down the sending side.
    pub(crate) fn finish(&mut self) {
        self.writer.take().unwrap().finish();
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Event {
        self.next_or_end()
            .expect("the sidecar closed the connection")
    }

    /// The next line as it is.
    pub(crate) fn next_line(&mut self) -> String {
        let line = self.read_line(Instant::now() + DEADLINE).unwrap();
        line.expect("the sidecar closed the connection")
    }

    /// The next event; `None` at the connection's end.
    pub(crate) fn next_or_end(&mut self) -> Option<Event> {
        match self.read_line(Instant::now() + DEADLINE) {
            Ok(text) => text.map(Event::parse),
            Err(kind) => panic!("nothing within {DEADLINE:?}: {kind}"),
        }
    }

    /// The next event that is `wanted`; those before it are dropped.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        self.until_within(DEADLINE, wanted)
    }

    /// The same, in a time of its own.
    pub(crate) fn until_within(
        &mut self,
        time: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Event {
        let deadline = Instant::now() + time;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.read_line(Instant::now() + left) {
                Ok(Some(text)) => {
                    let event = Event::parse(text);
                    if wanted(&event) {
                        return event;
                    }
                    if seen.len() < 20 {
                        seen.push(event);
                    }
                }
                Ok(None) => panic!("the connection ended after {seen:#?}"),
                Err(kind) => panic!("not within {time:?} ({kind}), only {seen:#?}"),
            }
        }
    }

    /// The next event of this type about this peer.
    pub(crate) fn until_peer(&mut self, kind: &str, peer: &str) -> Event {
        self.until(|event| event.is(kind, peer))
    }

    /// The next `registry` event with this state.
    pub(crate) fn until_registry(&mut self, state: &str) -> Event {
        self.until(|event| event.kind() == "registry" && event.payload()["state"] == state)
    }

    /// All events up to the one that is the `last`.
    pub(crate) fn all_until(&mut self, last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            let is_last = last(&event);
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    /// `None` at the end; a reset counts as one.
    fn read_line(&mut self, deadline: Instant) -> Result<Option<String>, ErrorKind> {
        loop {
            if let Some(length) = self.read[self.scanned..].iter().position(|b| *b == b'\n') {
                let end = self.scanned + length;
                let line = self.read[self.start..end].to_vec();
                self.start = end + 1;
                self.scanned = self.start;
                return Ok(Some(String::from_utf8(line).unwrap()));
            }
            self.read.drain(..self.start);
            self.start = 0;
            self.scanned = self.read.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !await_ready(&self.reader, PollFlags::IN, left) {
                return Err(ErrorKind::TimedOut);
            }
            let mut chunk = [0; 64 * 1024];
            match self.reader.read(&mut chunk) {
                Ok(0) => {
                    assert!(self.read.is_empty(), "the last line has no end");
                    return Ok(None);
                }
                Ok(count) => self.read.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset => return Ok(None),
                    other => return Err(other),
                },
            }
        }
    }
}
