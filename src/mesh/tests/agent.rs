//! The simulated agents: they ask, and take what they are told at a pace of their own.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ledger::Sender;
use super::namesakes::GRACE;
use super::network::Place;
use super::world::{Happening, World};
use crate::mesh::link::Linker;
use crate::protocol::ipc::{self, Event};

/// Bytes that a writer keeps for an agent that has not read them.
const WRITER_BYTES: usize = 64 * 1024;

/// What one agent does and has not read yet.
#[derive(Debug)]
pub(super) struct Agent {
    /// Of its connection, while it has one.
    pub(super) generation: Option<u64>,
    /// Reads nothing.
    pub(super) is_stalled: bool,
    /// From an event to its reading.
    pub(super) pace: Duration,
    /// Events that it reads at once.
    pub(super) gulp: usize,
    writer: VecDeque<Event>,
    is_reading: bool,
    /// When it read last.
    read: Option<Instant>,
    /// Lines that its sidecar has not taken yet.
    requests: VecDeque<Request>,
    /// Everything that it was told, but for messages.
    pub(super) events: Vec<Event>,
}

#[derive(Debug)]
enum Request {
    Send {
        target: String,
        size: usize,
        has_id: bool,
    },
    Broadcast {
        size: usize,
        has_id: bool,
    },
    Connect {
        target: String,
    },
    ListPeers,
    Stats,
    /// Text that is no command.
    Raw(String),
}

impl Request {
    fn wants_answer(&self) -> bool {
        match self {
            Request::Send { has_id, .. } | Request::Broadcast { has_id, .. } => *has_id,
            Request::Connect { .. } | Request::ListPeers | Request::Stats => true,
            Request::Raw(_) => false,
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Agent {
            generation: None,
            is_stalled: false,
            pace: Duration::from_micros(50),
            gulp: 64,
            writer: VecDeque::new(),
            is_reading: false,
            read: None,
            requests: VecDeque::new(),
            events: Vec::new(),
        }
    }
}

impl Agent {
    pub(super) fn waiting_requests(&self) -> usize {
        self.requests.len()
    }

    /// Whether it has read all that it was told.
    pub(super) fn has_read_all(&self) -> bool {
        self.writer.is_empty()
    }

    /// Whether it is there and has had nothing to read for so long.
    pub(super) fn is_idle_for(&self, now: Instant, time: Duration) -> bool {
        let is_idle = self.read.is_none_or(|read| read + time < now);
        self.generation.is_some() && self.has_read_all() && is_idle
    }
}

impl<K: Linker> World<K> {
    pub(super) fn agent_arrives(&mut self, place: Place) {
        let generation = self.next_generation();
        let node = &mut self.nodes[place];
        node.agent = Agent {
            generation: Some(generation),
            ..Agent::default()
        };
        node.mesh.agent_connected(generation);
        self.after_input(place);
    }

    /// The agent leaves; what its writer still had goes back.
    pub(super) fn agent_leaves(&mut self, place: Place) {
        let agent = std::mem::take(&mut self.nodes[place].agent);
        if let Some(generation) = agent.generation {
            let unread = &self.nodes[place].mesh.agent;
            for event in agent.writer.iter().chain(unread.waiting()) {
                self.ledger.answer_left_behind(event);
            }
            let unsent = agent.writer.into();
            self.nodes[place].mesh.agent_gone(generation, unsent);
            self.ledger.agent_left(place);
            self.after_input(place);
        }
    }

    /// How many of the events that the agent has read are such; messages are not counted.
    pub(super) fn count(&self, place: Place, is_such: impl Fn(&Event) -> bool) -> usize {
        let events = self.nodes[place].agent.events.iter();
        events.filter(|event| is_such(event)).count()
    }

    pub(super) fn agent_stalls(&mut self, place: Place) {
        self.nodes[place].agent.is_stalled = true;
    }

    pub(super) fn agent_resumes(&mut self, place: Place) {
        self.nodes[place].agent.is_stalled = false;
        self.plan_reading(place);
    }

    fn request(&mut self, place: Place, request: Request) {
        if self.nodes[place].agent.generation.is_some() {
            self.nodes[place].agent.requests.push_back(request);
            self.after_input(place);
        }
    }

    /// The agent sends a message of about `size` bytes.
    pub(super) fn send(&mut self, place: Place, target: &str, size: usize, has_id: bool) {
        let target = target.to_owned();
        self.request(
            place,
            Request::Send {
                target,
                size,
                has_id,
            },
        );
    }

    pub(super) fn broadcast(&mut self, place: Place, size: usize, has_id: bool) {
        self.request(place, Request::Broadcast { size, has_id });
    }

    pub(super) fn connect(&mut self, place: Place, target: &str) {
        let target = target.to_owned();
        self.request(place, Request::Connect { target });
    }

    pub(super) fn list_peers(&mut self, place: Place) {
        self.request(place, Request::ListPeers);
    }

    pub(super) fn ask_statistics(&mut self, place: Place) {
        self.request(place, Request::Stats);
    }

    pub(super) fn write_line(&mut self, place: Place, line: &str) {
        self.request(place, Request::Raw(line.to_owned()));
    }

    /// The sidecar takes requests as long as it wants any.
    pub(super) fn hand_on_requests(&mut self, place: Place) {
        while self.nodes[place].mesh.wants_requests()
            && let Some(request) = self.nodes[place].agent.requests.pop_front()
            && let Some(generation) = self.nodes[place].agent.generation
        {
            let line = self.line(place, request);
            let (now, limits) = (self.now, self.settings.limits);
            let parsed = ipc::parse(line.as_bytes(), limits);
            self.nodes[place]
                .mesh
                .handle_request(now, generation, parsed);
        }
    }

    /// The line of a request, entered into the ledger.
    fn line(&mut self, place: Place, request: Request) -> String {
        let now = self.now;
        let node = &self.nodes[place];
        let sender = Sender {
            place,
            first_of_name: self.first_of_name(place),
            incarnation: node.incarnation,
            generation: node.agent.generation,
            wants_answer: request.wants_answer(),
        };
        let number = self.ledger.next_message();
        let (kind, has_id, payload, carries) = match request {
            Request::Raw(line) => return line,
            Request::Send {
                target,
                size,
                has_id,
            } => {
                let message = message(number, size);
                let payload = format!(r#"{{"target_peer":"{target}","message":{message}}}"#);
                let target = crate::protocol::PeerId::new(&target);
                self.ledger.posted(now, sender, target);
                ("send", has_id, payload, Some(number))
            }
            Request::Broadcast { size, has_id } => {
                let targets: Vec<_> = node.mesh.reachable().cloned().collect();
                self.ledger.posted(now, sender, targets);
                let payload = format!(r#"{{"message":{}}}"#, message(number, size));
                ("broadcast", has_id, payload, Some(number))
            }
            Request::Connect { target } => {
                let payload = format!(r#"{{"target_peer_id":"{target}"}}"#);
                ("connect", true, payload, None)
            }
            Request::ListPeers => ("list_peers", true, "{}".into(), None),
            Request::Stats => ("stats", true, "{}".into(), None),
        };
        let due = (kind == "connect").then(|| now + self.settings.connect_timeout + GRACE);
        let id = match (has_id, carries) {
            (true, Some(message)) => {
                format!(r#","id":"{} {message}""#, self.ledger.asked(place, due))
            }
            (true, None) => format!(r#","id":{}"#, self.ledger.asked(place, due)),
            (false, _) => String::new(),
        };
        format!(r#"{{"type":"{kind}","payload":{payload}{id}}}"#)
    }

    /// Fills the agent's writer.
    pub(super) fn hand_on_events(&mut self, place: Place) {
        let node = &mut self.nodes[place];
        if node.agent.generation.is_none() {
            return;
        }
        let waiting: usize = node.agent.writer.iter().map(Event::size_hint).sum();
        if waiting < WRITER_BYTES {
            let events = node.mesh.take_events(WRITER_BYTES - waiting);
            node.agent.writer.extend(events);
        }
        self.plan_reading(place);
    }

    fn plan_reading(&mut self, place: Place) {
        let agent = &mut self.nodes[place].agent;
        let has_work = !agent.writer.is_empty() && !agent.is_stalled && !agent.is_reading;
        if let Some(generation) = agent.generation.filter(|_| has_work) {
            agent.is_reading = true;
            let pace = agent.pace;
            self.schedule(pace, Happening::AgentReads { place, generation });
        }
    }

    pub(super) fn agent_reads(&mut self, place: Place, generation: u64) {
        let (now, at) = (self.now, self.now - self.start);
        let node = &mut self.nodes[place];
        if node.agent.generation != Some(generation) {
            return;
        }
        node.agent.is_reading = false;
        node.agent.read = Some(now);
        if node.agent.is_stalled {
            return;
        }
        let count = node.agent.gulp.min(node.agent.writer.len());
        let events: Vec<_> = node.agent.writer.drain(..count).collect();
        let name = node.name.clone();
        for event in events {
            self.trace.event(at, place, &event);
            if let Event::Message { from_peer, message } = &event {
                let number = message.request_id().and_then(|id| id.parse().ok());
                if self.took_forged(from_peer, number) {
                    continue;
                }
                if let Some(number) = number {
                    let sender = self.ledger.messages[number].from.place;
                    let is_honest = !self.ledger.liars.contains(from_peer);
                    assert!(
                        !is_honest || self.name(sender) == from_peer,
                        "{name} was told that {from_peer} has sent message {number}"
                    );
                    self.ledger.delivered(place, &name, from_peer, number);
                }
            } else {
                self.ledger.told(place, &event, &self.places);
                self.nodes[place].agent.events.push(event);
            }
        }
        self.nodes[place]
            .mesh
            .events_written(now, generation, count);
        self.after_input(place);
    }
}

/// A mesh message that carries its number in the ledger.
pub(super) fn message(number: usize, size: usize) -> String {
    let frame = format!(
        r#"{{"type":"x","request_id":"{number}","source_agent":"","target_agent":"","payload":""}}"#
    );
    let padding = "p".repeat(size.saturating_sub(frame.len()));
    frame.replace(r#""payload":"""#, &format!(r#""payload":"{padding}""#))
}
