//! How calls of tools end.

use std::time::Instant;

use super::calls::{Call, Outcome, Work};
use super::json::{json_string, push_member};
use super::tool::Tool;
use super::{Asked, Output, Server, words};

impl Server {
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

    /// Answers a call with its result.
    pub(super) fn finish(&mut self, asked: &Asked, tool: Tool, outcome: Outcome) {
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
