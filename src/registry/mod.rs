//! The registry for development and tests (contract part 3). It gives out tokens, introduces peers to each
//! other, and keeps the tasks of agents that can't reach each other. One thread and one event loop hold
//! all its sockets.
//!
//! `directory` decides which frame goes to whom, `api` answers requests, and `hub` those for the task
//! queue (`tasks`), all without I/O. `connection` and `websocket` carry bytes for them; `server` owns
//! everything.

mod api;
mod connection;
mod directory;
mod http;
mod hub;
mod keys;
mod limits;
mod progress;
mod server;
mod tasks;
mod tokens;
mod websocket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use mio::{Interest, Poll, Waker};
use rustix::process::{Resource, getrlimit, setrlimit};

use api::Api;
use connection::Times;
pub use keys::{Identity, Keys, load_keys};
use server::{LISTENER, Server, WAKER};

/// A frame that the registry has answered, sent or relayed: its type, from whom and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing<'a> {
    /// The frame's type.
    pub kind: &'a str,
    /// The peer that sent it, or `registry`.
    pub from: &'a str,
    /// The peer that it is for, or `registry`.
    pub to: &'a str,
}

/// A function that is called on the registry's thread, which waits for it.
pub type Watch = fn(Passing<'_>);

/// The options of a registry. [`Options::new`] gives the usual values, which are named after the colon here.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one (see [`Registry::local_addr`]).
    pub listen: SocketAddr,
    /// The keys that get tokens.
    pub keys: Keys,
    /// The `iceServers` of `/api/config`, handed out as they are.
    pub ice_servers: Vec<serde_json::Value>,
    /// How long a token opens WebSockets: 5 minutes.
    pub token_lifetime: Duration,
    /// From a connection's start to the end of its request, and from there to the end of its
    /// answer: 10 s.
    pub request_timeout: Duration,
    /// Time between two pings of a WebSocket: 20 s.
    pub ping_interval: Duration,
    /// How long a WebSocket may be silent, pongs included, before it is closed: 60 s.
    pub silence_timeout: Duration,
    /// Open connections of any kind; further ones are refused: 4096.
    pub max_connections: usize,
    /// A function that is called for each frame that has an effect: `None`.
    pub watch: Option<Watch>,
}

impl Options {
    /// Makes the usual options, without ICE servers.
    pub fn new(listen: SocketAddr, keys: Keys) -> Self {
        Options {
            listen,
            keys,
            ice_servers: Vec::new(),
            token_lifetime: limits::TOKEN_LIFETIME,
            request_timeout: limits::REQUEST_TIMEOUT,
            ping_interval: limits::PING_INTERVAL,
            silence_timeout: limits::SILENCE_TIMEOUT,
            max_connections: limits::CONNECTIONS,
            watch: None,
        }
    }
}

/// The reason why a registry cannot start.
#[derive(Debug)]
pub enum Error {
    /// The keys file cannot be used.
    Keys {
        /// The file.
        path: PathBuf,
        /// The reason; names no key.
        reason: String,
    },
    /// The registry cannot listen on that address.
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Keys { path, reason } => {
                write!(
                    f,
                    "the keys file {} cannot be used: {reason}",
                    path.display()
                )
            }
            Error::Listen { address, source } => write!(
                f,
                "the registry cannot listen on {address}: {source}; choose another LISTEN or PORT"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Keys { .. } => None,
            Error::Listen { source, .. } => Some(source),
        }
    }
}

/// A handle that ends a [`Registry::run`] from another thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StopHandle {
    stopped: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl StopHandle {
    /// Ends the registry soon; does nothing when it has ended already.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Err(error) = self.waker.wake() {
            log::error!("the registry cannot be woken to end: {error}");
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// A handle that gives a registry other keys while it runs.
#[derive(Debug)]
pub struct KeysHandle {
    keys: Sender<Keys>,
    waker: Arc<Waker>,
}

impl KeysHandle {
    /// Has requests from now on judged by these keys. Tokens that were given out and peers that are connected
    /// stay. Does nothing when the registry has ended.
    pub fn replace(&self, keys: Keys) {
        if self.keys.send(keys).is_ok()
            && let Err(error) = self.waker.wake()
        {
            log::error!("the registry cannot be woken to take other keys: {error}");
        }
    }
}

/// A registry that listens; it answers as soon as [`Registry::run`] is called.
pub struct Registry {
    server: Server,
    address: SocketAddr,
    stop: StopHandle,
    keys: Sender<Keys>,
}

impl Registry {
    /// Begins to listen. Raises the process's limit of open files as far as the system allows.
    pub fn bind(options: Options) -> Result<Registry, Error> {
        let address = options.listen;
        Self::listen(options).map_err(|source| Error::Listen { address, source })
    }

    fn listen(options: Options) -> io::Result<Registry> {
        raise_open_files_limit();
        let mut listener = listen(options.listen)?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        let watched = poll.registry();
        watched.register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = StopHandle {
            stopped: Arc::new(AtomicBool::new(false)),
            waker: Arc::new(Waker::new(watched, WAKER)?),
        };
        let api = Api::new(
            options.keys,
            &options.ice_servers,
            options.token_lifetime,
            Instant::now(),
        );
        let times = Times {
            request_timeout: options.request_timeout,
            ping_interval: options.ping_interval,
            silence_timeout: options.silence_timeout,
        };
        let (keys, new_keys) = unbounded();
        Ok(Registry {
            server: Server::new(
                poll,
                listener,
                api,
                new_keys,
                options.max_connections,
                times,
                options.watch,
            ),
            address,
            stop,
            keys,
        })
    }

    /// Returns the address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns a handle that ends [`Registry::run`].
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Returns a handle that gives it other keys.
    pub fn keys_handle(&self) -> KeysHandle {
        KeysHandle {
            keys: self.keys.clone(),
            waker: Arc::clone(&self.stop.waker),
        }
    }

    /// Serves on the calling thread until a [`StopHandle`] ends it. Fails only when the system's event
    /// queue does.
    pub fn run(mut self) -> io::Result<()> {
        log::info!("the registry listens on {}", self.address);
        self.server.run(&self.stop)
    }
}

/// Listens, with a queue for a thousand clients that come at the same moment, as they do after the
/// registry was restarted.
fn listen(address: SocketAddr) -> io::Result<mio::net::TcpListener> {
    const BACKLOG: i32 = 1024;
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

fn raise_open_files_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::debug!("the limit of open files stays as it is: {error}");
    }
}
