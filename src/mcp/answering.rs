//! The sidecar's lines: messages of peers, answers to commands, and what is known of the registry.

use std::time::Instant;

use crate::limits;
use crate::protocol::json::{Value, shorten, write_object};

use super::calls::{Outcome, Work};
use super::host::push_member;
use super::inbox::{Received, json_string};
use super::results::{Peer, describe_findings, failure, receipt, receipts};
use super::sidecar::{self, Answer, Event, Exit, Registry};
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

    /// Returns the result of `list_peers`.
    fn peers(&self, statistics: Value<'_>) -> Outcome {
        let mut connected = Vec::new();
        let mut others = Vec::new();
        let mut listed = Vec::new();
        statistics.members(|key, value| match key {
            "peers" => {
                value.elements(|peer| {
                    let peer = Peer::read(peer);
                    if peer.state == "connected" {
                        connected.push(peer);
                    } else {
                        others.push((peer.name, peer.state));
                    }
                });
            }
            "listed" => {
                value.elements(|name| listed.extend(name.string().map(String::from)));
            }
            _ => {}
        });
        for name in listed {
            let is_known = connected.iter().any(|peer| peer.name == name)
                || others.iter().any(|(known, _)| *known == name);
            if !is_known {
                others.push((name, "listed".to_owned()));
            }
        }
        let mut text = self.introduction();
        if connected.is_empty() {
            text.push_str("No peer is connected.\n");
        }
        for peer in &connected {
            text.push_str(&peer.line());
        }
        for (name, state) in &others {
            let name = shorten(name);
            text.push_str(&format!("- \"{name}\": not connected ({state})\n"));
        }
        let connected: Vec<_> = connected.iter().map(Peer::structured).collect();
        let others = others.iter().map(|(name, state)| {
            let mut json = String::new();
            write_object(&mut json, |out| {
                out.string("peer", name);
                out.string("state", state);
            });
            json
        });
        let others: Vec<_> = others.collect();
        let mut members = self.own_members();
        push_member(
            &mut members,
            "connected",
            &format!("[{}]", connected.join(",")),
        );
        push_member(
            &mut members,
            "not_connected",
            &format!("[{}]", others.join(",")),
        );
        Outcome::Done(text, members)
    }

    /// Ends a call of `status`. `findings`: the JSON text of the doctor's.
    pub(super) fn give_status(&mut self, number: u64, findings: &str, now: Instant) {
        let trouble = self.sidecar.trouble(now);
        let mut text = self.introduction();
        if let Some(trouble) = &trouble {
            text.push_str(&format!("{trouble}\n"));
        }
        if let Some(reason) = &self.sidecar.reason {
            text.push_str(&format!("The registry: {}\n", shorten(reason)));
        }
        if self.inbox.is_full() {
            text.push_str("The inbox is full, so those who send are slowed down: call inbox.\n");
        }
        if self.unread > 0 {
            let count = self.unread;
            text.push_str(&format!(
                "{count} messages were not kept, because MCP_ALLOW leaves the inbox out.\n"
            ));
        }
        let (described, kept) = describe_findings(findings);
        text.push_str(&described);
        let mut members = self.own_members();
        let state = if trouble.is_some() {
            "ended"
        } else {
            "running"
        };
        push_member(&mut members, "sidecar", &json_string(state));
        let reason = self.sidecar.reason.as_deref().map(json_string);
        push_member(
            &mut members,
            "registry_reason",
            reason.as_deref().unwrap_or("null"),
        );
        push_member(
            &mut members,
            "peers_connected",
            &self.sidecar.peers().to_string(),
        );
        let is_full = if self.inbox.is_full() {
            "true"
        } else {
            "false"
        };
        push_member(&mut members, "inbox_is_full", is_full);
        push_member(&mut members, "findings", &kept);
        self.end(number, Outcome::Done(text, members));
    }

    fn introduction(&self) -> String {
        let own = match &self.sidecar.name {
            Some(name) => format!("Your own name is \"{}\".", shorten(name)),
            None => "Your own name is not known yet: the registry gives it.".to_owned(),
        };
        let registry = match self.sidecar.registry {
            Registry::Connected => "The registry is connected.",
            Registry::Connecting => "The registry was not reached yet; try again in a second.",
            Registry::Disconnected => "The registry is not connected; it is tried again and again.",
            Registry::Refused => "The registry refuses us: the key or token is wrong.",
        };
        format!("{own} {registry}\n")
    }

    fn own_members(&self) -> String {
        let mut members = String::new();
        let name = self.sidecar.name.as_deref().map(json_string);
        push_member(&mut members, "own_name", name.as_deref().unwrap_or("null"));
        push_member(
            &mut members,
            "registry",
            &json_string(self.sidecar.registry.name()),
        );
        members
    }

    /// Starts the sidecar again if that is due.
    pub(super) fn restart_sidecar(&mut self, now: Instant) {
        if self.leaving.is_none() && self.sidecar.restarts(now) {
            self.outputs.push_back(Output::StartSidecar);
        }
    }
}
