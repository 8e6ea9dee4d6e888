//! A registry for tests that does what a script says, right or wrong, and records what it is asked.
//!
//! It runs threads on a loopback address of its own; each test file uses a part of it.

#![allow(dead_code)]

mod serve;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use socket2::SockRef;
use tungstenite::Message;

/// Longest wait for anything; after it the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The answer to a token exchange.
#[derive(Clone, Debug)]
pub(crate) enum TokenReply {
    /// 200 with a fresh token; the peer id is what follows the last dot of the key.
    Grant,
    /// This status and an empty body.
    Status(u16),
    /// This status and these headers, each with its line end.
    Headed(u16, String),
    /// 201 in place of 200, else like `Grant`.
    Created,
    /// This status, `Location: ` this.
    Redirect(u16, String),
    /// 200 with this body.
    Body(Vec<u8>),
    /// These bytes in place of an HTTP answer, then the end.
    Raw(Vec<u8>),
    /// No answer at all.
    Hang,
}

/// The fate of a WebSocket.
#[derive(Clone, Debug)]
pub(crate) enum SocketScript {
    /// Works: answers `register` with a `peer_list` of these, and relays to nobody.
    Serve(Vec<String>),
    /// Sends these messages after the upgrade, one every few milliseconds, without reading anything
    /// meanwhile; then works like `Serve` with nobody there.
    Send(Vec<Message>),
    /// Sends these bytes when the client's first frame comes, and ends the TCP connection.
    Raw(Vec<u8>),
    /// Sends a close frame after the upgrade.
    Close,
    /// Upgrades, then neither reads nor writes, and keeps the TCP connection.
    Stall,
    /// This HTTP status in place of the upgrade.
    Refuse(u16),
    /// This HTTP status and these headers in place of the upgrade.
    RefuseHeaded(u16, String),
    /// No answer to the request for an upgrade.
    HangUpgrade,
}

/// The behaviour towards the next client. Of each list the first is used up, the last stays.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) tokens: Vec<TokenReply>,
    pub(crate) sockets: Vec<SocketScript>,
    /// Whether it holds a small frame back until the one before is acknowledged (Nagle's algorithm), as
    /// servers do that don't set `TCP_NODELAY`.
    pub(crate) holds_small_frames: bool,
}

impl Script {
    /// A registry without faults and without other peers.
    pub(crate) fn faultless() -> Self {
        Script {
            tokens: vec![TokenReply::Grant],
            sockets: vec![SocketScript::Serve(Vec::new())],
            holds_small_frames: false,
        }
    }

    pub(crate) fn with_tokens(tokens: &[TokenReply]) -> Self {
        Script {
            tokens: tokens.to_vec(),
            ..Script::faultless()
        }
    }

    pub(crate) fn with_sockets(sockets: &[SocketScript]) -> Self {
        Script {
            sockets: sockets.to_vec(),
            ..Script::faultless()
        }
    }
}

/// The head of an HTTP request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// An observation of the registry. `socket` counts the upgrades from 0.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    TokenRequest(Request),
    Upgrade {
        socket: usize,
        request: Request,
    },
    Frame {
        socket: usize,
        text: String,
    },
    Ping {
        socket: usize,
    },
    Pong {
        socket: usize,
    },
    /// With the code of the client's close frame, or without one.
    Closed {
        socket: usize,
        code: Option<u16>,
    },
}

/// A running registry; dropping it ends all its connections.
pub(crate) struct ScriptedRegistry {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    seen: Receiver<Seen>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    script: Mutex<Script>,
    tls: Option<Arc<ServerConfig>>,
    seen: Sender<Seen>,
    ending: AtomicBool,
    tokens: AtomicU64,
    sockets: AtomicUsize,
    commands: Mutex<Vec<Sender<Command>>>,
}

#[derive(Clone)]
enum Command {
    Send(Message),
    Drop,
}

/// An address on which nothing listens, and that no other test is given.
pub(crate) fn quiet_address() -> SocketAddr {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let [a, b, ..] = std::process::id().to_le_bytes();
    let c = u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed) + 1).unwrap();
    let probe = TcpListener::bind((IpAddr::from([127, a, b, c]), 0)).unwrap();
    probe.local_addr().unwrap()
}

/// Listens on an address where another may just have ended: a process that is being spawned at this moment may still
/// have its socket.
fn listen(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => {
                let is_held = error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline;
                assert!(is_held, "{address}: {error}");
            }
        }
        thread::sleep(serve::TICK);
    }
}

impl ScriptedRegistry {
    pub(crate) fn start(script: Script) -> Self {
        Self::start_at(quiet_address(), script)
    }

    pub(crate) fn start_at(address: SocketAddr, script: Script) -> Self {
        Self::launch(address, script, None)
    }

    /// Speaks `https` and `wss`.
    pub(crate) fn start_secured_at(
        address: SocketAddr,
        script: Script,
        tls: Arc<ServerConfig>,
    ) -> Self {
        Self::launch(address, script, Some(tls))
    }

    fn launch(address: SocketAddr, script: Script, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = listen(address);
        // So that a registry that does not read is soon noticed by its clients.
        let small = SockRef::from(&listener).set_recv_buffer_size(64 * 1024);
        small.unwrap();
        let (seen_sender, seen) = mpsc::channel();
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            tls,
            seen: seen_sender,
            ending: AtomicBool::new(false),
            tokens: AtomicU64::new(0),
            sockets: AtomicUsize::new(0),
            commands: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || serve::accept(&listener, &accepting));
        ScriptedRegistry {
            address,
            shared,
            seen,
            acceptor: Some(acceptor),
        }
    }

    pub(crate) fn signaling_url(&self) -> String {
        let scheme = if self.shared.tls.is_some() {
            "wss"
        } else {
            "ws"
        };
        format!("{scheme}://{}/ws", self.address)
    }

    pub(crate) fn token_url(&self) -> String {
        let scheme = if self.shared.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}/api/token", self.address)
    }

    /// Sets the behaviour from now on.
    pub(crate) fn set_script(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    /// Sends a message to all clients that are served.
    pub(crate) fn send(&self, message: &Message) {
        self.command(&Command::Send(message.clone()));
    }

    /// Drops the TCP connections of all clients that are served.
    pub(crate) fn drop_sockets(&self) {
        self.command(&Command::Drop);
    }

    fn command(&self, command: &Command) {
        let mut commands = self.shared.commands.lock().unwrap();
        commands.retain(|socket| socket.send(command.clone()).is_ok());
    }

    /// The next thing that the registry sees and `wanted` takes; others are skipped.
    pub(crate) fn wait_for<T>(&self, wanted: impl Fn(Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let seen = self.seen.recv_timeout(left);
            let seen = seen.expect("the registry did not see what was expected");
            if let Some(value) = wanted(seen) {
                return value;
            }
        }
    }

    /// All that was seen until now and not waited for.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }
}

impl Drop for ScriptedRegistry {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        // Ends the wait for a client.
        let _ = TcpStream::connect(self.address);
        let joined = self.acceptor.take().map(JoinHandle::join);
        if let Some(Err(panic)) = joined
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}
