//! A sidecar as a child process.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Agent, DEADLINE, Place, Transport};

/// Interval at which the file system is looked at, where nothing reports a change.
const LOOK: Duration = Duration::from_millis(2);

/// A sidecar that is about to be started. Its environment is empty but for what is set here.
pub(crate) struct Setup {
    command: Command,
    name: String,
    socket: PathBuf,
    transport: Transport,
}

impl Setup {
    /// On this socket, on the loopback interface, with the key `name`.
    pub(crate) fn new(name: &str, socket: PathBuf) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"));
        command
            .env_clear()
            .env("IPC_SOCKET", &socket)
            .env("API_KEY", name)
            .env("INTERFACES", "lo")
            .env("RUST_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Setup {
            command,
            name: name.to_owned(),
            socket,
            transport: Transport::Socket,
        }
    }

    pub(crate) fn set(mut self, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(variable, value);
        self
    }

    pub(crate) fn unset(mut self, variable: &str) -> Self {
        self.command.env_remove(variable);
        self
    }

    /// With its agent at the other end of this.
    pub(crate) fn over(mut self, transport: Transport) -> Self {
        if transport == Transport::Stdio {
            self.command.arg("--stdio").stdin(Stdio::piped());
            self.command.env_remove("IPC_SOCKET");
        }
        self.transport = transport;
        self
    }

    /// With these as standard input and output.
    pub(crate) fn stdio(mut self, input: impl Into<Stdio>, output: impl Into<Stdio>) -> Self {
        self = self.over(Transport::Stdio);
        self.command.stdin(input).stdout(output);
        self
    }

    /// The registry at this host and port.
    pub(crate) fn registry(self, address: std::net::SocketAddr) -> Self {
        self.set("SIGNALING_URL", format!("ws://{address}/ws"))
            .set("TOKEN_URL", format!("http://{address}/api/token"))
    }

    /// In this directory.
    pub(crate) fn within(mut self, place: &Place) -> Self {
        self.command.current_dir(place.join(""));
        self
    }

    /// By a shell that runs this script, in which `"$0"` is the sidecar.
    pub(crate) fn by_shell(mut self, script: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().arg("-c").arg(script);
        shell.arg(self.command.get_program());
        let variables = self.command.get_envs();
        shell.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = shell;
        self
    }

    pub(crate) fn start(self) -> Sidecar {
        let (ended, end) = mpsc::channel();
        let (sidecar, stderr) = self.spawn(end);
        let of_reader = Arc::clone(&sidecar.log);
        thread::spawn(move || {
            let _ended = ended;
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = of_reader.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        sidecar
    }

    /// Starts it and leaves its standard error to the caller.
    pub(crate) fn start_unread(self) -> (Sidecar, ChildStderr) {
        let (_, end) = mpsc::channel();
        self.spawn(end)
    }

    fn spawn(mut self, end: Receiver<Infallible>) -> (Sidecar, ChildStderr) {
        let file_before = identity(&self.socket);
        let mut child = self.command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let stdio = child.stdin.take().zip(child.stdout.take());
        let sidecar = Sidecar {
            name: self.name,
            socket: self.socket,
            stdio: Mutex::new(stdio.map(|(input, output)| (input.into(), output.into()))),
            file_before,
            child,
            log: Arc::default(),
            end,
        };
        (sidecar, stderr)
    }
}

/// Returns what distinguishes one file of a name from the next, which may have the same inode number.
fn identity(path: &Path) -> Option<(u64, i64, i64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

/// A running sidecar, killed when it is dropped.
pub(crate) struct Sidecar {
    pub(crate) name: String,
    pub(crate) socket: PathBuf,
    /// Our ends of its standard input and output, if both are pipes and until an agent has them.
    stdio: Mutex<Option<(OwnedFd, OwnedFd)>>,
    /// The identity of the file that was at the socket's path before.
    file_before: Option<(u64, i64, i64)>,
    child: Child,
    log: Arc<Mutex<String>>,
    /// Disconnected when its standard error is closed.
    end: Receiver<Infallible>,
}

impl Sidecar {
    /// Connects an agent, which has been greeted.
    pub(crate) fn agent(&self) -> Agent {
        let mut agent = self.connect();
        agent.take_greeting();
        agent
    }

    /// Connects an agent: the one of the pipes, or one on the socket as soon as that is there.
    pub(crate) fn connect(&self) -> Agent {
        let stdio = self.stdio.lock().unwrap().take();
        if let Some((input, output)) = stdio {
            return Agent::at(input, output);
        }
        self.await_socket();
        Agent::connect(&self.socket)
    }

    /// Waits for the socket; one that another left behind is not meant.
    pub(crate) fn await_socket(&self) {
        let deadline = Instant::now() + DEADLINE;
        let is_ours = |found| found != self.file_before;
        while !identity(&self.socket).is_some_and(|found| is_ours(Some(found))) {
            assert!(Instant::now() < deadline, "no socket");
            thread::sleep(LOOK);
        }
    }

    /// All that it has written to standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged this.
    pub(crate) fn await_log(&self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} was not logged");
            thread::sleep(LOOK);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops the process until the result is dropped.
    pub(crate) fn stop(&self) -> Stopped<'_> {
        self.signal(Signal::STOP);
        Stopped(self)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and gives all that it wrote to standard error.
    pub(crate) fn end_within(&mut self, time: Duration) -> (ExitStatus, String) {
        let ended = self.end.recv_timeout(time);
        assert_eq!(
            ended.unwrap_err(),
            RecvTimeoutError::Disconnected,
            "{} is still there after {time:?}",
            self.name
        );
        (self.child.wait().unwrap(), self.log())
    }

    /// Waits for its end by itself and gives its exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let (status, _) = self.end_within(DEADLINE);
        status.code().unwrap_or_else(|| panic!("ended by {status}"))
    }

    /// Resident memory in bytes, from the kernel's account of the process.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// The number of descriptors that it has open.
    pub(crate) fn open_files(&self) -> usize {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        descriptors.unwrap().count()
    }

    /// Ends it at once, as the kernel does when memory is short, and waits for that.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A process that stands still until this is dropped.
pub(crate) struct Stopped<'a>(&'a Sidecar);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            // The reader ends when the process has.
            let _ = self.end.recv_timeout(DEADLINE);
            eprintln!("--- log of {}:\n{}", self.name, self.log());
        }
    }
}
