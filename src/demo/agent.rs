//! The demo's agents: each speaks JSON lines over its sidecar's socket (contract part 2).
//!
//! Every agent answers `ping` with `pong` and `task_request` with `task_response`. The first one also
//! opens the conversation, and then measures round trips.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Crossing, Event};

/// Round trips whose lines are shown; of the others only the time counts.
const SHOWN_ROUNDS: usize = 3;

/// The answers that end the opening conversation, by the `id` or `request_id` of what was asked.
const OPENING: [&str; 4] = ["list", "task", "task-1", "status"];

/// Pause between two tries to reach the sidecar's socket. Agents in the field look every 0.1 s.
const CONNECT_EVERY: Duration = Duration::from_millis(1);

/// The part that an agent plays.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    /// The peers of all other agents.
    pub(super) others: Vec<String>,
    /// The sidecar's socket, which need not exist yet.
    pub(super) socket: PathBuf,
    /// Round trips to measure, if this agent opens the conversation.
    pub(super) rounds: usize,
    /// The time by which the socket has to exist.
    pub(super) deadline: Instant,
}

/// The main thread's handle of an agent.
pub(super) struct Agent {
    /// Receives the writer when the agent is connected to its sidecar.
    writer: Receiver<Writer>,
}

impl Agent {
    /// Starts an agent on a thread of its own, which reports to `events`. The thread ends when the sidecar
    /// closes the connection, which is a failure until `ending` is set.
    pub(super) fn start(part: Part, events: Sender<Event>, ending: Arc<AtomicBool>) -> Agent {
        let (hand_over, writer) = mpsc::channel();
        thread::spawn(move || {
            let part = Arc::new(part);
            if let Err(failure) = play(&part, &events, &hand_over, &ending)
                && !ending.load(Ordering::SeqCst)
            {
                let failure = format!("{}'s agent: {failure}", part.name);
                // Nobody listens any more only if the demo has ended.
                let _ = events.send(Event::Failed(failure));
            }
        });
        Agent { writer }
    }

    /// Opens the conversation: asks for the list of peers, gives the first peer a task and broadcasts a
    /// status. The agent's thread does the rest.
    pub(super) fn open_conversation(&self) -> Result<(), String> {
        let writer = self.writer.recv();
        let mut writer = writer.map_err(|_| "the first agent is gone".to_owned())?;
        let Some(peer) = writer.part.others.first().cloned() else {
            return Err("there is nobody to talk to".to_owned());
        };
        writer.command("list_peers", Some("list"), json!({}))?;
        let task = json!({"skill": "add", "numbers": [40, 2]});
        writer.send(Some("task"), &peer, "task_request", "task-1", task)?;
        writer.broadcast("status", "agent_status", json!({"status": "idle"}))
    }
}

/// A command as it is written on a line.
#[derive(Serialize)]
struct Command<'a, P> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    payload: P,
}

/// The payload of `send` and, without a target, of `broadcast`.
#[derive(Serialize)]
struct Outgoing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target_peer: Option<&'a str>,
    message: Message<'a>,
}

/// A mesh message.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    request_id: &'a str,
    source_agent: &'a str,
    target_agent: &'a str,
    payload: Value,
}

/// The speaking side of an agent.
struct Writer {
    part: Arc<Part>,
    stream: UnixStream,
    events: Sender<Event>,
}

impl Writer {
    fn send(
        &mut self,
        id: Option<&str>,
        peer: &str,
        kind: &str,
        request_id: &str,
        payload: Value,
    ) -> Result<(), String> {
        let part = Arc::clone(&self.part);
        let message = Message {
            kind,
            request_id,
            source_agent: &part.name,
            target_agent: peer,
            payload,
        };
        let target_peer = Some(peer);
        self.command(
            "send",
            id,
            Outgoing {
                target_peer,
                message,
            },
        )
    }

    fn broadcast(&mut self, id: &str, kind: &str, payload: Value) -> Result<(), String> {
        let part = Arc::clone(&self.part);
        let message = Message {
            kind,
            request_id: "",
            source_agent: &part.name,
            target_agent: "",
            payload,
        };
        let target_peer = None;
        self.command(
            "broadcast",
            Some(id),
            Outgoing {
                target_peer,
                message,
            },
        )
    }

    fn command(
        &mut self,
        kind: &str,
        id: Option<&str>,
        payload: impl Serialize,
    ) -> Result<(), String> {
        let command = Command { kind, id, payload };
        let mut line = serde_json::to_string(&command).map_err(|error| error.to_string())?;
        if is_shown(&line) {
            // It is reported before it is done, so that its effects are reported after it.
            self.tell(Event::Crossing(Crossing {
                at: Instant::now(),
                from: format!("{}'s agent", self.part.name),
                to: self.part.name.clone(),
                line: line.clone(),
            }))?;
        }
        line.push('\n');
        let written = self.stream.write_all(line.as_bytes());
        written.map_err(|error| format!("can't write to its sidecar: {error}"))
    }

    fn tell(&self, event: Event) -> Result<(), String> {
        let told = self.events.send(event);
        told.map_err(|_| "the demo has ended".to_owned())
    }
}

/// Returns whether a line is shown: pings and pongs are shown only in the first rounds.
fn is_shown(line: &str) -> bool {
    match line.split_once("\"request_id\":\"ping-") {
        None => true,
        Some((_, rest)) => {
            let round = rest.split('"').next().and_then(|round| round.parse().ok());
            round.is_none_or(|round: usize| round < SHOWN_ROUNDS)
        }
    }
}

/// Connects to the sidecar and plays until the sidecar closes the connection.
fn play(
    part: &Arc<Part>,
    events: &Sender<Event>,
    hand_over: &Sender<Writer>,
    ending: &AtomicBool,
) -> Result<(), String> {
    let stream = connect(part, ending)?;
    let writer = || -> io::Result<Writer> {
        Ok(Writer {
            part: Arc::clone(part),
            stream: stream.try_clone()?,
            events: events.clone(),
        })
    };
    let second = writer().map_err(|error| error.to_string())?;
    // The receiver is gone only if the demo has ended.
    let _ = hand_over.send(second);
    let mut player = Player {
        writer: writer().map_err(|error| error.to_string())?,
        connected: HashSet::new(),
        awaited: HashSet::from(OPENING),
        round: 0,
        ping_sent: Instant::now(),
        trips: Vec::new(),
    };
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) => return Err("its sidecar has closed the connection".to_owned()),
            Ok(_) => player.take(&line, Instant::now())?,
            Err(error) => return Err(format!("can't read from its sidecar: {error}")),
        }
    }
}

fn connect(part: &Part, ending: &AtomicBool) -> Result<UnixStream, String> {
    loop {
        match UnixStream::connect(&part.socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= part.deadline || ending.load(Ordering::SeqCst) => {
                let socket = part.socket.display();
                return Err(format!("can't connect to {socket}: {error}"));
            }
            Err(_) => thread::sleep(CONNECT_EVERY),
        }
    }
}

/// The listening side of an agent, which also answers.
struct Player {
    writer: Writer,
    connected: HashSet<String>,
    /// The answers that the opening conversation still waits for.
    awaited: HashSet<&'static str>,
    /// The number of the current round trip.
    round: usize,
    ping_sent: Instant,
    trips: Vec<Duration>,
}

impl Player {
    fn take(&mut self, line: &str, at: Instant) -> Result<(), String> {
        if is_shown(line) {
            let name = &self.writer.part.name;
            self.writer.tell(Event::Crossing(Crossing {
                at,
                from: name.clone(),
                to: format!("{name}'s agent"),
                line: line.to_owned(),
            }))?;
        }
        let value: Value = serde_json::from_str(line)
            .map_err(|error| format!("its sidecar says what is no JSON ({error}): {line}"))?;
        match text(&value, "/type") {
            "peer_connected" => self.peer_connected(text(&value, "/payload/peer_id")),
            "message" => self.message(&value, at),
            "ok" | "peer_list" => self.answered(text(&value, "/id")),
            "error" => Err(format!("its sidecar reports: {}", line.trim_end())),
            _ => Ok(()),
        }
    }

    fn peer_connected(&mut self, peer: &str) -> Result<(), String> {
        let news = self.connected.insert(peer.to_owned());
        if news && self.connected.len() == self.writer.part.others.len() {
            self.writer.tell(Event::AllConnected)?;
        }
        Ok(())
    }

    fn message(&mut self, value: &Value, at: Instant) -> Result<(), String> {
        let peer = text(value, "/payload/from_peer");
        let request_id = text(value, "/payload/message/request_id");
        match text(value, "/payload/message/type") {
            "ping" => self.writer.send(None, peer, "pong", request_id, json!({})),
            "task_request" => {
                let result = json!({"result": 42});
                self.writer
                    .send(None, peer, "task_response", request_id, result)
            }
            "task_response" => self.answered(request_id),
            "pong" if request_id == ping_id(self.round) => {
                self.trips
                    .push(at.saturating_duration_since(self.ping_sent));
                self.round += 1;
                self.ping()
            }
            _ => Ok(()),
        }
    }

    /// Notes an answer of the opening conversation; the last one begins the measurement.
    fn answered(&mut self, id: &str) -> Result<(), String> {
        if self.awaited.remove(id) && self.awaited.is_empty() {
            self.ping()
        } else {
            Ok(())
        }
    }

    /// Begins a round trip with the peer whose turn it is, or reports the times if there were enough.
    fn ping(&mut self) -> Result<(), String> {
        if self.round == self.writer.part.rounds {
            return self
                .writer
                .tell(Event::RoundTrips(std::mem::take(&mut self.trips)));
        }
        let part = Arc::clone(&self.writer.part);
        let turn = part
            .others
            .iter()
            .cycle()
            .nth(self.round % part.others.len().max(1));
        let peer = turn.map(String::as_str).unwrap_or_default();
        self.ping_sent = Instant::now();
        self.writer
            .send(None, peer, "ping", &ping_id(self.round), json!({}))
    }
}

fn ping_id(round: usize) -> String {
    format!("ping-{round}")
}

/// Returns the string at a place, or an empty one.
fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
