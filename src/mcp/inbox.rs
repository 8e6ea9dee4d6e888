//! The inbox: messages that have come and were not seen yet, and whom those that were seen can be replied to.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits;
use crate::protocol::json::{Value, shorten, write_object};

use super::marks::Marks;
use super::words;

/// Types of messages that answer requests of another type; any other answer's is the request's with `_response`.
const RESPONSES: [(&str, &str); 4] = [
    ("ping", "pong"),
    ("task_request", "task_response"),
    ("skill_query", "skill_response"),
    ("agent_prompt", "agent_response"),
];

/// A message that has come in.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) from: String,
    pub(super) kind: String,
    /// Empty if nothing answers to it.
    pub(super) request_id: String,
    /// JSON text.
    pub(super) payload: String,
    pub(super) at: Instant,
    /// How many bytes of its words were shown already.
    pub(super) shown: usize,
    /// Whether it was replied to, which a resource's reader can do before the message is taken.
    pub(super) is_answered: bool,
}

impl Received {
    /// Returns whether its sender waits for a reply.
    fn waits(&self) -> bool {
        let is_answer = RESPONSES.iter().any(|(_, answer)| *answer == self.kind)
            || self.kind.ends_with("_response")
            || self.kind.ends_with("_chunk");
        !self.request_id.is_empty() && !is_answer
    }

    fn cost(&self) -> usize {
        let texts = [&self.from, &self.kind, &self.request_id, &self.payload];
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        bytes + limits::ITEM_COST_BYTES
    }
}

/// The one that a reply goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Correspondent {
    pub(super) peer: String,
    /// The type of the message to it.
    pub(super) kind: String,
    pub(super) request_id: String,
    is_answered: bool,
}

/// The reason why a handle can't be replied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoReply {
    /// It is none, or forgotten.
    Unknown,
    /// Its question was answered already.
    Answered,
}

/// What one result shows.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// For the model to read.
    pub(super) text: String,
    /// A JSON array.
    pub(super) messages: String,
    pub(super) count: usize,
}

/// The messages, oldest first. Bounded by who fills it: see [`Inbox::is_full`].
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: VecDeque<(u64, Received)>,
    bytes: usize,
    seen: VecDeque<(u64, Correspondent)>,
    last_handle: u64,
    /// Whether it was full since messages were last taken.
    was_full: bool,
}

impl Inbox {
    /// Adds a message.
    pub(super) fn push(&mut self, message: Received) {
        self.last_handle += 1;
        self.bytes += message.cost();
        self.waiting.push_back((self.last_handle, message));
        self.was_full |= self.is_full();
    }

    /// Puts the rest of a message that was shown in part before all others. Returns its handle.
    pub(super) fn push_rest(&mut self, message: Received) -> String {
        self.last_handle += 1;
        self.bytes += message.cost();
        self.waiting.push_front((self.last_handle, message));
        handle(self.last_handle)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns whether no more should be read from the sidecar.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= limits::MCP_INBOX_BYTES
    }

    /// Returns whether no more is read even while a call waits for the sidecar.
    pub(super) fn is_overfull(&self) -> bool {
        self.bytes >= limits::MCP_INBOX_MOST_BYTES
    }

    /// Returns whether it was full since the last call, and forgets it.
    pub(super) fn take_was_full(&mut self) -> bool {
        std::mem::take(&mut self.was_full)
    }

    /// Shows the oldest messages, as many as a result has room for, and takes those that were shown whole.
    pub(super) fn take(&mut self, marks: &mut Marks, now: Instant) -> Shown {
        let mut shown = Shown::default();
        let mut room = limits::MCP_RESULT_BYTES;
        while let Some((number, message)) = self.waiting.front() {
            let has_room = shown.count == 0 || message.payload.len() <= room;
            if !has_room || shown.count == limits::MCP_RESULT_MESSAGES {
                break;
            }
            let end = show(&mut shown, *number, message, room, marks, now);
            match end {
                Some(end) => {
                    if let Some((_, message)) = self.waiting.front_mut() {
                        message.shown = end;
                    }
                    break;
                }
                None => {
                    room = room.saturating_sub(message.payload.len());
                    self.take_first();
                }
            }
        }
        shown.close();
        shown
    }

    /// Shows what [`Inbox::take`] would, and takes nothing.
    pub(super) fn peek(&self, marks: &mut Marks, now: Instant) -> Shown {
        let mut shown = Shown::default();
        let mut room = limits::MCP_RESULT_BYTES;
        for (number, message) in &self.waiting {
            let has_room = shown.count == 0 || message.payload.len() <= room;
            let is_full = shown.count == limits::MCP_RESULT_MESSAGES;
            if !has_room
                || is_full
                || show(&mut shown, *number, message, room, marks, now).is_some()
            {
                break;
            }
            room = room.saturating_sub(message.payload.len());
        }
        shown.close();
        shown
    }

    fn take_first(&mut self) {
        if let Some((number, message)) = self.waiting.pop_front() {
            self.bytes -= message.cost();
            if self.seen.len() == limits::MCP_HANDLES {
                self.seen.pop_front();
            }
            self.seen.push_back((number, Correspondent::of(&message)));
        }
    }

    /// Returns whom a reply with this handle goes to.
    ///
    /// # Errors
    /// It can't be replied to.
    pub(super) fn correspondent(&self, handle: &str) -> Result<Correspondent, NoReply> {
        let number = number(handle).ok_or(NoReply::Unknown)?;
        let seen = self.seen.iter().find(|(seen, _)| *seen == number);
        let found = match seen {
            Some((_, correspondent)) => correspondent.clone(),
            None => {
                let waiting = self.waiting.iter().find(|(waiting, _)| *waiting == number);
                let (_, message) = waiting.ok_or(NoReply::Unknown)?;
                Correspondent::of(message)
            }
        };
        if found.is_answered {
            return Err(NoReply::Answered);
        }
        Ok(found)
    }

    /// Notes whether the question of a message was answered. Messages that are no question can be replied to again.
    pub(super) fn set_answered(&mut self, handle: &str, is_answered: bool) {
        let number = number(handle);
        let waiting = self.waiting.iter_mut();
        let waiting = waiting.filter(|(_, message)| message.waits());
        let waiting = waiting.map(|(waiting, message)| (*waiting, &mut message.is_answered));
        let seen = self.seen.iter_mut();
        let seen = seen.filter(|(_, correspondent)| !correspondent.request_id.is_empty());
        let seen = seen.map(|(seen, correspondent)| (*seen, &mut correspondent.is_answered));
        let found = waiting
            .chain(seen)
            .find(|(known, _)| Some(*known) == number);
        if let Some((_, known)) = found {
            *known = is_answered;
        }
    }
}

impl Correspondent {
    fn of(message: &Received) -> Self {
        let kind = message.kind.as_str();
        let known = RESPONSES.iter().find(|(request, _)| *request == kind);
        let (kind, request_id) = match known {
            _ if !message.waits() => ("agent_prompt".to_owned(), String::new()),
            Some((_, response)) => ((*response).to_owned(), message.request_id.clone()),
            None => (format!("{kind}_response"), message.request_id.clone()),
        };
        Correspondent {
            peer: message.from.clone(),
            kind,
            request_id,
            is_answered: message.is_answered,
        }
    }

    /// Returns the payload for what is to be said, given as the JSON text of an object. Those who ask for a task
    /// expect its result under another name.
    pub(super) fn payload(&self, said: String) -> String {
        if self.kind != "task_response" {
            return said;
        }
        let mut text = None;
        let mut count = 0;
        if let Ok(value) = Value::parse(&said) {
            value.members(|key, value| {
                count += 1;
                text = (key == "text").then_some(value.as_json());
            });
        }
        match text {
            Some(text) if count == 1 => format!(r#"{{"result":{text},"error":""}}"#),
            _ => said,
        }
    }
}

impl Shown {
    fn close(&mut self) {
        let open = if self.messages.is_empty() { "[" } else { "" };
        self.messages.push_str(open);
        self.messages.push(']');
    }
}

/// Shows a message, or the next part of it. Returns where the part ends if there is more.
fn show(
    shown: &mut Shown,
    number: u64,
    message: &Received,
    room: usize,
    marks: &mut Marks,
    now: Instant,
) -> Option<usize> {
    let handle = handle(number);
    let words = words::of(&message.payload);
    let is_whole = message.shown == 0 && message.payload.len() <= room.max(1);
    let part = if is_whole {
        &words
    } else {
        words::part(&words, message.shown, room)
    };
    let end = message.shown + part.len();
    let left = words.len().saturating_sub(end);
    let age = now.saturating_duration_since(message.at).as_secs_f64();
    let kind = shorten(&message.kind);
    let waits = message.waits();

    let wish = if waits {
        "its sender waits for a reply"
    } else {
        "no reply is waited for"
    };
    let peer = shorten(&message.from);
    let is_usual = is_usual_type(&message.kind);
    let named = if is_usual {
        format!("type \"{kind}\"")
    } else {
        "an unusual type, which is between the first marks".to_owned()
    };
    shown.text.push_str(&format!(
        "Message {handle} from the peer \"{peer}\", {named}, {age:.0} s ago; {wish}.\n"
    ));
    if !is_usual {
        words::push_marked(&mut shown.text, marks, &message.from, &kind);
    }
    words::push_marked(&mut shown.text, marks, &message.from, part);
    if left > 0 {
        shown.text.push_str(&format!(
            "{left} bytes of it are left: call inbox again for them.\n"
        ));
    }

    let separator = if shown.count == 0 { '[' } else { ',' };
    shown.messages.push(separator);
    write_object(&mut shown.messages, |out| {
        out.string("handle", &handle);
        out.string("from_peer", &message.from);
        out.boolean("untrusted", true);
        out.string("type", &kind);
        out.string("request_id", &message.request_id);
        out.boolean("waits_for_reply", waits);
        out.number("age_seconds", format!("{age:.3}"));
        if is_whole {
            out.raw("payload", &message.payload);
        } else {
            out.string("payload_part", part);
            out.number("bytes_left", left);
        }
    });
    shown.count += 1;
    (left > 0).then_some(end)
}

/// Returns whether a type is a plain name. Any other is shown as a peer's words are, since it may be a sentence.
fn is_usual_type(kind: &str) -> bool {
    let is_plain = |byte| matches!(byte, b'a'..=b'z' | b'_');
    (1..=limits::MCP_PLAIN_TYPE_BYTES).contains(&kind.len()) && kind.bytes().all(is_plain)
}

fn handle(number: u64) -> String {
    format!("m{number}")
}

fn number(handle: &str) -> Option<u64> {
    handle.strip_prefix('m')?.parse().ok()
}
