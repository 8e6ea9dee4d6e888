//! `chatixia-sidecar demo`: runs a registry and sidecars as real processes on this machine; threads of
//! this process play their agents. Every line between agent and sidecar is shown, and every frame between
//! sidecar and registry, without the descriptions.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::config::DemoConfig;
use crate::config::service_manager::NOTIFY_SOCKET;
use crate::config::settings::{self, Setting};
use crate::runtime::process::signals::{self, Signals};

mod agent;
mod directory;
mod frames;
mod process;
mod summary;
mod transcript;

use agent::Agent;
use directory::PrivateDirectory;
use process::Process;
use summary::Summary;
use transcript::Transcript;

/// The names of the peers; the demo uses as many as are asked for.
const NAMES: [&str; 20] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim",
    "leo", "mallory", "nina", "olivia", "peggy", "quentin", "rupert", "sybil", "trent",
];

/// How long children may take to end after SIGTERM; an agent waits no longer either.
const ENDING: Duration = Duration::from_secs(5);

/// Interval at which a wait looks for children that ended and for signals.
const LOOK: Duration = Duration::from_millis(50);

/// Variables beside the settings that are removed, so that a child reaches the registry without a proxy.
const PROXY_VARIABLES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// An event that the threads report to the main one.
#[derive(Debug)]
enum Event {
    /// A line of the registry's standard output.
    RegistrySays(String),
    /// Something has crossed a boundary.
    Crossing(Crossing),
    /// An agent has heard that its sidecar is connected to all others.
    AllConnected,
    /// The measured round trips, in order.
    RoundTrips(Vec<Duration>),
    /// An agent can't go on.
    Failed(String),
}

/// A line between an agent and its sidecar, or a frame between a sidecar and the registry.
#[derive(Debug)]
struct Crossing {
    at: Instant,
    from: String,
    to: String,
    line: String,
}

/// Plays the demo. Returns 0 if everything went well, and leaves no process behind in any case.
pub fn run(config: &DemoConfig) -> ExitCode {
    let signals = match watch_signals() {
        Ok(signals) => signals,
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "chatixia-sidecar: demo: can't watch for signals: {error}"
            );
            return ExitCode::FAILURE;
        }
    };
    let (sender, events) = mpsc::channel();
    let mut demo = Demo {
        config,
        deadline: Instant::now() + config.timeout,
        signals,
        transcript: Transcript::new(io::stdout()),
        processes: Vec::new(),
        sender,
        events,
        ending: Arc::new(AtomicBool::new(false)),
    };
    match demo.play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            demo.ending.store(true, Ordering::SeqCst);
            let _ = demo.report(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Catches the signals that end the demo. They are looked at in between.
fn watch_signals() -> io::Result<Signals> {
    let signals = signals::catch()?;
    signals.set_nonblocking()?;
    Ok(signals)
}

/// A result; the error is a text for a person that says what failed.
type Outcome<T> = Result<T, String>;

struct Demo<'a> {
    config: &'a DemoConfig,
    deadline: Instant,
    signals: Signals,
    transcript: Transcript<io::Stdout>,
    processes: Vec<Process>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// Whether the demo is ending: once set, sidecars may close their agents' connections.
    ending: Arc<AtomicBool>,
}

impl Demo<'_> {
    fn play(&mut self) -> Outcome<()> {
        let directory = PrivateDirectory::create()?;
        let names: Vec<&str> = NAMES.into_iter().take(self.config.peers).collect();

        let registry = self.start_registry()?;
        let sockets: Vec<PathBuf> = names
            .iter()
            .map(|name| directory.path().join(format!("{name}.sock")))
            .collect();
        let mut agents = Vec::new();
        for (name, socket) in names.iter().zip(&sockets) {
            self.start_sidecar(name, socket, &registry)?;
            agents.push(self.start_agent(name, &names, socket));
        }

        for _ in &names {
            self.wait_for(|event| matches!(event, Event::AllConnected).then_some(()))?;
        }
        if let Some(first) = agents.first() {
            first.open_conversation()?;
        }
        self.wait_for_round_trips(&names)?;

        self.end(&sockets)?;
        directory.remove()?;
        self.say("all processes have ended with 0, and all sockets are gone")
    }

    /// Starts the registry on a free port and returns its address.
    fn start_registry(&mut self) -> Outcome<String> {
        let mut command = self.command()?;
        command
            .args([
                "registry",
                "--open",
                "--port",
                "0",
                "--until-eof",
                "--show-frames",
            ])
            .env("LISTEN", "127.0.0.1");
        let mut process = Process::start("registry", command)?;
        process.forward_stdout(self.sender.clone());
        self.say_started(process)?;
        let address = self.wait_for(|event| {
            let Event::RegistrySays(line) = event else {
                return None;
            };
            line.split_whitespace().last().map(str::to_owned)
        })?;
        self.say(&format!("the registry listens on {address}"))?;
        Ok(address)
    }

    fn start_sidecar(&mut self, name: &str, socket: &Path, registry: &str) -> Outcome<()> {
        let mut command = self.command()?;
        command
            .env("SIGNALING_URL", format!("ws://{registry}/ws"))
            .env("TOKEN_URL", format!("http://{registry}/api/token"))
            .env("API_KEY", name)
            .env("IPC_SOCKET", socket)
            // Nothing leaves this machine.
            .env("INTERFACES", "lo,lo0")
            // If the demo is killed, its sidecars end.
            .env("AGENT_LINGER", "0");
        let process = Process::start(name, command)?;
        self.say_started(process)
    }

    fn start_agent(&self, name: &str, names: &[&str], socket: &Path) -> Agent {
        let others = names.iter().filter(|other| **other != name);
        Agent::start(
            agent::Part {
                name: name.to_owned(),
                others: others.map(|other| (*other).to_owned()).collect(),
                socket: socket.to_owned(),
                rounds: self.config.messages,
                deadline: self.deadline,
            },
            self.sender.clone(),
            Arc::clone(&self.ending),
        )
    }

    /// Returns the program to run, with an environment without settings.
    fn command(&self) -> Outcome<Command> {
        let program = match &self.config.binary {
            Some(binary) => binary.clone(),
            None => std::env::current_exe()
                .map_err(|error| format!("can't find the own program: {error}; give --binary"))?,
        };
        let mut command = Command::new(program);
        let set: Vec<&Setting> = [settings::SIDECAR, settings::REGISTRY].concat();
        let names = set.iter().map(|setting| setting.name);
        for name in names.chain(PROXY_VARIABLES).chain([NOTIFY_SOCKET]) {
            if name != settings::RUST_LOG.name {
                command.env_remove(OsStr::new(name));
            }
        }
        Ok(command)
    }

    /// Shows what happens until `wanted` finds what it looks for in an event.
    fn wait_for<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> Outcome<T> {
        loop {
            if let Some(found) = wanted(&self.next_event()?) {
                return Ok(found);
            }
        }
    }

    fn wait_for_round_trips(&mut self, names: &[&str]) -> Outcome<()> {
        let mut trips = self.wait_for(|event| {
            let Event::RoundTrips(trips) = event else {
                return None;
            };
            Some(trips.clone())
        })?;
        let summary = Summary::of(&mut trips).ok_or("no round trips were measured")?;
        let partner = match names {
            [_, partner] => partner,
            _ => "another",
        };
        self.say(&format!(
            "{} round trips, alice's agent -> alice -> {partner} -> {partner}'s agent and back:",
            trips.len()
        ))?;
        self.say(&summary.to_string())
    }

    /// Returns the next event that is no line; shows those that are. Fails at the deadline, at a signal,
    /// and when a child has ended.
    fn next_event(&mut self) -> Outcome<Event> {
        loop {
            match self.events.recv_timeout(LOOK) {
                Ok(Event::Crossing(crossing)) => self.show(&crossing)?,
                Ok(Event::Failed(failure)) => return Err(failure),
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    for process in &mut self.processes {
                        if let Some(status) = process.has_ended()? {
                            return Err(format!("{} has ended: {status}", process.name()));
                        }
                    }
                }
            }
            // There is nothing that SIGHUP could have read again.
            if let Some(signal) = self.signals.take().first() {
                return Err(format!("ended, as {} asks", signal.name()));
            }
            if Instant::now() >= self.deadline {
                return Err(format!(
                    "not done within {} s; on a slow machine give more with --timeout",
                    self.config.timeout.as_secs_f64()
                ));
            }
        }
    }

    /// Ends the sidecars, then the registry, and checks that they leave nothing behind.
    fn end(&mut self, sockets: &[PathBuf]) -> Outcome<()> {
        self.ending.store(true, Ordering::SeqCst);
        self.say("SIGTERM to all")?;
        // The registry was the first to start and is the last to go.
        for process in self.processes.iter_mut().rev() {
            process.terminate()?;
        }
        let deadline = Instant::now() + ENDING;
        for process in self.processes.iter_mut().rev() {
            let status = process.wait_until(deadline)?;
            if !status.success() {
                return Err(format!("{} has ended with {status}", process.name()));
            }
        }
        while let Ok(event) = self.events.try_recv() {
            if let Event::Crossing(crossing) = event {
                self.show(&crossing)?;
            }
        }
        match sockets.iter().find(|socket| socket.exists()) {
            Some(socket) => Err(format!("{} was left behind", socket.display())),
            None => Ok(()),
        }
    }

    fn say_started(&mut self, process: Process) -> Outcome<()> {
        let line = format!("started {} as process {}", process.name(), process.id());
        self.processes.push(process);
        self.say(&line)
    }

    fn say(&mut self, line: &str) -> Outcome<()> {
        let shown = self.transcript.say(Instant::now(), line);
        shown.map_err(|error| format!("can't write: {error}"))
    }

    fn show(&mut self, crossing: &Crossing) -> Outcome<()> {
        let shown = self.transcript.show(crossing);
        shown.map_err(|error| format!("can't write: {error}"))
    }

    /// Reports a failure, and the last lines of the children's standard error.
    fn report(&mut self, failure: &str) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        for process in &mut self.processes {
            let tail = process.stderr_tail();
            if !tail.is_empty() {
                writeln!(stderr, "last lines of {}:", process.name())?;
                for line in tail {
                    writeln!(stderr, "    {line}")?;
                }
            }
        }
        writeln!(stderr, "chatixia-sidecar: demo: {failure}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_names_for_all_and_none_twice() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
