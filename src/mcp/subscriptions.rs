//! Who is told that messages have come. Only a host that has asked is told, and never more often than
//! [`limits::MCP_NEWS_INTERVAL`].

use std::time::Instant;

use super::Server;
use super::handshake::server_meta;
use super::json::{each_member, json_string};
use super::request::{Reply, Request, invalid};
use super::resources::{INBOX, is_inbox};
use super::tool::Tool;
use crate::limits;
use crate::protocol::json::{push_string, write_object};
use crate::protocol::json_rpc::{self, Code, Fault, Id};

/// The key of `_meta` by which a notice says which subscription it belongs to.
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// Who wants to be told, and when that is due.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Whether the session's host has subscribed.
    of_session: bool,
    /// The streams of stateless hosts.
    streams: Vec<Stream>,
    due: Option<Instant>,
    told: Option<Instant>,
}

/// A stream of notices.
#[derive(Debug)]
struct Stream {
    /// The id of the request that has opened it.
    id: Id,
    /// Whether it is to tell of the inbox.
    has_inbox: bool,
}

impl Subscriptions {
    pub(super) fn has(&self, id: &Id) -> bool {
        self.streams.iter().any(|stream| stream.id == *id)
    }

    pub(super) fn close(&mut self, id: &Id) {
        self.streams.retain(|stream| stream.id != *id);
    }

    /// Returns when the next notice is due.
    pub(super) fn next_notice(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that a message has come: a notice is due, not too soon after the last.
    pub(super) fn has_news(&mut self, now: Instant) {
        let earliest = self.told.map(|told| told + limits::MCP_NEWS_INTERVAL);
        let at = earliest.map_or(now, |earliest| earliest.max(now));
        self.due.get_or_insert(at);
    }
}

impl Server {
    /// Begins or ends the subscription of a host with a session.
    pub(super) fn subscribe(
        &mut self,
        request: &Request<'_>,
        begins: bool,
    ) -> Result<String, Fault> {
        is_inbox(request)?;
        self.subscriptions.of_session = begins;
        Ok(String::new())
    }

    /// Opens the stream of notices of a stateless host. It is answered when the server ends.
    pub(super) fn listen(&mut self, request: &Request<'_>) -> Result<Reply, Fault> {
        let mut filter = None;
        each_member(request.params, |key, value| {
            if key == "notifications" {
                filter = Some(value);
            }
        });
        let filter = filter.filter(|filter| filter.as_json().starts_with('{'));
        let Some(filter) = filter else {
            let message = "subscriptions/listen needs notifications, an object";
            return Err(invalid(message));
        };
        let has_room = self.subscriptions.streams.len() < limits::MCP_SUBSCRIPTIONS;
        if !has_room {
            let most = limits::MCP_SUBSCRIPTIONS;
            let message = format!("{most} subscriptions are open; cancel one");
            return Err(Fault::new(Code::InvalidRequest, message));
        }
        let mut wants_inbox = false;
        filter.members(|key, value| {
            if key == "resourceSubscriptions" {
                value.elements(|uri| {
                    wants_inbox |= uri.string().as_deref() == Some(INBOX);
                });
            }
        });
        let honoured = wants_inbox && self.is_allowed(Tool::Inbox);
        let mut accepted = String::new();
        write_object(&mut accepted, |out| {
            if honoured {
                out.array("resourceSubscriptions", [INBOX], |out, uri| {
                    push_string(out, uri)
                });
            }
        });
        let id = request.asked.id.as_json();
        let params =
            format!(r#"{{"_meta":{{"{SUBSCRIPTION_KEY}":{id}}},"notifications":{accepted}}}"#);
        self.notify("notifications/subscriptions/acknowledged", &params);
        self.subscriptions.streams.push(Stream {
            id: request.asked.id.clone(),
            has_inbox: honoured,
        });
        if honoured && !self.inbox.is_empty() {
            self.subscriptions.has_news(request.now);
        }
        Ok(Reply::Elsewhere)
    }

    /// Tells those who want to know that messages have come, if that is due.
    pub(super) fn tell_news(&mut self, now: Instant) {
        if self.subscriptions.due.is_none_or(|due| due > now) {
            return;
        }
        self.subscriptions.due = None;
        if self.inbox.is_empty() {
            return;
        }
        self.subscriptions.told = Some(now);
        let streams = self.subscriptions.streams.iter();
        let told = streams.filter(|stream| stream.has_inbox).map(|stream| {
            let id = stream.id.as_json();
            format!(r#"{{"_meta":{{"{SUBSCRIPTION_KEY}":{id}}},"uri":"{INBOX}"}}"#)
        });
        let told: Vec<_> = told.collect();
        for params in told {
            self.notify("notifications/resources/updated", &params);
        }
        if self.session.is_none() {
            return;
        }
        if self.subscriptions.of_session {
            let params = format!(r#"{{"uri":"{INBOX}"}}"#);
            self.notify("notifications/resources/updated", &params);
        }
        if self.settings.has_channel {
            let count = self.inbox.len();
            // Their words stay in the inbox, where they are marked.
            let text = format!(
                "{count} messages of other agents wait in the inbox. Call the tool inbox to read them."
            );
            let text = json_string(&text);
            let params = format!(r#"{{"content":{text},"meta":{{"waiting":"{count}"}}}}"#);
            self.notify("notifications/claude/channel", &params);
        }
    }

    /// Ends all streams of notices, as the server ends.
    pub(super) fn close_streams(&mut self) {
        for Stream { id, .. } in std::mem::take(&mut self.subscriptions.streams) {
            let text = id.as_json();
            let meta = server_meta();
            let result = format!(
                r#"{{"resultType":"complete","_meta":{{"{SUBSCRIPTION_KEY}":{text},{meta}}}}}"#
            );
            self.answer(None, json_rpc::response(&id, &result));
        }
    }
}
