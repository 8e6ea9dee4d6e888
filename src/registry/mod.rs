//! The registry (contract part 3). It gives out tokens, introduces peers to each other, knows the agents,
//! pairs devices, and keeps the tasks of agents that can't reach each other. One thread and one event loop
//! hold all its sockets; one more writes its file.
//!
//! Without I/O: `directory` knows who is online, and `frames` what a frame asks for; `api` answers requests, on the
//! state in `store`. `connection`, `socket` and `websocket` carry bytes for them, `data` keeps the state on the disk;
//! `server` owns everything; `acting`, `answering` and `sharing` are what it does. The state of `shared` is one that
//! several registries have in common.

mod acting;
mod actions;
mod answering;
mod api;
mod connection;
mod crowd;
mod data;
mod directory;
mod error;
mod frames;
mod handles;
mod http;
mod learning;
mod limits;
mod options;
mod progress;
mod rates;
mod relay;
mod reports;
mod response;
mod secrets;
mod server;
mod shared;
mod shares;
mod sharing;
mod socket;
mod store;
mod tls;
mod unix_time;
mod websocket;

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};
use mio::net::UnixListener;
use mio::{Interest, Poll, Waker};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::secret::Secret;
use api::Api;
use api::ice_servers::{self, IceServers, OwnRelay};
use connection::Times;
pub use data::CONTROL_SOCKET;
use directory::Directory;
pub use error::Error;
use handles::Change;
pub use handles::{ReloadHandle, StopHandle};
pub use limits::TABLES as LIMITS;
pub use options::{Options, Passing, Watch};
use relay::Relay;
use secrets::{hex, random};
use server::{CONTROL, LISTENER, Parts, Server, WAKER};
use shared::Shared;
pub use shared::StoreOptions;
pub use store::keys::{Identity, Keys, load_keys};
use store::{Lasting, Store};
pub use tls::load_tls;
use unix_time::UnixTime;

/// A registry that listens; it answers as soon as [`Registry::run`] is called.
pub struct Registry {
    server: Server,
    address: SocketAddr,
    stop: StopHandle,
    changes: Sender<Change>,
    /// Keeps other registries from the data directory, where nothing is written to it.
    _lock: Option<File>,
}

/// What a registry begins with.
struct State {
    saver: Option<data::Saver>,
    store: Store,
    control: Option<UnixListener>,
    relay: Option<Relay>,
    secret: Secret,
    lock: Option<File>,
}

impl Registry {
    /// Begins to listen. Raises the process's limit of open files as far as the system allows.
    pub fn bind(options: Options) -> Result<Registry, Error> {
        let (saver, lasting, lock) = kept(&options)?;
        let mut store = Store::new(options.keys.clone(), options.token_lifetime, lasting);
        let control = options.data.as_deref().map(control_socket).transpose()?;
        let address = options.listen;
        let secret = login_secret(&options, &mut store);
        let secret = secret.map_err(|source| Error::Listen { address, source })?;
        let relay = options.relay.as_ref().map(|relay| {
            let trusted_proxies = options.trusted_proxies.clone();
            Relay::start(relay, secret.clone(), trusted_proxies).map_err(|source| Error::Relay {
                address: relay.listen,
                source,
            })
        });
        let relay = relay.transpose()?;
        if let Some(relay) = &relay {
            for barring in store.barred() {
                relay.bar(&barring.peer, barring.at);
            }
        }
        let state = State {
            saver,
            store,
            control,
            relay,
            secret,
            lock,
        };
        Self::listen(options, state).map_err(|source| Error::Listen { address, source })
    }

    fn listen(options: Options, state: State) -> io::Result<Registry> {
        raise_open_files_limit();
        let mut listener = listen(options.listen)?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        let watched = poll.registry();
        watched.register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut control = state.control;
        if let Some(control) = &mut control {
            watched.register(control, CONTROL, Interest::READABLE)?;
        }
        let stop = StopHandle {
            stopped: Arc::new(AtomicBool::new(false)),
            waker: Arc::new(Waker::new(watched, WAKER)?),
        };
        let relay = state.relay;
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
            secret: state.secret,
        };
        let mut api = Api::new(
            state.store,
            ice_servers,
            options.path_prefix,
            UnixTime::now(),
        );
        let times = Times {
            request_timeout: options.request_timeout,
            ping_interval: options.ping_interval,
            silence_timeout: options.silence_timeout,
        };
        let name = hex(&random::<8>().ok_or_else(|| io::Error::other("no random numbers"))?);
        let shared = options.store.map(|store| {
            let tables = api.store.tables().into_iter().map(|(name, _)| name);
            let tables = tables.chain([sharing::ONLINE]).collect();
            let waker = Arc::clone(&stop.waker);
            Shared::start(store, name.clone(), tables, waker, Instant::now())
        });
        let (changes, new_changes) = unbounded();
        let parts = Parts {
            poll,
            listener,
            control,
            tls: options.tls,
            api,
            saver: state.saver,
            changes: new_changes,
            max_connections: options.max_connections,
            times,
            trusted_proxies: options.trusted_proxies,
            relay,
            shared: shared.transpose()?,
            takes_login_secret: options.turn_secret.is_none(),
            watch: options.watch,
        };
        Ok(Registry {
            server: Server::new(parts, Directory::new(name), Instant::now()),
            address,
            stop,
            changes,
            _lock: state.lock,
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
    /// queue does, or the thread ends that talks to the store.
    pub fn run(mut self) -> io::Result<()> {
        log::info!("the registry listens on {}", self.address);
        self.server.run(&self.stop)
    }
}

/// Returns what keeps the state, the state, and the lock of a directory in which it is not kept.
fn kept(options: &Options) -> Result<(Option<data::Saver>, Lasting, Option<File>), Error> {
    let Some(path) = &options.data else {
        return Ok((None, Lasting::default(), None));
    };
    let failure = |reason| Error::Data {
        path: path.clone(),
        reason,
    };
    if options.store.is_some() {
        let lock = data::lock(path).map_err(failure)?;
        return Ok((None, Lasting::default(), Some(lock)));
    }
    let (saver, lasting) = data::open(path).map_err(failure)?;
    Ok((Some(saver), lasting, None))
}

/// Returns the secret of logins to TURN servers: the one that was given, or that of our own relay, which is kept.
fn login_secret(options: &Options, store: &mut Store) -> io::Result<Secret> {
    if let Some(secret) = options.turn_secret.clone().or_else(|| store.login_secret()) {
        return Ok(secret);
    }
    let random = random::<32>().ok_or_else(|| io::Error::other("no random numbers"))?;
    let secret = hex(&random);
    // That of a store is not known yet.
    if options.relay.is_some() && options.store.is_none() {
        store.set_login_secret(secret.clone());
        for (_, table) in store.tables() {
            table.settle();
        }
    }
    Ok(Secret::new(secret))
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
