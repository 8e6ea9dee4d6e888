//! The sidecar, as its agent sees it: whether it runs, who we are, and the meaning of its lines (contract parts 2
//! and 5).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use crate::backoff::Backoff;
use crate::limits;
use crate::protocol::json::Value;

/// How a sidecar has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It has closed its output, but how it has ended can't be had, for this reason.
    Unknown(String),
    /// It could not be started, for this reason.
    NotStarted(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self {
            Exit::NotStarted(why) => return write!(f, "could not be started: {why}"),
            Exit::Unknown(why) => {
                return write!(
                    f,
                    "has closed its output; its exit code can't be had: {why}"
                );
            }
            Exit::Signal(signal) => return write!(f, "was ended by signal {signal}"),
            Exit::Code(0) => return f.write_str("has ended as if asked to"),
            Exit::Code(1) => "it failed while running",
            Exit::Code(2) => "its configuration is wrong",
            Exit::Code(3) => "the registry refused the API key",
            Exit::Code(4) => "its socket can't be had",
            Exit::Code(code) => return write!(f, "has ended with exit code {code}"),
        };
        let code = match self {
            Exit::Code(code) => *code,
            Exit::Signal(_) | Exit::Unknown(_) | Exit::NotStarted(_) => 0,
        };
        write!(f, "has ended with exit code {code}: {meaning}")
    }
}

/// Whether the registry can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registry {
    /// It was not reached yet.
    Connecting,
    Connected,
    /// It was lost, or could not be reached.
    Disconnected,
    Refused,
}

impl Registry {
    pub(super) fn name(self) -> &'static str {
        match self {
            Registry::Connecting => "connecting",
            Registry::Connected => "connected",
            Registry::Disconnected => "disconnected",
            Registry::Refused => "refused",
        }
    }
}

/// The process.
#[derive(Debug)]
enum Process {
    /// It runs since then.
    Running(Instant),
    /// It has ended so, and is started again then.
    Ended(Exit, Instant),
}

/// What is known of the sidecar.
#[derive(Debug)]
pub(super) struct Sidecar {
    process: Process,
    restarts: Backoff,
    pub(super) name: Option<String>,
    pub(super) registry: Registry,
    /// Why the registry is not connected.
    pub(super) reason: Option<String>,
    /// When the registry was reached; `None` when there is nothing to wait for any more.
    reached: Option<Instant>,
    /// The peers that are connected.
    peers: BTreeSet<String>,
}

impl Sidecar {
    /// It is about to be started.
    pub(super) fn new(now: Instant) -> Self {
        Sidecar {
            process: Process::Running(now),
            restarts: Backoff::new(limits::MCP_RESTART_WAIT),
            name: None,
            registry: Registry::Connecting,
            reason: None,
            reached: None,
            peers: BTreeSet::new(),
        }
    }

    /// Notes that it has ended.
    pub(super) fn ended(&mut self, exit: Exit, now: Instant) {
        if let Process::Running(since) = self.process
            && now.saturating_duration_since(since) >= limits::MCP_STEADY_TIME
        {
            self.restarts.reset();
        }
        // Only one process waits here, so there is nobody to spread the wait from.
        let wait = self.restarts.next(1.0);
        self.process = Process::Ended(exit, now + wait);
        self.registry = Registry::Disconnected;
        self.reason = None;
        self.reached = None;
        self.peers.clear();
    }

    /// Starts it again if that is due. Returns whether it is.
    pub(super) fn restarts(&mut self, now: Instant) -> bool {
        let is_due = self.next_restart().is_some_and(|at| at <= now);
        if is_due {
            self.process = Process::Running(now);
            self.registry = Registry::Connecting;
        }
        is_due
    }

    pub(super) fn next_restart(&self) -> Option<Instant> {
        match self.process {
            Process::Running(_) => None,
            Process::Ended(_, at) => Some(at),
        }
    }

    /// Returns what is wrong if it does not run, in words.
    pub(super) fn trouble(&self, now: Instant) -> Option<String> {
        match &self.process {
            Process::Running(_) => None,
            Process::Ended(exit, at) => {
                let wait = at.saturating_duration_since(now).as_secs_f64();
                Some(format!(
                    "The sidecar, which carries the messages, {exit}. It is started again in {wait:.1} s; \
                     its log, on this server's standard error, says more."
                ))
            }
        }
    }

    /// Returns until when a call should wait before it begins, since nobody can be reached before.
    pub(super) fn ready_at(&self, is_to_settle: bool) -> Option<Instant> {
        let Process::Running(started) = self.process else {
            return None;
        };
        match self.registry {
            Registry::Connecting => Some(started + limits::MCP_START_TIME),
            Registry::Connected if is_to_settle => {
                self.reached.map(|at| at + limits::MCP_SETTLING_TIME)
            }
            Registry::Connected | Registry::Disconnected | Registry::Refused => None,
        }
    }

    /// Takes over what `ready` or `registry` tells.
    pub(super) fn heard(&mut self, payload: Value<'_>, now: Instant) {
        let mut state = None;
        self.reason = None;
        payload.members(|key, value| match key {
            "peer_id" => {
                if let Some(name) = value.string() {
                    self.name = Some(name.into_owned());
                }
            }
            "registry" | "state" => state = value.string(),
            "reason" => self.reason = value.string().map(Cow::into_owned),
            _ => {}
        });
        let before = self.registry;
        self.registry = match state.as_deref() {
            Some("connected") => Registry::Connected,
            Some("connecting") => Registry::Connecting,
            Some("refused") => Registry::Refused,
            Some(_) => Registry::Disconnected,
            None => before,
        };
        if self.registry == Registry::Connected && before != Registry::Connected {
            self.reached = Some(now);
        }
    }

    /// Notes that a peer is connected. Then there is nothing to wait for any more.
    pub(super) fn connected(&mut self, peer: &str) {
        self.reached = None;
        self.peers.insert(peer.to_owned());
    }

    /// Notes that a peer can't be reached.
    pub(super) fn disconnected(&mut self, peer: &str) {
        self.peers.remove(peer);
    }

    /// Returns how many peers are connected.
    pub(super) fn peers(&self) -> usize {
        self.peers.len()
    }
}

/// The answer to a command.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// It is done, with this payload.
    Done(Value<'a>),
    /// It is not, with this code and for this reason.
    Failed(Cow<'a, str>, Cow<'a, str>),
}

/// A line of the sidecar.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// A message of a peer.
    Message {
        from: Cow<'a, str>,
        message: Value<'a>,
    },
    /// `ready` or `registry`.
    State(Value<'a>),
    /// A peer can be reached.
    Connected { peer: Cow<'a, str>, resumed: bool },
    /// A peer can't be reached any more.
    Disconnected { peer: Cow<'a, str> },
    /// The answer to a command of this number.
    Answer(u64, Answer<'a>),
    /// Nothing that concerns us.
    Other,
}

/// Reads a line of the sidecar. What can't be read is [`Event::Other`].
pub(super) fn parse(line: &[u8]) -> Event<'_> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let Ok(line) = Value::parse(text) else {
        return Event::Other;
    };
    let (mut kind, mut id, mut payload) = (None, None, None);
    line.members(|key, value| match key {
        "type" => kind = value.string(),
        "id" => id = value.count(),
        "payload" => payload = Some(value),
        _ => {}
    });
    let (Some(kind), Some(payload)) = (kind, payload) else {
        return Event::Other;
    };
    match (kind.as_ref(), id) {
        ("message", _) => {
            let (mut from, mut message) = (None, None);
            payload.members(|key, value| match key {
                "from_peer" => from = value.string(),
                "message" => message = Some(value),
                _ => {}
            });
            match (from, message) {
                (Some(from), Some(message)) => Event::Message { from, message },
                _ => Event::Other,
            }
        }
        ("ready" | "registry", _) => Event::State(payload),
        ("peer_connected" | "peer_disconnected", _) => {
            let (mut peer, mut resumed) = (None, false);
            payload.members(|key, value| match key {
                "peer_id" => peer = value.string(),
                "resumed" => resumed = value.as_json() == "true",
                _ => {}
            });
            match peer {
                Some(peer) if kind == "peer_connected" => Event::Connected { peer, resumed },
                Some(peer) => Event::Disconnected { peer },
                None => Event::Other,
            }
        }
        ("error", Some(id)) => {
            let (mut code, mut message) = (Cow::default(), Cow::default());
            payload.members(|key, value| match key {
                "code" => code = value.string().unwrap_or_default(),
                "message" => message = value.string().unwrap_or_default(),
                _ => {}
            });
            Event::Answer(id, Answer::Failed(code, message))
        }
        ("ok" | "stats", Some(id)) => Event::Answer(id, Answer::Done(payload)),
        _ => Event::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sidecar_that_ends_again_and_again_is_started_less_and_less_often() {
        let mut now = Instant::now();
        let mut sidecar = Sidecar::new(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(sidecar.next_restart(), None);
            sidecar.ended(Exit::Code(3), now);
            let at = sidecar.next_restart().unwrap();
            assert!(!sidecar.restarts(at - Duration::from_millis(1)));
            waits.push((at - now).as_secs_f64());
            assert!(sidecar.restarts(at));
            now = at;
        }
        assert_eq!(waits[..3], [0.5, 1.0, 2.0]);
        assert_eq!(waits[7..], [60.0, 60.0]);
        now += limits::MCP_STEADY_TIME;
        sidecar.ended(Exit::Code(1), now);
        assert_eq!(
            sidecar.next_restart(),
            Some(now + limits::MCP_RESTART_WAIT.0)
        );
        let trouble = sidecar.trouble(now).unwrap();
        assert!(trouble.contains("failed while running"), "{trouble}");
        sidecar.ended(Exit::Unknown("no child".to_owned()), now);
        let trouble = sidecar.trouble(now).unwrap();
        assert!(
            trouble.contains("can't be had: no child") && !trouble.contains("started:"),
            "{trouble}"
        );
    }
}
