//! How calls of tools begin: what each tool does, and what it waits for then.

use std::borrow::Cow;
use std::time::Instant;

use super::arguments::Arguments;
use super::calls::{Call, Outcome, Progress, Work};
use super::commands::send_payload;
use super::inbox::NoReply;
use super::tool::Tool;
use super::{Asked, Output, Server};
use crate::limits;
use crate::protocol::json::shorten;
use crate::protocol::json_rpc::Id;

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

    /// Notes what a call waits for, and until when.
    pub(super) fn wait(&mut self, number: u64, work: Work, deadline: Option<Instant>) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.work = work;
            call.deadline = deadline;
        }
    }
}

/// Returns the type of a message: the one that was given, or that of a question.
fn message_type<'a>(arguments: &Arguments<'a>) -> Cow<'a, str> {
    let given = arguments.text("type");
    if given.is_empty() {
        "agent_prompt".into()
    } else {
        given
    }
}
