//! A mesh message M (contract part 2): checked, never rebuilt.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::json::{self, Members, Object};
use crate::limits;

/// A mesh message as its JSON text: one object with a string `type`, on one line. Cheap to clone.
///
/// Whoever made it, its text is untouched: key order, numbers of any size, unknown fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Arc<str>);

/// Why a text is no mesh message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageError {
    /// Not UTF-8, or not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// An object without a `type` that is a string.
    NoType,
}

impl MessageError {
    /// What is wrong, for a person; follows "the message" or the like.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageError::NotJson => "is not JSON",
            MessageError::NotAnObject => "is not an object",
            MessageError::NoType => "has no `type` that is a string",
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MessageError::NotJson => "not JSON",
            MessageError::NotAnObject => "no JSON object",
            MessageError::NoType => "no string `type` in it",
        })
    }
}

impl std::error::Error for MessageError {}

impl Message {
    /// Checks the message of an agent's command; `json` is known to be JSON.
    pub fn from_agent(json: &str) -> Result<Self, MessageError> {
        Fields::read(json)?;
        Ok(Message(on_one_line(json.trim_ascii()).into()))
    }

    /// Checks a data channel message of a peer, puts it on one line, and adds the fields that an
    /// agent may rely on where they are missing (contract part 2).
    pub fn from_peer(data: &[u8]) -> Result<Self, MessageError> {
        let json = std::str::from_utf8(data).map_err(|_| MessageError::NotJson)?;
        let fields = Fields::read(json)?;
        let line = on_one_line(json.trim_ascii());
        if fields.are_complete() {
            return Ok(Message(line.into()));
        }
        let members = line.strip_suffix('}').ok_or(MessageError::NotAnObject)?;
        let mut completed =
            String::with_capacity(line.len() + fields.missing().map(str::len).sum::<usize>());
        completed.push_str(members);
        // Its `type` stands before them, so each begins with a comma.
        completed.extend(fields.missing());
        completed.push('}');
        Ok(Message(completed.into()))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Length of the JSON text in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The `request_id`, for an error that has to name it; `None` as well when it is longer than
    /// [`limits::REQUEST_ID_BYTES`]. Parses; not for the hot path.
    pub fn request_id(&self) -> Option<String> {
        request_id(&self.0)
    }
}

/// The `request_id` of what may be no message, if it has one.
pub(super) fn request_id(json: &str) -> Option<String> {
    let fields: Fields<'_> = Object::read(json).ok()?;
    json::string(fields.request_id?)
        .filter(|id| id.len() <= limits::REQUEST_ID_BYTES)
        .map(Cow::into_owned)
}

/// Line breaks of JSON stand between its tokens only, where a space is as good.
fn on_one_line(json: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'\n', b'\r', json.as_bytes()) {
        None => Cow::Borrowed(json),
        Some(_) => Cow::Owned(json.replace(['\n', '\r'], " ")),
    }
}

/// The members of M that the contract names.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a RawValue>,
    request_id: Option<&'a RawValue>,
    source_agent: bool,
    target_agent: bool,
    payload: bool,
}

impl<'a> Fields<'a> {
    fn read(json: &'a str) -> Result<Self, MessageError> {
        let fields: Fields<'_> = Object::read(json).map_err(|_| match json::is_json(json) {
            Ok(()) => MessageError::NotAnObject,
            Err(_) => MessageError::NotJson,
        })?;
        match fields.kind {
            Some(kind) if json::is_string(kind) => Ok(fields),
            _ => Err(MessageError::NoType),
        }
    }

    fn are_complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// What has to be added before the closing brace.
    fn missing(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.request_id.is_some(), r#","request_id":"""#),
            (self.source_agent, r#","source_agent":"""#),
            (self.target_agent, r#","target_agent":"""#),
            (self.payload, r#","payload":null"#),
        ]
        .into_iter()
        .filter(|(present, _)| !present)
        .map(|(_, member)| member)
    }
}

impl<'de> Members<'de> for Fields<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = Some(map.next_value()?),
            "request_id" => self.request_id = Some(map.next_value()?),
            _ => {
                match key {
                    "source_agent" => self.source_agent = true,
                    "target_agent" => self.target_agent = true,
                    "payload" => self.payload = true,
                    _ => {}
                }
                json::pass_over(map)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
