//! Commands to the sidecar (contract part 2).

use std::time::Instant;

use super::{Output, Server};
use crate::limits;
use crate::protocol::json::write_object;

impl Server {
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
