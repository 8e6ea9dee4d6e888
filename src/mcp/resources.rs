//! The inbox as a resource, and the hosts that are told of its changes. Only a host that has asked is told.

use std::time::Instant;

use crate::limits;
use crate::protocol::json::{Value, push_string, write_object};
use crate::protocol::json_rpc::{Code, Fault, Id};

use super::host::{each_member, push_cached, push_member};
use super::inbox::json_string;
use super::revision::Revision;
use super::tool::Tool;
use super::{Asked, Server, words};

/// The address of the inbox.
const INBOX: &str = "mesh://inbox";

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
    /// Answers the requests about resources that all revisions have.
    pub(super) fn resource_request(
        &mut self,
        asked: &Asked,
        method: &str,
        params: Option<&str>,
        now: Instant,
    ) -> Result<(), Fault> {
        let mut members = String::new();
        match method {
            "resources/read" => {
                is_inbox(params, asked.revision)?;
                let shown = self.inbox.peek(&mut self.marks, now);
                let count = self.inbox.len();
                let text = format!(
                    "{count} messages wait. Reading this does not take them: call inbox for that.\n{}\n{}",
                    words::NOTICE,
                    shown.text
                );
                let mut contents = String::from("[");
                write_object(&mut contents, |content| {
                    content.string("uri", INBOX);
                    content.string("mimeType", "text/plain");
                    content.string("text", &text);
                });
                contents.push(']');
                push_member(&mut members, "contents", &contents);
                push_cached(&mut members, asked, 0, "private");
            }
            "resources/list" => {
                let mut resources = String::from("[");
                write_object(&mut resources, |resource| {
                    resource.string("uri", INBOX);
                    resource.string("name", "inbox");
                    if asked.revision.has_structure() {
                        resource.string("title", "Inbox");
                    }
                    let about = "Messages of other agents that were not seen yet, as their words.";
                    resource.string("description", about);
                    resource.string("mimeType", "text/plain");
                });
                resources.push(']');
                push_member(&mut members, "resources", &resources);
                push_cached(&mut members, asked, 0, "private");
            }
            _ => {
                push_member(&mut members, "resourceTemplates", "[]");
                push_cached(&mut members, asked, 0, "private");
            }
        }
        self.respond(asked, &members);
        Ok(())
    }

    /// Begins or ends the subscription of a host with a session.
    pub(super) fn subscribe(
        &mut self,
        asked: &Asked,
        params: Option<&str>,
        begins: bool,
    ) -> Result<(), Fault> {
        if !self.is_allowed(Tool::Inbox) {
            let message = "there are no resources: the inbox is not among the tools of MCP_ALLOW";
            return Err(Fault::new(Code::MethodNotFound, message));
        }
        is_inbox(params, asked.revision)?;
        self.subscriptions.of_session = begins;
        self.respond(asked, "");
        Ok(())
    }

    /// Opens the stream of notices of a stateless host. It is answered when the server ends.
    pub(super) fn listen(
        &mut self,
        asked: Asked,
        params: Option<&str>,
        now: Instant,
    ) -> Result<(), Fault> {
        let mut filter = None;
        each_member(params, |key, value| {
            if key == "notifications" {
                filter = Some(value);
            }
        });
        let filter = filter.filter(|filter| filter.as_json().starts_with('{'));
        let Some(filter) = filter else {
            let message = "subscriptions/listen needs notifications, an object";
            return Err(Fault::new(Code::InvalidParams, message));
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
        let id = asked.id.as_json();
        let params =
            format!(r#"{{"_meta":{{"{SUBSCRIPTION_KEY}":{id}}},"notifications":{accepted}}}"#);
        self.notify("notifications/subscriptions/acknowledged", &params);
        self.subscriptions.streams.push(Stream {
            id: asked.id,
            has_inbox: honoured,
        });
        if honoured && !self.inbox.is_empty() {
            self.subscriptions.has_news(now);
        }
        Ok(())
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
            let meta = super::host::SERVER_META;
            let result = format!(
                r#"{{"resultType":"complete","_meta":{{"{SUBSCRIPTION_KEY}":{text},{meta}}}}}"#
            );
            self.answer(None, crate::protocol::json_rpc::response(&id, &result));
        }
    }
}

/// Checks that a request is about the inbox, which is the only resource.
fn is_inbox(params: Option<&str>, revision: Revision) -> Result<(), Fault> {
    let mut uri: Option<Value<'_>> = None;
    each_member(params, |key, value| {
        if key == "uri" {
            uri = Some(value);
        }
    });
    let Some(text) = uri.and_then(Value::string) else {
        let message = "the request needs the uri of a resource";
        return Err(Fault::new(Code::InvalidParams, message));
    };
    if text == INBOX {
        return Ok(());
    }
    let code = if revision.is_stateless() {
        Code::InvalidParams
    } else {
        Code::ResourceNotFound
    };
    let mut data = String::new();
    write_object(&mut data, |data| {
        data.string("uri", words::part(&text, 0, limits::QUOTED_CHARS));
    });
    Err(Fault {
        data: Some(data),
        ..Fault::new(code, "Resource not found")
    })
}
