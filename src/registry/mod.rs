//! The registry (contract part 3). It gives out tokens, introduces peers to each other, knows the agents,
//! pairs devices, and keeps the tasks of agents that can't reach each other. One thread and one event loop
//! hold all its sockets; one more writes its file.
//!
//! Without I/O: `directory` decides which frame goes to whom, `api` answers requests, on the state in
//! `store`. `connection`, `socket` and `websocket` carry bytes for them, `data` keeps the state on the disk;
//! `server` owns everything.

mod answering;
mod api;
mod connection;
mod data;
mod directory;
mod http;
mod limits;
mod progress;
mod rates;
mod relay;
mod response;
mod secrets;
mod server;
mod socket;
mod store;
mod tls;
mod unix_time;
mod websocket;

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use mio::net::UnixListener;
use mio::{Interest, Poll, Waker};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::ServerConfig;

use crate::config::networks::Networks;
use crate::config::relay::RelayConfig;
use crate::secret::Secret;
use api::Api;
use api::ice_servers::{self, IceServers, OwnRelay};
use connection::Times;
pub use data::CONTROL_SOCKET;
pub use limits::TABLE as LIMITS;
use relay::Relay;
use server::{CONTROL, LISTENER, Parts, Server, WAKER};
pub use store::keys::{Identity, Keys, load_keys};
use store::{Lasting, Store};
pub use tls::load_tls;
use unix_time::UnixTime;

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
    /// The keys that get tokens, beside those in the data directory.
    pub keys: Keys,
    /// The directory of the state that outlives the process, and of the control socket: `None`.
    pub data: Option<PathBuf>,
    /// The certificate, for HTTPS: `None`.
    pub tls: Option<Arc<ServerConfig>>,
    /// The proxies whose word about their clients' addresses is taken: none.
    pub trusted_proxies: Networks,
    /// The path before all resources, without a slash at its end; they are found without it, too: empty.
    pub path_prefix: String,
    /// The `iceServers` of `/api/config`, handed out as they are.
    pub ice_servers: Vec<serde_json::Value>,
    /// URLs of STUN servers that `/api/config` names: none.
    pub stun_urls: Vec<String>,
    /// URLs of TURN servers that it names, with logins made of `turn_secret`: none.
    pub turn_urls: Vec<String>,
    /// The secret that the TURN servers share: `None`, a random one for the own relay.
    pub turn_secret: Option<Secret>,
    /// The own relay: `None`.
    pub relay: Option<RelayConfig>,
    /// How long a token opens WebSockets: 5 minutes.
    pub token_lifetime: Duration,
    /// From a connection's start to the end of its request, and from there to the end of its
    /// answer: 10 s.
    pub request_timeout: Duration,
    /// Time between two pings of a WebSocket: 20 s.
    pub ping_interval: Duration,
    /// How long a WebSocket may be silent, pongs included, before it is closed: 60 s.
    pub silence_timeout: Duration,
    /// Open connections of any kind; further ones are refused: 16,384.
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
            data: None,
            tls: None,
            trusted_proxies: Networks::default(),
            path_prefix: String::new(),
            ice_servers: Vec::new(),
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            turn_secret: None,
            relay: None,
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
    /// The certificate or its key cannot be used.
    Tls {
        /// The file.
        path: PathBuf,
        /// The reason; shows nothing of the key.
        reason: String,
    },
    /// The data directory cannot be used.
    Data {
        /// The directory.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The relay cannot start.
    Relay {
        /// The UDP address that was asked for.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
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
            Error::Tls { path, reason } => {
                write!(
                    f,
                    "the TLS file {} cannot be used: {reason}",
                    path.display()
                )
            }
            Error::Data { path, reason } => write!(
                f,
                "the data directory {} cannot be used: {reason}",
                path.display()
            ),
            Error::Relay { address, source } => write!(
                f,
                "the relay cannot start on UDP {address} (RELAY_LISTEN): {source}"
            ),
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
            Error::Keys { .. } | Error::Tls { .. } | Error::Data { .. } => None,
            Error::Listen { source, .. } | Error::Relay { source, .. } => Some(source),
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

/// A file that was read again while the registry runs.
enum Change {
    Keys(Keys),
    Tls(Arc<ServerConfig>),
}

/// A handle that gives a registry other keys and another certificate while it runs.
#[derive(Debug)]
pub struct ReloadHandle {
    changes: Sender<Change>,
    waker: Arc<Waker>,
}

impl ReloadHandle {
    /// Has requests from now on judged by these keys. Tokens that were given out and peers that are connected
    /// stay. Does nothing when the registry has ended.
    pub fn replace_keys(&self, keys: Keys) {
        self.send(Change::Keys(keys));
    }

    /// Shows this certificate on connections from now on. Does nothing when the registry has ended.
    pub fn replace_tls(&self, tls: Arc<ServerConfig>) {
        self.send(Change::Tls(tls));
    }

    fn send(&self, change: Change) {
        if self.changes.send(change).is_ok()
            && let Err(error) = self.waker.wake()
        {
            log::error!("the registry cannot be woken to take a change: {error}");
        }
    }
}

/// A registry that listens; it answers as soon as [`Registry::run`] is called.
pub struct Registry {
    server: Server,
    address: SocketAddr,
    stop: StopHandle,
    changes: Sender<Change>,
}

impl Registry {
    /// Begins to listen. Raises the process's limit of open files as far as the system allows.
    pub fn bind(options: Options) -> Result<Registry, Error> {
        let (saver, lasting) = match &options.data {
            None => (None, Lasting::default()),
            Some(path) => {
                let opened = data::open(path).map_err(|reason| Error::Data {
                    path: path.clone(),
                    reason,
                })?;
                (Some(opened.0), opened.1)
            }
        };
        let control = options.data.as_deref().map(control_socket).transpose()?;
        let address = options.listen;
        let secret = options.turn_secret.clone();
        let secret = secret.map_or_else(random_secret, Ok);
        let secret = secret.map_err(|source| Error::Listen { address, source })?;
        let relay = options.relay.as_ref().map(|relay| {
            Relay::start(relay, secret.clone()).map_err(|source| Error::Relay {
                address: relay.listen,
                source,
            })
        });
        let relay = relay.transpose()?;
        Self::listen(options, saver, lasting, control, (relay, secret))
            .map_err(|source| Error::Listen { address, source })
    }

    fn listen(
        options: Options,
        saver: Option<data::Saver>,
        lasting: Lasting,
        mut control: Option<UnixListener>,
        (relay, secret): (Option<Relay>, Secret),
    ) -> io::Result<Registry> {
        raise_open_files_limit();
        let mut listener = listen(options.listen)?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        let watched = poll.registry();
        watched.register(&mut listener, LISTENER, Interest::READABLE)?;
        if let Some(control) = &mut control {
            watched.register(control, CONTROL, Interest::READABLE)?;
        }
        let stop = StopHandle {
            stopped: Arc::new(AtomicBool::new(false)),
            waker: Arc::new(Waker::new(watched, WAKER)?),
        };
        let store = Store::new(options.keys, options.token_lifetime, lasting);
        let prefix = options.path_prefix;
        let own_relay = relay.as_ref().zip(options.relay);
        let ice_servers = IceServers {
            fixed: options.ice_servers,
            stun: options.stun_urls,
            turn: options.turn_urls,
            relay: own_relay.map(|(relay, relay_options)| OwnRelay {
                address: relay.address(),
                host: relay_options.host,
                stream: match (options.trusted_proxies.is_empty(), &options.tls) {
                    (false, _) => None,
                    (true, None) => Some(ice_servers::Stream::Tcp),
                    (true, Some(_)) => Some(ice_servers::Stream::Tls),
                },
            }),
            secret,
        };
        let api = Api::new(store, ice_servers, prefix, UnixTime::now());
        let times = Times {
            request_timeout: options.request_timeout,
            ping_interval: options.ping_interval,
            silence_timeout: options.silence_timeout,
        };
        let (changes, new_changes) = unbounded();
        let parts = Parts {
            poll,
            listener,
            control,
            tls: options.tls,
            api,
            saver,
            changes: new_changes,
            max_connections: options.max_connections,
            times,
            trusted_proxies: options.trusted_proxies,
            relay,
            watch: options.watch,
        };
        Ok(Registry {
            server: Server::new(parts, Instant::now()),
            address,
            stop,
            changes,
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

    /// Returns a handle that gives it other keys and another certificate.
    pub fn reload_handle(&self) -> ReloadHandle {
        ReloadHandle {
            changes: self.changes.clone(),
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

/// Returns a secret for this process alone.
fn random_secret() -> io::Result<Secret> {
    let random = secrets::random::<32>().ok_or_else(|| io::Error::other("no random numbers"))?;
    Ok(Secret::new(secrets::hex(&random)))
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

/// Makes the control socket in the data directory, which is locked: what has its name there is left of a
/// registry that has ended.
fn control_socket(directory: &Path) -> Result<UnixListener, Error> {
    let path = directory.join(CONTROL_SOCKET);
    let made = match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(&path),
    };
    let owner_only = fs::Permissions::from_mode(0o600);
    made.and_then(|listener| {
        fs::set_permissions(&path, owner_only)?;
        Ok(listener)
    })
    .map_err(|error| Error::Data {
        path: directory.to_owned(),
        reason: format!("its control socket {CONTROL_SOCKET} cannot be made: {error}"),
    })
}

fn raise_open_files_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::debug!("the limit of open files stays as it is: {error}");
    }
}
