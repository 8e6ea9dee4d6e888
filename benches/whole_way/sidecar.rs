//! Sidecars as child processes, and the registry that introduces them.

use std::fs::{self, DirBuilder, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chatixia_sidecar::registry::{Keys, Options, Registry, StopHandle};
use rustix::process::{Pid, Signal, kill_process};

use super::Outcome;
use super::agent::{self, Receiver, Sender};
use super::machine::{self, Memory};

/// How long a sidecar may take to end.
const ENDING: Duration = Duration::from_secs(5);

/// A registry in this process, and a directory for the sockets. Gone when dropped.
pub(crate) struct Site {
    binary: PathBuf,
    /// Whether agents are at the sidecars' standard input and output, in place of their sockets.
    over_stdio: bool,
    directory: PathBuf,
    address: SocketAddr,
    stop: StopHandle,
    serving: Option<JoinHandle<()>>,
}

impl Site {
    /// Makes a site for sidecars that run `binary`.
    pub(crate) fn new(binary: &Path, over_stdio: bool) -> Outcome<Self> {
        let binary = fs::canonicalize(binary)
            .map_err(|error| format!("no binary {}: {error}", binary.display()))?;
        let name = format!("sidecar-bench-{:016x}", fastrand::u64(..));
        let directory = std::env::temp_dir().join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(|error| format!("no directory {}: {error}", directory.display()))?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let registry =
            Registry::bind(Options::new(listen, Keys::Open)).map_err(|error| error.to_string())?;
        let address = registry.local_addr();
        let stop = registry.stop_handle();
        let serving = thread::spawn(move || {
            if let Err(error) = registry.run() {
                super::report::say(&format!("the registry failed: {error}"));
            }
        });
        Ok(Site {
            binary,
            over_stdio,
            directory,
            address,
            stop,
            serving: Some(serving),
        })
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// Where its registry listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns whether its sidecars greet their agents (contract part 5).
    pub(crate) fn greets(&self) -> Outcome<bool> {
        let sidecar = self.spawn("greeting")?;
        agent::is_greeted(sidecar.socket()).map_err(|failure| sidecar.explain(failure))
    }

    /// Starts a sidecar with an environment of its own. What it logs goes to a file.
    pub(crate) fn spawn(&self, name: &str) -> Outcome<Sidecar> {
        self.spawn_at(name, self.address)
    }

    /// Starts a sidecar that reaches the registry at this address.
    pub(crate) fn spawn_at(&self, name: &str, registry: SocketAddr) -> Outcome<Sidecar> {
        self.spawn_with(name, registry, &[])
    }

    /// Starts a sidecar that connects only when something is sent, or it is told to.
    pub(crate) fn spawn_lazy(&self, name: &str) -> Outcome<Sidecar> {
        self.spawn_with(name, self.address, &[("MESH", "lazy")])
    }

    fn spawn_with(
        &self,
        name: &str,
        registry: SocketAddr,
        settings: &[(&str, &str)],
    ) -> Outcome<Sidecar> {
        let socket = self.directory.join(format!("{name}.sock"));
        // Another make leaves it behind when it ends, and one that is there says that somebody listens.
        let _ = fs::remove_file(&socket);
        let log = self.directory.join(format!("{name}.log"));
        let stderr = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .env("SIGNALING_URL", format!("ws://{registry}/ws"))
            .env("TOKEN_URL", format!("http://{}/api/token", self.address))
            .env("API_KEY", name)
            .env("IPC_SOCKET", &socket)
            .env("INTERFACES", "lo")
            // The relay of long paths knows IPv4 only.
            .env("IPV6", "off")
            .env("AGENT_LINGER", "0")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        if self.over_stdio {
            command.arg("--stdio").env_remove("IPC_SOCKET");
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        }
        let spawned = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| format!("can't start {}: {error}", self.binary.display()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        Ok(Sidecar {
            name: name.to_owned(),
            socket,
            stdio: pipes.map(|(input, output)| agent::halves(input.into(), output.into())),
            log,
            spawned,
            child,
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(serving) = self.serving.take() {
            // It has nothing left to tell.
            let _ = serving.join();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A running sidecar; ended when dropped.
pub(crate) struct Sidecar {
    name: String,
    socket: PathBuf,
    /// The agent of its standard input and output, if there is one.
    stdio: Option<(Sender, Receiver)>,
    log: PathBuf,
    /// When its start was asked for.
    pub(crate) spawned: Instant,
    child: Child,
}

impl Sidecar {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns its agent: the one of standard input and output, or one that connects as soon as the socket is
    /// there.
    pub(crate) fn agent(&mut self) -> Outcome<(Sender, Receiver)> {
        match self.stdio.take() {
            Some(agent) => Ok(agent),
            None => agent::connect(&self.socket),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time of all its threads.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        machine::cpu_of(self.id())
    }

    pub(crate) fn memory(&self) -> Outcome<Memory> {
        machine::memory_of(self.id())
    }

    /// A failure, with what this sidecar has logged last.
    pub(crate) fn explain(&self, failure: String) -> String {
        let last = last_lines(&self.log);
        format!("{failure}\n{} logged last:\n  {last}", self.name)
    }

    /// Sends SIGTERM.
    pub(crate) fn ask_to_end(&self) {
        // It fails when the process has ended already, which is as well.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }
}

/// The last lines of a file.
pub(crate) fn last_lines(path: &Path) -> String {
    const LINES: usize = 10;
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..);
    last.unwrap_or_default().join("\n  ")
}

/// Waits for a process that was asked to end, and kills it if it does not.
pub(crate) fn await_end(child: &mut Child, name: &str) {
    let deadline = Instant::now() + ENDING;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    super::report::say(&format!("{name} had to be killed"));
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.ask_to_end();
            await_end(&mut self.child, &self.name);
        }
    }
}
