//! The sidecar's lines: messages of peers, answers to commands, and what is known of the registry.

use std::time::Instant;

use crate::limits;
use crate::protocol::json::Value;

use super::calls::{Outcome, Work};
use super::inbox::Received;
use super::results::{failure, receipt, receipts};
use super::sidecar::{self, Answer, Event, Exit};
use super::tool::Tool;
use super::{Output, Server, words};

impl Server {
    /// Takes a line of the sidecar.
    pub fn sidecar_line(&mut self, line: &[u8], now: Instant) {
        match sidecar::parse(line) {
            Event::Message { from, message } => self.receive(&from, message, now),
            Event::State(payload) => {
                self.sidecar.heard(payload, now);
                self.start_waiting(now);
            }
            Event::Connected { peer, resumed } => {
                self.sidecar.connected(&peer);
                if !resumed {
                    self.peer_began_anew(&peer);
                }
                self.start_waiting(now);
            }
            Event::Disconnected { peer } => self.sidecar.disconnected(&peer),
            Event::Answer(number, answer) => self.answered(number, &answer, now),
            Event::Other => {}
        }
    }

    /// Takes note that the sidecar has ended, or could not be started.
    pub fn sidecar_ended(&mut self, exit: Exit, now: Instant) {
        self.sidecar.ended(exit, now);
        let trouble = self.sidecar.trouble(now).unwrap_or_default();
        self.end_waiting(&format!("It is not known what became of this. {trouble}"));
        self.start_waiting(now);
    }

    /// Takes the doctor's findings: a JSON object a line. `None`: it could not be run.
    pub fn examined(&mut self, findings: Option<&str>, now: Instant) {
        self.has_doctor = false;
        let calls = self.calls.iter();
        let waiting: Vec<u64> = calls
            .filter(|(_, call)| matches!(call.work, Work::Doctor))
            .map(|(number, _)| *number)
            .collect();
        let lines = findings.unwrap_or(
            r#"{"verdict":"fail","check":"doctor","message":"the network could not be checked"}"#,
        );
        let lines = lines.lines().filter(|line| Value::parse(line).is_ok());
        let findings = format!("[{}]", lines.collect::<Vec<_>>().join(","));
        for number in waiting {
            self.give_status(number, &findings, now);
        }
    }

    fn receive(&mut self, from: &str, message: Value<'_>, now: Instant) {
        let mut received = Received {
            from: from.to_owned(),
            kind: String::new(),
            request_id: String::new(),
            payload: "null".to_owned(),
            at: now,
            shown: 0,
            is_answered: false,
        };
        message.members(|key, value| match key {
            "type" => {
                let kind = value.string().unwrap_or_default();
                received.kind = words::part(&kind, 0, limits::MCP_TYPE_BYTES).to_owned();
            }
            "request_id" => {
                let id = value.string().unwrap_or_default();
                // One that is too long is kept by nobody, so nothing can answer to it.
                let is_kept = id.len() <= limits::REQUEST_ID_BYTES;
                received.request_id = if is_kept {
                    id.into_owned()
                } else {
                    String::new()
                };
            }
            "payload" => received.payload = value.as_json().to_owned(),
            _ => {}
        });
        let Some(message) = self.answers_question(received, now) else {
            return;
        };
        if !self.is_allowed(Tool::Inbox) {
            self.unread += 1;
            return;
        }
        self.inbox.push(message);
        let mut calls = self.calls.iter();
        let waiting = calls.find(|(_, call)| matches!(call.work, Work::Message));
        if let Some((number, _)) = waiting {
            self.give_messages(*number, now);
            return;
        }
        self.subscriptions.has_news(now);
        self.tell_news(now);
        if self.inbox.is_overfull() {
            self.give_up_answers();
        }
    }

    /// Ends the calls that wait for the sidecar: nothing more is read before messages are taken.
    fn give_up_answers(&mut self) {
        self.end_waiting(
            "The inbox is full, so it is not known what became of this: nothing more is read before messages are \
             taken. Call inbox.",
        );
    }

    /// Ends the calls that wait for the sidecar, for this reason.
    fn end_waiting(&mut self, why: &str) {
        let calls = self.calls.iter();
        let waiting: Vec<u64> = calls
            .filter(|(_, call)| call.waits_for_sidecar())
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            self.end(number, Outcome::Failed(why.to_owned()));
        }
    }

    fn answered(&mut self, number: u64, answer: &Answer<'_>, now: Instant) {
        self.command_is_answered(number);
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let payload = match answer {
            Answer::Done(payload) => *payload,
            Answer::Failed(code, message) => {
                let text = failure(code, message, &mut self.marks);
                self.end(number, Outcome::Failed(text));
                return;
            }
        };
        match &mut call.work {
            Work::Answer(question) => {
                question.has_arrived = true;
                if let Some(progress) = &mut call.progress {
                    progress.next = now;
                }
                self.tell_progress(now);
            }
            Work::Receipt { peer, .. } => {
                let outcome = receipt(peer, payload);
                self.end(number, outcome);
            }
            Work::Receipts => {
                let outcome = receipts(payload);
                self.end(number, outcome);
            }
            Work::Statistics => {
                let outcome = self.peers(payload);
                self.end(number, outcome);
            }
            Work::Start(_) | Work::Message | Work::Doctor => {}
        }
    }

    /// Starts the calls that have waited for the registry.
    fn start_waiting(&mut self, now: Instant) {
        let calls = self.calls.iter();
        let waiting: Vec<u64> = calls
            .filter(|(_, call)| matches!(call.work, Work::Start(_)))
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            self.start(number, now);
        }
    }

    /// Starts the sidecar again if that is due.
    pub(super) fn restart_sidecar(&mut self, now: Instant) {
        if self.leaving.is_none() && self.sidecar.restarts(now) {
            self.outputs.push_back(Output::StartSidecar);
        }
    }
}
