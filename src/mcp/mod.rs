//! The MCP server, sans-IO: between a host, which speaks the Model Context Protocol, and a sidecar, whose agent the
//! server is. It takes lines of both and the time, and gives lines for both.
//!
//! * `revision`, `tool`, `arguments`: what the revisions of MCP have, what the tools are, and the checks of calls.
//! * `host`, `request`, `method`: the host's requests and notifications, and which method answers; `handshake`: what a
//!   host and we speak.
//! * `calls`: calls of tools; `beginning`, `ending`: how they begin and end; `asking`: what is particular to questions.
//! * `commands`: what the sidecar is told; `answering`: what it tells, and which call that ends.
//! * `results`, `status`: what is told of it to the model.
//! * `waiting`: deadlines, progress and the end.
//! * `sidecar`, `inbox`, `words`, `marks`: what is known of the sidecar, what has come in, and how it is shown.
//! * `resources`, `subscriptions`: the inbox as a resource, and who is told of its changes.
//! * `json`: parameters and results as JSON text.

mod answering;
mod arguments;
mod asking;
mod beginning;
mod calls;
mod commands;
mod ending;
mod handshake;
mod host;
mod inbox;
mod json;
mod marks;
mod method;
mod request;
mod resources;
mod results;
mod revision;
mod sidecar;
mod status;
mod subscriptions;
#[cfg(test)]
mod tests;
mod tool;
mod waiting;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::limits;
use crate::protocol::json_rpc::{self, Fault, Id};

pub use revision::Revision;
pub use sidecar::Exit;
pub use tool::Tool;

use calls::Call;
use inbox::Inbox;
use marks::Marks;
use sidecar::Sidecar;
use subscriptions::Subscriptions;

/// How long a host may keep what never changes while the server runs, in milliseconds.
const CACHED_MS: u32 = 3_600_000;

/// What the server is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The tools that the host may call.
    pub allowed: Vec<Tool>,
    /// Whether a host that begins with `initialize` is told of new messages by Claude Code's channel.
    pub has_channel: bool,
    /// Longest line that is taken from the host, in bytes.
    pub line_bytes: usize,
    /// What the ids of questions are made from. Peers see those, so it must not serve for anything secret.
    pub seed: u64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write this line, its end included, to the host.
    Host(String),
    /// Write this line, its end included, to the sidecar.
    Sidecar(String),
    /// Start the sidecar, at first or after it has ended.
    StartSidecar,
    /// Start the doctor, and tell its findings by [`Server::examined`].
    StartDoctor,
    /// Nobody waits for the doctor any more.
    StopDoctor,
}

/// A request, as its answer has to know it.
#[derive(Debug, Clone)]
struct Asked {
    id: Id,
    revision: Revision,
    /// The number of the batch that it came in.
    batch: Option<u64>,
}

/// The answers to a batch, which go out together.
#[derive(Debug, Default)]
struct Batch {
    unanswered: usize,
    answers: Vec<String>,
}

/// The server.
///
/// After each input take [`Server::poll_output`] until it gives nothing, and call [`Server::handle_timeout`] at
/// [`Server::next_timeout`].
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    /// The revision of the host that began with `initialize`.
    session: Option<Revision>,
    sidecar: Sidecar,
    /// Whether the sidecar was started, which the first request does.
    has_sidecar: bool,
    calls: BTreeMap<u64, Call>,
    last_number: u64,
    batches: BTreeMap<u64, Batch>,
    inbox: Inbox,
    subscriptions: Subscriptions,
    /// Whether the doctor is at work.
    has_doctor: bool,
    /// Bytes of the commands that the sidecar has not answered.
    command_bytes: usize,
    /// How many messages were not kept because the host may not read them.
    unread: u64,
    /// When all is over, once the host has closed the input.
    leaving: Option<Instant>,
    /// For the ids of questions.
    random: fastrand::Rng,
    marks: Marks,
    outputs: VecDeque<Output>,
}

impl Server {
    /// Makes a server. The first request starts the sidecar. `mark_key`: bytes of the system's random generator,
    /// from which the marks around peers' words are made.
    pub fn new(settings: Settings, mark_key: &[u8; 64], now: Instant) -> Server {
        let random = fastrand::Rng::with_seed(settings.seed);
        Server {
            settings,
            session: None,
            sidecar: Sidecar::new(now),
            has_sidecar: false,
            calls: BTreeMap::new(),
            last_number: 0,
            batches: BTreeMap::new(),
            inbox: Inbox::default(),
            subscriptions: Subscriptions::default(),
            has_doctor: false,
            command_bytes: 0,
            unread: 0,
            leaving: None,
            random,
            marks: Marks::new(mark_key),
            outputs: VecDeque::new(),
        }
    }

    /// Returns what is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns whether lines of the sidecar should be read. While the inbox is full they wait in the sidecar, which
    /// slows those who send more. What a call waits for comes behind them, so then some more are read.
    pub fn takes_sidecar_lines(&self) -> bool {
        let waits = self.calls.values().any(Call::waits_for_sidecar);
        !self.inbox.is_full() || (waits && !self.inbox.is_overfull())
    }

    fn is_allowed(&self, tool: Tool) -> bool {
        self.settings.allowed.contains(&tool)
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn tell_host(&mut self, mut line: String) {
        line.push('\n');
        self.outputs.push_back(Output::Host(line));
    }

    fn notify(&mut self, method: &'static str, params: &str) {
        self.tell_host(json_rpc::notification(method, params));
    }

    /// Answers a request with a result: the JSON text of an object's members.
    fn respond(&mut self, asked: &Asked, members: &str) {
        let result = if asked.revision.is_stateless() {
            let separator = if members.is_empty() { "" } else { "," };
            let meta = handshake::server_meta();
            format!(r#"{{"resultType":"complete"{separator}{members},"_meta":{{{meta}}}}}"#)
        } else {
            format!("{{{members}}}")
        };
        self.answer(asked.batch, json_rpc::response(&asked.id, &result));
    }

    /// Answers a request with an error.
    fn refuse(&mut self, batch: Option<u64>, id: Option<&Id>, fault: &Fault) {
        self.answer(batch, json_rpc::error(id, fault));
    }

    fn answer(&mut self, batch: Option<u64>, line: String) {
        match batch {
            None => self.tell_host(line),
            Some(number) => {
                if let Some(batch) = self.batches.get_mut(&number) {
                    batch.answers.push(line);
                }
                self.settle(number);
            }
        }
    }

    /// Notes that a request of a batch has its answer, or will get none. With the last the answers go out.
    fn settle(&mut self, number: u64) {
        let Some(batch) = self.batches.get_mut(&number) else {
            return;
        };
        batch.unanswered = batch.unanswered.saturating_sub(1);
        if batch.unanswered == 0
            && let Some(batch) = self.batches.remove(&number)
            && !batch.answers.is_empty()
        {
            self.tell_host(format!("[{}]", batch.answers.join(",")));
        }
    }

    /// Returns how many calls may still be begun.
    fn has_room_for_call(&self) -> bool {
        self.calls.len() < limits::MCP_CALLS
    }
}
