//! A peer on another WebRTC stack: libdatachannel, by its program in `tests/interop`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Events};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::agent::{self, Receiver, Sender};
use super::content::Content;
use super::pair::{Until, Way, echo, joined, send, wait_for_end};
use super::results::Sorted;
use super::sidecar::{Sidecar, await_end, last_lines};
use super::{Contender, Outcome};

/// The stack that there is a program for.
pub(crate) const STACK: &str = "libdatachannel";

/// The peer's name.
const NAME: &str = "theirs";

/// How long the program may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// Returns whether everything that the program needs is installed.
pub(crate) fn is_installed() -> bool {
    let modules = folder().join("node_modules");
    let has_modules = ["ws", "node-datachannel"]
        .iter()
        .all(|module| modules.join(module).exists());
    let node = Command::new("node")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    has_modules && node.is_ok_and(|status| status.success())
}

/// The program, which ends when its input does.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    events: Events<Value>,
    log: PathBuf,
}

impl Program {
    fn spawn(contender: &Contender) -> Outcome<Self> {
        let log = contender.site.directory().join(format!("{NAME}.log"));
        let stderr = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut child = Command::new("node")
            .arg(folder().join(STACK).join("peer.mjs"))
            .arg(NAME)
            .arg(contender.site.address().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("can't start node: {error}"))?;
        let (told, events) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let Ok(event) = serde_json::from_str(&line) else {
                        continue;
                    };
                    if told.send(event).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Program {
            input: child.stdin.take(),
            child,
            events,
            log,
        })
    }

    /// Waits for an event.
    fn wait(&self, name: &str) -> Outcome<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self
                .events
                .recv_timeout(left)
                .map_err(|_| format!("{STACK} does not tell `{name}`"))?;
            match event.get("event").and_then(Value::as_str) {
                Some(found) if found == name => return Ok(event),
                Some("failed") => return Err(format!("{STACK} tells {event}")),
                Some(_) | None => {}
            }
        }
    }

    /// Tells the program what to do with messages from here on.
    fn treat_as(&mut self, how: &str) -> Outcome<()> {
        let command = json!({ "do": "treat", "as": how });
        let input = self.input.as_mut();
        let written = input.map_or(Ok(()), |input| writeln!(input, "{command}"));
        written.map_err(|error| format!("can't write to {STACK}: {error}"))?;
        self.wait("treating").map(|_| ())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input = None;
        await_end(&mut self.child, STACK);
    }
}

/// A sidecar of ours with its agent, and a peer on the other stack.
pub(crate) struct ForeignPair {
    // The agent goes first, so that its sidecar ends as asked.
    agent: (Sender, Receiver),
    sidecar: Sidecar,
    program: Program,
    /// The largest message that the peer takes.
    pub(crate) most_bytes: usize,
}

impl ForeignPair {
    pub(crate) fn connect(contender: &Contender) -> Outcome<Self> {
        let sidecar = contender.site.spawn("ours")?;
        let mut agent = agent::connect(sidecar.socket())?;
        agent.1.registered()?;
        let program = Program::spawn(contender)?;
        let connected = agent.1.peers_connected(1);
        connected.map_err(|failure| explain(&sidecar, &program, failure))?;
        let described = program.wait("described")?;
        let announced = described.get("announces").and_then(Value::as_u64);
        program.wait("open")?;
        // The limit that holds where nothing is announced (RFC 8841).
        const UNANNOUNCED: u64 = 64 * 1024;
        Ok(ForeignPair {
            agent,
            sidecar,
            program,
            most_bytes: announced.unwrap_or(UNANNOUNCED) as usize,
        })
    }

    fn explained<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        outcome.map_err(|failure| explain(&self.sidecar, &self.program, failure))
    }
}

fn explain(sidecar: &Sidecar, program: &Program, failure: String) -> String {
    let failure = sidecar.explain(failure);
    let last = last_lines(&program.log);
    format!("{failure}\n{STACK} said last:\n  {last}")
}

impl Way for ForeignPair {
    fn echo(&mut self, content: &Content, count: usize) -> Outcome<Sorted> {
        let times = self
            .program
            .treat_as("echo")
            .and_then(|()| echo(&mut self.agent, NAME, content, count));
        self.explained(times)
    }

    /// The peer sends the message after the last one back: by then it has all before it.
    fn one_way(&mut self, content: &Content, until: Until) -> Outcome<(u64, Duration)> {
        let ready = self.program.treat_as("drop");
        self.explained(ready)?;
        let (sender, receiver) = &mut self.agent;
        let began = Instant::now();
        let sent = thread::scope(|scope| {
            // In a thread of its own: errors are told while it sends.
            let sending = scope.spawn(|| send(sender, Some(NAME), content, until));
            wait_for_end(receiver)?;
            let took = began.elapsed();
            Ok((joined(sending.join())?, took))
        });
        self.explained(sent)
    }
}
