//! The inbox as a resource, which is the only one.

use super::json::{each_member, push_member};
use super::request::{Request, invalid};
use super::{Server, words};
use crate::limits;
use crate::protocol::json::{Value, write_object};
use crate::protocol::json_rpc::{Code, Fault};

/// The address of the inbox.
pub(super) const INBOX: &str = "mesh://inbox";

impl Server {
    /// Shows the messages of the inbox. They stay there.
    pub(super) fn read_resource(&mut self, request: &Request<'_>) -> Result<String, Fault> {
        is_inbox(request)?;
        let shown = self.inbox.peek(&mut self.marks, request.now);
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
        let mut members = String::new();
        push_member(&mut members, "contents", &contents);
        request.push_cached(&mut members, 0, "private");
        Ok(members)
    }
}

/// Returns the list of resources.
pub(super) fn list_resources(request: &Request<'_>) -> String {
    let mut resources = String::from("[");
    write_object(&mut resources, |resource| {
        resource.string("uri", INBOX);
        resource.string("name", "inbox");
        if request.asked.revision.has_structure() {
            resource.string("title", "Inbox");
        }
        let about = "Messages of other agents that were not seen yet, as their words.";
        resource.string("description", about);
        resource.string("mimeType", "text/plain");
    });
    resources.push(']');
    let mut members = String::new();
    push_member(&mut members, "resources", &resources);
    request.push_cached(&mut members, 0, "private");
    members
}

/// Returns the list of templates of resources, which is empty.
pub(super) fn list_resource_templates(request: &Request<'_>) -> String {
    let mut members = String::new();
    push_member(&mut members, "resourceTemplates", "[]");
    request.push_cached(&mut members, 0, "private");
    members
}

/// Checks that a request is about the inbox, which is the only resource.
pub(super) fn is_inbox(request: &Request<'_>) -> Result<(), Fault> {
    let mut uri: Option<Value<'_>> = None;
    each_member(request.params, |key, value| {
        if key == "uri" {
            uri = Some(value);
        }
    });
    let Some(text) = uri.and_then(Value::string) else {
        let message = "the request needs the uri of a resource";
        return Err(invalid(message));
    };
    if text == INBOX {
        return Ok(());
    }
    let code = if request.asked.revision.is_stateless() {
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
