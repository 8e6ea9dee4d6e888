//! Support for the IPC tests: a directory for each test, an agent, and a stand-in for the event loop.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chatixia_sidecar::protocol::PeerId;
use chatixia_sidecar::protocol::ipc::{
    Command, ErrorCode, ErrorReport, Event, Limits, Rejection, Request,
};
use chatixia_sidecar::protocol::message::Message;
use chatixia_sidecar::runtime::ipc::{
    self, Doors, Generation, Handle, Notice, Outlet, RequestBatch, Settings, Unsent,
};
use chatixia_sidecar::runtime::wake::LoopWaker;
use crossbeam_channel::{Receiver, bounded, unbounded};

/// Longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const LIMITS: Limits = Limits {
    message_bytes: 4 * 1024 * 1024,
    line_bytes: 4 * 1024 * 1024 + 64 * 1024,
};

/// A directory that is removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = std::env::temp_dir().join(format!(
            "ipc-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("s.sock")
    }

    /// The names of all that is in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The event loop's side of a socket that is served.
pub(crate) struct Served {
    pub(crate) handle: Handle,
    pub(crate) requests: Receiver<RequestBatch>,
    pub(crate) notices: Receiver<Notice>,
    _poll: mio::Poll,
}

impl Served {
    pub(crate) fn new(socket: &Path) -> Self {
        Self::with(Settings::new(socket.to_owned()))
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self::start(ipc::bind(settings).unwrap(), LIMITS)
    }

    pub(crate) fn start(bound: ipc::BoundSocket, limits: Limits) -> Self {
        let doors = Doors {
            stdio: None,
            socket: Some(bound),
            limits,
        };
        let poll = mio::Poll::new().unwrap();
        let waker = LoopWaker::new(poll.registry(), mio::Token(0)).unwrap();
        let (to_requests, requests) = bounded(2);
        let (to_notices, notices) = unbounded();
        Served {
            handle: ipc::start(doors, to_requests, to_notices, waker).unwrap(),
            requests,
            notices,
            _poll: poll,
        }
    }

    pub(crate) fn notice(&self) -> Notice {
        self.notices.recv_timeout(DEADLINE).expect("a notice")
    }

    pub(crate) fn connected(&self) -> (Generation, Outlet) {
        match self.notice() {
            Notice::AgentConnected { generation, outlet } => (generation, outlet),
            other => panic!("not connected: {other:?}"),
        }
    }

    /// Takes the writer's next report, if one comes in time. Returns how many events it is about.
    pub(crate) fn report(&self, outlet: &mut Outlet, within: Duration) -> Option<usize> {
        match self.notices.recv_timeout(within).ok()? {
            Notice::Written { events, .. } => {
                outlet.written(events);
                Some(events)
            }
            other => panic!("no report: {other:?}"),
        }
    }

    /// Passes over `Written`.
    pub(crate) fn gone(&self) -> (Generation, Unsent) {
        loop {
            match self.notice() {
                Notice::AgentGone { generation, unsent } => return (generation, unsent),
                Notice::Written { .. } => {}
                other => panic!("not gone: {other:?}"),
            }
        }
    }

    /// All requests up to the end of the generation.
    pub(crate) fn requests_to_the_end(&self, of: Generation) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let batch = self.requests.recv_timeout(DEADLINE).expect("requests");
            assert_eq!(batch.generation, of);
            all.extend(batch.requests.iter().map(brief));
            if batch.end {
                return all;
            }
        }
    }

    /// The next so many requests.
    pub(crate) fn take_requests(&self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            let batch = self.requests.recv_timeout(DEADLINE).expect("requests");
            all.extend(batch.requests.iter().map(brief));
        }
        all
    }
}

/// A request in a word: its command and id, or why it is none.
fn brief(request: &Result<Request, Box<Rejection>>) -> String {
    match request {
        Ok(Request { id, command }) => {
            let command = match command {
                Command::Send { target_peer, .. } => format!("send {target_peer}"),
                Command::Broadcast { .. } => "broadcast".to_owned(),
                Command::ListPeers => "list_peers".to_owned(),
                Command::Connect { target_peer_id } => format!("connect {target_peer_id}"),
                Command::Stats => "stats".to_owned(),
            };
            match id {
                Some(id) => format!("{command} #{}", id.as_json()),
                None => command,
            }
        }
        Err(rejection) => rejection.error.code.as_str().to_owned(),
    }
}

pub(crate) struct Agent {
    pub(crate) stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Agent {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Agent {
            lines: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next line without its end; `None` when the connection is closed.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line: {error}"),
        }
    }
}

/// An event that is told from others by `mark`, with a message of about `size` bytes.
pub(crate) fn event(mark: usize, size: usize) -> Event {
    let text = "x".repeat(size);
    let json = format!(r#"{{"type":"ping","request_id":"{mark}","payload":"{text}"}}"#);
    Event::Message {
        from_peer: PeerId::new("bob").unwrap(),
        message: Message::from_agent(&json).unwrap(),
    }
}

pub(crate) fn mark_of(event: &Event) -> usize {
    match event {
        Event::Message { message, .. } => message.request_id().unwrap().parse().unwrap(),
        other => panic!("not a message: {other:?}"),
    }
}

/// An `error` event.
pub(crate) fn error_event(text: &str) -> Event {
    Event::Error {
        id: None,
        error: ErrorReport::new(ErrorCode::UnknownPeer, text),
    }
}
