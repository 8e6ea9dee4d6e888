//! Questions to peers: the answer is that of the peer that was asked, and bears the question's id.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::json::shorten;

use super::calls::{Outcome, Work, seconds};
use super::commands::send_payload;
use super::inbox::Received;
use super::json::{json_string, push_member};
use super::marks::Marks;
use super::tool::Tool;
use super::{Server, words};

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) peer: String,
    pub(super) request_id: String,
    /// Whether the peer is known to have it.
    pub(super) has_arrived: bool,
    /// The payloads of what the peer has sent before its answer, as JSON text.
    parts: Vec<String>,
    parts_bytes: usize,
}

impl Question {
    /// Keeps a part of the answer, if there is room.
    fn keep(&mut self, payload: &str) -> bool {
        let bytes = payload.len() + limits::ITEM_COST_BYTES;
        let has_room = self.parts_bytes + bytes <= limits::MCP_PARTS_BYTES;
        if has_room {
            self.parts_bytes += bytes;
            self.parts.push(payload.to_owned());
        }
        has_room
    }
}

impl Server {
    /// Begins a question.
    pub(super) fn ask(
        &mut self,
        number: u64,
        peer: &str,
        text: &str,
        wait: Duration,
        now: Instant,
    ) -> Result<(), String> {
        let request_id = format!("mcp-{:016x}-{number}", self.random.u64(..));
        let payload = format!(r#"{{"text":{}}}"#, json_string(text));
        let message = self.mesh_message("agent_prompt", &request_id, peer, &payload);
        let question = Question {
            peer: peer.to_owned(),
            request_id,
            has_arrived: false,
            parts: Vec::new(),
            parts_bytes: 0,
        };
        self.wait(number, Work::Answer(question), Some(now + wait));
        self.command(number, "send", &send_payload(peer, &message), now)
    }

    /// Gives a message to the question that it answers. Returns it if there is none.
    pub(super) fn answers_question(&mut self, message: Received, now: Instant) -> Option<Received> {
        if message.request_id.is_empty() {
            return Some(message);
        }
        let found = self
            .calls
            .iter_mut()
            .find_map(|(number, call)| match &mut call.work {
                Work::Answer(question)
                    if question.peer == message.from
                        && question.request_id == message.request_id =>
                {
                    Some((*number, question))
                }
                _ => None,
            });
        let Some((number, question)) = found else {
            return Some(message);
        };
        if message.kind.ends_with("_stream_chunk") {
            return (!question.keep(&message.payload)).then_some(message);
        }
        let parts = std::mem::take(&mut question.parts);
        self.give_answer(number, message, &parts, now);
        None
    }

    fn give_answer(&mut self, number: u64, answer: Received, parts: &[String], now: Instant) {
        let peer = shorten(&answer.from);
        if let Some(reason) = words::failure(&answer.payload) {
            let reason = words::part(&reason, 0, limits::MCP_RESULT_BYTES);
            let mut text = format!(
                "The agent of \"{peer}\" has failed to answer. {}\n\n",
                words::NOTICE
            );
            words::push_marked(&mut text, &mut self.marks, &answer.from, reason);
            self.end(number, Outcome::Failed(text));
            return;
        }
        let mut text = format!("\"{peer}\" has answered. {}\n\n", words::NOTICE);
        let mut members = String::new();
        push_member(&mut members, "from_peer", &json_string(&answer.from));
        push_member(&mut members, "untrusted", "true");
        push_member(&mut members, "notice", &json_string(words::NOTICE));
        let mut room = limits::MCP_RESULT_BYTES;
        room = push_parts(
            &mut text,
            &mut members,
            (&mut self.marks, &answer.from),
            parts,
            room,
        );

        let said = words::of(&answer.payload).into_owned();
        let part = words::part(&said, 0, room.max(1024)).to_owned();
        words::push_marked(&mut text, &mut self.marks, &answer.from, &part);
        if part.len() == said.len() {
            push_member(&mut members, "answer", &answer.payload);
        } else if !self.is_allowed(Tool::Inbox) {
            // Nobody could take the rest from the inbox.
            let left = said.len() - part.len();
            text.push_str(&format!(
                "{left} bytes of it are left out, because MCP_ALLOW leaves the inbox out. Ask for less at once.\n"
            ));
            push_member(&mut members, "answer_part", &json_string(&part));
            push_member(&mut members, "bytes_left_out", &left.to_string());
        } else {
            let left = said.len() - part.len();
            let rest = Received {
                shown: part.len(),
                at: now,
                ..answer
            };
            let handle = self.inbox.push_rest(rest);
            text.push_str(&format!(
                "{left} bytes of it are left: call inbox for them.\n"
            ));
            push_member(&mut members, "answer_part", &json_string(&part));
            push_member(&mut members, "bytes_left", &left.to_string());
            push_member(&mut members, "handle", &json_string(&handle));
        }
        self.end(number, Outcome::Done(text, members));
    }

    /// Fails the questions that a peer's process has had, since another has taken its place.
    pub(super) fn peer_began_anew(&mut self, peer: &str) {
        let calls = self.calls.iter();
        let asked = calls.filter(|(_, call)| match &call.work {
            Work::Answer(question) => question.peer == peer && question.has_arrived,
            _ => false,
        });
        let numbers: Vec<_> = asked.map(|(number, _)| *number).collect();
        let peer = shorten(peer);
        for number in numbers {
            let text = format!(
                "\"{peer}\" had the question, but has lost it: its process, or the connection to it, is a new \
                 one. Ask again."
            );
            self.end(number, Outcome::Failed(text));
        }
    }
}

/// Returns what became of a question that was not answered in time.
pub(super) fn unanswered(question: &Question, waited: Duration, has_inbox: bool) -> String {
    let peer = shorten(&question.peer);
    let waited = seconds(waited);
    let state = if question.has_arrived {
        format!("The agent of \"{peer}\" has the question.")
    } else {
        format!("It is not known whether \"{peer}\" has the question; it is still being delivered.")
    };
    let later = if has_inbox {
        let id = &question.request_id;
        format!("If an answer comes, it will be in the inbox, with the request_id {id}.")
    } else {
        "If an answer comes later, it is not kept, because MCP_ALLOW leaves the inbox out."
            .to_owned()
    };
    format!("No answer within {waited}. {state} {later}")
}

/// Appends the parts that came before an answer, as far as there is room. Returns the room that is left.
fn push_parts(
    text: &mut String,
    members: &mut String,
    (marks, peer): (&mut Marks, &str),
    parts: &[String],
    mut room: usize,
) -> usize {
    if parts.is_empty() {
        return room;
    }
    let shown: Vec<&String> = parts
        .iter()
        .take_while(|part| {
            let fits = part.len() <= room;
            room = if fits { room - part.len() } else { 0 };
            fits
        })
        .collect();
    for part in &shown {
        words::push_marked(text, marks, peer, &words::of(part));
    }
    let left = parts.len() - shown.len();
    if left > 0 {
        text.push_str(&format!(
            "{left} further parts before the answer are left out.\n"
        ));
    }
    let shown: Vec<&str> = shown.into_iter().map(String::as_str).collect();
    push_member(members, "parts", &format!("[{}]", shown.join(",")));
    room
}
