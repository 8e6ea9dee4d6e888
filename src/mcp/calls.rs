//! Calls of tools: what each waits for, how it begins, and how it ends.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::json::{shorten, write_object};
use crate::protocol::json_rpc::Id;

use super::arguments::Arguments;
use super::asking::Question;
use super::host::push_member;
use super::inbox::{NoReply, json_string};
use super::tool::Tool;
use super::words;
use super::{Asked, Output, Server};

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) asked: Asked,
    pub(super) tool: Tool,
    pub(super) work: Work,
    pub(super) began: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) progress: Option<Progress>,
    /// Bytes of its command, until the sidecar has answered that.
    pub(super) command_bytes: usize,
}

/// What a call waits for.
#[derive(Debug)]
pub(super) enum Work {
    /// The registry, just after the start. Holds the arguments.
    Start(String),
    /// The sidecar's statistics.
    Statistics,
    /// What becomes of a message to this peer; with the handle that it replies to.
    Receipt {
        peer: String,
        reply_to: Option<String>,
    },
    /// What becomes of a message to all.
    Receipts,
    /// An answer of a peer.
    Answer(Question),
    /// A message.
    Message,
    /// The doctor.
    Doctor,
}

/// How a host is told that a call goes on.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) token: Id,
    pub(super) next: Instant,
    pub(super) last: f64,
}

/// The end of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A text, and the members of the structured result.
    Done(String, String),
    /// What went wrong, for the model.
    Failed(String),
}

impl Call {
    /// Returns whether what it waits for comes from the sidecar.
    pub(super) fn waits_for_sidecar(&self) -> bool {
        match self.work {
            Work::Statistics | Work::Receipt { .. } | Work::Receipts | Work::Answer(_) => true,
            Work::Start(_) | Work::Message | Work::Doctor => false,
        }
    }
}

impl Server {
    /// Begins a call of a tool that is allowed. `token`: by which progress is told, if it is to be.
    pub(super) fn begin_call(
        &mut self,
        asked: Asked,
        tool: Tool,
        arguments: &str,
        token: Option<Id>,
        now: Instant,
    ) {
        if !self.has_room_for_call() {
            let most = limits::MCP_CALLS;
            let message = format!("{most} calls are open already; wait for one to end");
            self.finish(&asked, tool, Outcome::Failed(message));
            return;
        }
        let number = self.next_number();
        let progress = token.map(|token| Progress {
            token,
            next: now + limits::MCP_PROGRESS_INTERVAL,
            last: 0.0,
        });
        let call = Call {
            asked,
            tool,
            work: Work::Start(arguments.to_owned()),
            began: now,
            deadline: None,
            progress,
            command_bytes: 0,
        };
        self.calls.insert(number, call);
        self.start(number, now);
    }

    /// Starts a call, unless it is too early for that. Then it is tried again later.
    pub(super) fn start(&mut self, number: u64, now: Instant) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let tool = call.tool;
        if !matches!(tool, Tool::Inbox | Tool::Status) {
            let ready_at = self.sidecar.ready_at(tool == Tool::ListPeers);
            if let Some(at) = ready_at.filter(|at| *at > now && self.leaving.is_none()) {
                call.deadline = Some(at);
                return;
            }
        }
        call.deadline = None;
        let Work::Start(arguments) = std::mem::replace(&mut call.work, Work::Message) else {
            return;
        };
        let failure = match Arguments::check(tool, &arguments) {
            Ok(arguments) => self.start_with(number, tool, &arguments, now).err(),
            Err(problem) => Some(problem),
        };
        if let Some(problem) = failure {
            self.end(number, Outcome::Failed(problem));
        }
    }

    fn start_with(
        &mut self,
        number: u64,
        tool: Tool,
        arguments: &Arguments<'_>,
        now: Instant,
    ) -> Result<(), String> {
        let peer = arguments.text("peer");
        let sent = Some(now + limits::MCP_SEND_TIME);
        match tool {
            Tool::Inbox => {
                let wait = arguments.seconds("wait_seconds").unwrap_or_default();
                self.wait(number, Work::Message, Some(now + wait));
                if !self.inbox.is_empty() || wait.is_zero() || self.leaving.is_some() {
                    self.give_messages(number, now);
                }
                Ok(())
            }
            Tool::Status => {
                if arguments.flag("check") == Some(false) {
                    self.give_status(number, "[]", now);
                    return Ok(());
                }
                self.wait(number, Work::Doctor, Some(now + limits::MCP_DOCTOR_TIME));
                if !std::mem::replace(&mut self.has_doctor, true) {
                    self.outputs.push_back(Output::StartDoctor);
                }
                Ok(())
            }
            Tool::ListPeers => {
                self.wait(number, Work::Statistics, sent);
                self.command(number, "stats", "{}", now)
            }
            Tool::Send => {
                let kind = message_type(arguments);
                let message = self.mesh_message(&kind, "", &peer, &arguments.payload()?);
                self.send(number, &peer, None, &message, now)
            }
            Tool::Reply => {
                let handle = arguments.text("handle");
                let to = self.inbox.correspondent(&handle).map_err(|why| {
                    let handle = shorten(&handle);
                    match why {
                        NoReply::Unknown => format!(
                            "there is no message \"{handle}\", or it is too long ago; use send"
                        ),
                        NoReply::Answered => {
                            format!("message \"{handle}\" was answered already; use send")
                        }
                    }
                })?;
                let payload = to.payload(arguments.payload()?);
                let message = self.mesh_message(&to.kind, &to.request_id, &to.peer, &payload);
                let reply_to = Some(handle.into_owned());
                self.send(number, &to.peer, reply_to, &message, now)
            }
            Tool::Broadcast => {
                let kind = message_type(arguments);
                let message = self.mesh_message(&kind, "", "", &arguments.payload()?);
                self.wait(number, Work::Receipts, sent);
                let payload = format!(r#"{{"message":{message}}}"#);
                self.command(number, "broadcast", &payload, now)
            }
            Tool::Ask => {
                let wait = arguments.seconds("timeout_seconds");
                let wait = wait.unwrap_or(limits::MCP_ASK_TIME);
                self.ask(number, &peer, &arguments.text("text"), wait, now)
            }
        }
    }

    /// Sends a message and waits for its receipt.
    fn send(
        &mut self,
        number: u64,
        peer: &str,
        reply_to: Option<String>,
        message: &str,
        now: Instant,
    ) -> Result<(), String> {
        if let Some(handle) = &reply_to {
            self.inbox.set_answered(handle, true);
        }
        let work = Work::Receipt {
            peer: peer.to_owned(),
            reply_to,
        };
        self.wait(number, work, Some(now + limits::MCP_SEND_TIME));
        self.command(number, "send", &send_payload(peer, message), now)
    }

    pub(super) fn wait(&mut self, number: u64, work: Work, deadline: Option<Instant>) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.work = work;
            call.deadline = deadline;
        }
    }

    /// Returns a message to another agent (contract part 2, M).
    pub(super) fn mesh_message(
        &self,
        kind: &str,
        request_id: &str,
        peer: &str,
        payload: &str,
    ) -> String {
        let mut message = String::new();
        write_object(&mut message, |out| {
            out.string("type", kind);
            out.string("request_id", request_id);
            out.string(
                "source_agent",
                self.sidecar.name.as_deref().unwrap_or_default(),
            );
            out.string("target_agent", peer);
            out.raw("payload", payload);
        });
        message
    }

    /// Gives the sidecar a command; its answer bears the number of the call.
    pub(super) fn command(
        &mut self,
        number: u64,
        kind: &'static str,
        payload: &str,
        now: Instant,
    ) -> Result<(), String> {
        if let Some(trouble) = self.sidecar.trouble(now) {
            return Err(trouble);
        }
        if self.inbox.is_overfull() {
            let count = self.inbox.len();
            return Err(format!(
                "The inbox is full: {count} messages wait, and nothing more is read before they are. Call inbox."
            ));
        }
        let mut line = String::with_capacity(payload.len() + 64);
        write_object(&mut line, |out| {
            out.string("type", kind);
            out.number("id", number);
            out.raw("payload", payload);
        });
        line.push('\n');
        if self.command_bytes + line.len() > limits::MCP_COMMAND_BYTES {
            let most = limits::MCP_COMMAND_BYTES;
            return Err(format!(
                "More than {most} bytes wait to be delivered; try again when other calls have ended."
            ));
        }
        self.command_bytes += line.len();
        if let Some(call) = self.calls.get_mut(&number) {
            call.command_bytes = line.len();
        }
        self.outputs.push_back(Output::Sidecar(line));
        Ok(())
    }

    /// Notes that the sidecar has answered the command of a call, or never will.
    pub(super) fn command_is_answered(&mut self, number: u64) {
        if let Some(call) = self.calls.get_mut(&number) {
            self.command_bytes -= std::mem::take(&mut call.command_bytes);
        }
    }

    /// Takes a call from those that are open. Nothing is answered.
    pub(super) fn end_call(&mut self, number: u64) -> Option<Call> {
        self.command_is_answered(number);
        let call = self.calls.remove(&number);
        let wants_doctor = |call: &Call| matches!(call.work, Work::Doctor);
        if self.has_doctor && !self.calls.values().any(wants_doctor) {
            self.has_doctor = false;
            self.outputs.push_back(Output::StopDoctor);
        }
        call
    }

    /// Ends a call with its result.
    pub(super) fn end(&mut self, number: u64, outcome: Outcome) {
        let Some(call) = self.end_call(number) else {
            return;
        };
        if let (
            Outcome::Failed(_),
            Work::Receipt {
                reply_to: Some(handle),
                ..
            },
        ) = (&outcome, &call.work)
        {
            self.inbox.set_answered(handle, false);
        }
        self.finish(&call.asked, call.tool, outcome);
    }

    fn finish(&mut self, asked: &Asked, tool: Tool, outcome: Outcome) {
        let waiting = self.inbox.len();
        let (mut text, structured) = match outcome {
            Outcome::Done(text, structured) => (text, Some(structured)),
            Outcome::Failed(text) => (text, None),
        };
        if waiting > 0 && tool != Tool::Inbox && self.is_allowed(Tool::Inbox) {
            let messages = if waiting == 1 {
                "message waits"
            } else {
                "messages wait"
            };
            text.push_str(&format!("\n{waiting} {messages} in the inbox."));
        }
        let mut members = String::new();
        let content = format!(
            r#"[{{"type":"text","text":{}}}]"#,
            json_string(text.trim_end())
        );
        push_member(&mut members, "content", &content);
        match structured {
            Some(mut structured) if asked.revision.has_structure() => {
                push_member(&mut structured, "waiting_messages", &waiting.to_string());
                push_member(
                    &mut members,
                    "structuredContent",
                    &format!("{{{structured}}}"),
                );
            }
            Some(_) => {}
            None => push_member(&mut members, "isError", "true"),
        }
        self.respond(asked, &members);
    }

    /// Ends a call of `inbox` with what is there.
    pub(super) fn give_messages(&mut self, number: u64, now: Instant) {
        let was_full = self.inbox.take_was_full();
        let shown = self.inbox.take(&mut self.marks, now);
        let left = self.inbox.len();
        let mut text = match shown.count {
            0 => "No messages.".to_owned(),
            _ => format!("{}\n\n{}", words::NOTICE, shown.text),
        };
        if left > 0 {
            text.push_str(&format!("{left} more wait: call inbox again.\n"));
        }
        if was_full {
            text.push_str(
                "The inbox was full, so those who send were slowed down. Nothing was lost.\n",
            );
        }
        let mut members = String::new();
        push_member(&mut members, "notice", &json_string(words::NOTICE));
        push_member(&mut members, "messages", &shown.messages);
        push_member(
            &mut members,
            "was_full",
            if was_full { "true" } else { "false" },
        );
        self.end(number, Outcome::Done(text, members));
    }
}

/// Returns the payload of the command `send`.
pub(super) fn send_payload(peer: &str, message: &str) -> String {
    let mut payload = String::with_capacity(message.len() + 64);
    write_object(&mut payload, |out| {
        out.string("target_peer", peer);
        out.raw("message", message);
    });
    payload
}

fn message_type<'a>(arguments: &Arguments<'a>) -> std::borrow::Cow<'a, str> {
    let given = arguments.text("type");
    if given.is_empty() {
        "agent_prompt".into()
    } else {
        given
    }
}

/// Returns a wait in words.
pub(super) fn seconds(wait: Duration) -> String {
    let seconds = wait.as_secs_f64();
    if seconds < 1.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}
