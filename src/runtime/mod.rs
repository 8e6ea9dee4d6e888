//! Runs the sidecar: sockets, threads, signals and files around the sans-IO core.
//!
//! One event loop thread owns all connection state. The IPC and signaling threads block on their own
//! sockets and exchange messages with it through bounded channels and one [`wake::LoopWaker`].

#[cfg(feature = "registry")]
mod any_certificate;
pub(crate) mod event_loop;
pub mod health;
pub(crate) mod interfaces;
pub mod ipc;
pub mod logging;
pub mod mcp;
mod metrics;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod peer_files;
pub(crate) mod process;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(feature = "registry")]
pub mod registry_orders;
pub mod signaling;
mod small_file;
pub mod surroundings;
pub mod wake;

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use crossbeam_channel::bounded;
use mio::Poll;

use crate::config::{Config, PeerSettings};
use crate::limits;
use crate::mesh::link::webrtc::{Identity, WebRtc};
use crate::mesh::trust::known_peers::KnownPeers;
use crate::mesh::{self, Mesh};
use crate::protocol;

use event_loop::{End, EventLoop, FIRST_SOCKET, FIRST_STREAM, Parts, WAKER};
use network::reach::Reaching;
use network::sockets::Sockets;
use peer_files::{identity, known_peers};
use process::parent::Parent;
use process::service_manager::ServiceManager;
use process::signals;
pub use process::signals::survive_file_limits;
use signaling::CurrentTls;
use wake::LoopWaker;

/// The nice value of work that can wait.
#[cfg(target_os = "linux")]
const LOW_PRIORITY: i32 = 10;

/// The reason why the sidecar ends with an error.
#[derive(Debug)]
enum Failure {
    /// The IPC socket cannot be bound.
    Socket(ipc::BindError),
    /// A setting turned out to be unusable.
    Configuration(String),
    /// The registry refused the API key.
    KeyRefused(String),
    /// The system refused something, or a thread of ours ended.
    Runtime(String),
}

impl Failure {
    /// Returns the exit code of contract part 5.
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Runtime(_) => 1,
            Failure::Configuration(_) => 2,
            Failure::KeyRefused(_) => 3,
            Failure::Socket(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Socket(error) => error.fmt(f),
            Failure::Configuration(text) | Failure::KeyRefused(text) | Failure::Runtime(text) => {
                f.write_str(text)
            }
        }
    }
}

/// Runs the sidecar until a signal, its agent's absence or a fatal error ends it. Prints an error as
/// one line on standard error.
pub fn run(config: Config) -> ExitCode {
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "chatixia-sidecar: {failure}");
            failure.exit_code()
        }
    }
}

fn serve(config: Config) -> Result<(), Failure> {
    let line_limits = protocol::ipc::Limits {
        message_bytes: config.max_message_bytes,
        line_bytes: config.max_message_bytes + limits::LINE_OVERHEAD_BYTES,
    };
    let runtime = |what: &'static str| {
        move |error: io::Error| Failure::Runtime(format!("cannot {what}: {error}"))
    };
    // The sooner, the less likely it has ended unseen.
    let parent = Parent::new();
    // From here on a signal leaves no socket behind.
    let signals = signals::catch().map_err(runtime("catch signals"))?;
    for note in &config.notes {
        log::info!("{note}");
    }
    for doubt in &config.doubts {
        log::warn!("{doubt}");
    }
    // All settings are checked before the socket is bound. An agent that has seen the socket no longer
    // looks at the exit code, and a sidecar that has the socket must not give way to one that cannot
    // run.
    let tls = signaling::tls::client_config(&config.trust)
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let tls = CurrentTls::from(tls);
    let signaling_settings = signaling::Settings::new(
        config.signaling_url.clone(),
        config.token_url.clone(),
        config.credential.clone(),
        tls.clone(),
    )
    .with_proxies(config.proxies.clone());
    let ice_servers =
        signaling::IceServersClient::new(&signaling_settings).map_err(Failure::Configuration)?;
    let (identity, known_peers) = read_peer_files(&config.peers)?;
    // The socket is bound as early as possible: an agent polls for it, whether the registry can be
    // reached or not.
    let endpoints = open_endpoints(&config, line_limits)?;

    let poll = Poll::new().map_err(runtime("make an event loop"))?;
    let waker = LoopWaker::new(poll.registry(), WAKER).map_err(runtime("make an event loop"))?;

    let (request_sender, requests) = bounded(limits::REQUEST_BATCHES);
    let (ipc_sender, ipc_notices) = bounded(limits::IPC_NOTICES);
    let ipc = ipc::start(endpoints, request_sender, ipc_sender, waker.clone())
        .map_err(runtime("serve agents"))?;

    let (signaling_sender, signaling_notices) = bounded(limits::SIGNALING_QUEUE_FRAMES);
    let signaling = signaling::start(signaling_settings, signaling_sender, waker.clone())
        .map_err(runtime("start the signaling thread"))?;

    prepare_connections();

    let reaching = Reaching::new(
        &config,
        tls.clone(),
        ice_servers,
        seed()?,
        &waker,
        FIRST_STREAM,
    );
    let metrics = match &config.metrics {
        Some(address) => metrics::start(address.clone(), config.metrics_peers, waker.clone())
            .map_err(runtime("start the metrics thread"))?,
        None => metrics::Handle::none(),
    };
    let known_peers_writer = match config.peers.known_peers.clone() {
        Some(path) => {
            let waker = waker.clone();
            let writer = known_peers::Writer::start(path.clone(), move || waker.wake());
            let writer = writer.map_err(runtime("start the thread that remembers peers"))?;
            Some((path, writer))
        }
        None => None,
    };
    let event_loop = EventLoop::new(Parts {
        poll,
        waker,
        reaching,
        mesh: make_mesh(&config, line_limits, identity, known_peers)?,
        sockets: make_sockets(&config),
        signals,
        parent,
        tls,
        trust: config.trust.clone(),
        known_peers: known_peers_writer,
        signaling,
        signaling_notices,
        ipc,
        ipc_notices,
        requests,
        metrics,
        linger: config.agent_linger,
        service_manager: ServiceManager::new(config.service_manager, Instant::now()),
    })
    .map_err(runtime("watch the network"))?;
    match event_loop.run().map_err(runtime("wait for events"))? {
        End::Signal | End::AgentGone | End::Replaced => Ok(()),
        End::KeyRefused(reason) => Err(Failure::KeyRefused(reason)),
        End::ThreadLost(name) => Err(Failure::Runtime(format!(
            "the {name} thread has ended, which is a bug; the log says why"
        ))),
    }
}

/// Binds the socket and takes standard input and output, whichever the settings ask for.
fn open_endpoints(
    config: &Config,
    limits: protocol::ipc::Limits,
) -> Result<ipc::Endpoints, Failure> {
    let settings = config.ipc_socket.clone().map(ipc::Settings::new);
    let socket = settings
        .map(|settings| ipc::bind(settings.with_access(access(config))))
        .transpose();
    let stdio = config.stdio.then(ipc::Transport::stdio).transpose();
    Ok(ipc::Endpoints {
        socket: socket.map_err(Failure::Socket)?,
        stdio: stdio.map_err(|error| {
            Failure::Runtime(format!("cannot take standard input and output: {error}"))
        })?,
        limits,
    })
}

/// Reads our certificate and those of the peers that we know, as far as there are files of them.
fn read_peer_files(settings: &PeerSettings) -> Result<(Identity, KnownPeers), Failure> {
    let identity = match &settings.identity_file {
        Some(path) => identity::load_or_make(path).map_err(Failure::Configuration)?,
        None => Identity::generate().map_err(|error| Failure::Runtime(error.to_string()))?,
    };
    let known_peers = settings.known_peers.as_deref().map(known_peers::load);
    let known_peers = known_peers.transpose().map_err(Failure::Configuration)?;
    Ok((identity, known_peers.unwrap_or_default()))
}

/// Returns the SHA-256 fingerprint of the certificate in this file. If there is no file, makes one.
///
/// # Errors
/// A line for a person.
pub fn fingerprint(path: &Path) -> Result<String, String> {
    identity::load_or_make(path).map(|identity| identity.fingerprint())
}

/// Does the work that connections share on a thread of its own, while the registry is dialled. It gives way to the rest
/// of the start.
fn prepare_connections() {
    let thread = thread::Builder::new().name("prepare".to_owned());
    let prepare = || {
        // Linux has a priority for each thread, other systems one for all of a process.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, LOW_PRIORITY) {
            log::debug!("connections are prepared with the usual priority: {error}");
        }
        WebRtc::prepare();
    };
    if let Err(error) = thread.spawn(prepare) {
        log::debug!(
            "cannot start a thread that prepares connections, so the first one does it: {error}"
        );
    }
}

fn make_mesh(
    config: &Config,
    line_limits: protocol::ipc::Limits,
    identity: Identity,
    known_peers: KnownPeers,
) -> Result<Mesh<WebRtc>, Failure> {
    let linker = WebRtc::with(identity, config.max_message_bytes);
    let settings = mesh::Settings {
        mode: config.mesh,
        max_peers: config.max_peers,
        limits: line_limits,
        queue_bytes: config.queue_bytes,
        overflow_bytes: config.overflow_bytes,
        connect_timeout: config.connect_timeout,
        recovery_timeout: config.recovery_timeout,
        send_stall: config.send_stall,
        metered: config.metered,
        report_topology: config.report_topology,
        trust: config.peers.trust.clone(),
    };
    let mut mesh = Mesh::new(settings, linker, seed()?, Instant::now());
    mesh.set_known_peers(known_peers);
    Ok(mesh)
}

fn seed() -> Result<u64, Failure> {
    getrandom::u64().map_err(|error| Failure::Runtime(format!("no random numbers: {error}")))
}

fn make_sockets(config: &Config) -> Sockets {
    if config.udp_ports.is_some_and(|(first, last)| first == last) {
        log::warn!(
            "UDP_PORT is one port: a connection that is replaced may stall for a moment, and a relay is \
             renewed over TCP or not at all; a range of three ports prevents both"
        );
    }
    let servers = config.known_servers();
    Sockets::new(
        config.address_rules(),
        config.udp_ports,
        servers,
        FIRST_SOCKET,
    )
}

/// Returns who may use the IPC socket.
pub(crate) fn access(config: &Config) -> ipc::Access {
    ipc::Access {
        mode: config.socket_mode,
        group: config.socket_group.clone(),
    }
}
