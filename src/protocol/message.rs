//! A mesh message M (contract part 2). It is checked, but never rebuilt.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::json::{Reader, SyntaxError, Value};
use crate::limits;

/// A mesh message as its JSON text: one object with a string `type`, on one line. Cheap to clone.
///
/// Its text is left as the sender wrote it: key order, numbers of any size, unknown fields.
#[derive(Debug, Clone)]
pub struct Message {
    json: Arc<str>,
    /// Where its `request_id` begins; never at 0, where the object begins.
    request_id: Option<NonZeroUsize>,
}

/// Messages are equal when their texts are.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for Message {}

/// Room for the fields that [`Message::from_peer`] adds, in bytes.
const ADDED_BYTES: usize = 80;

/// The reason why a text is no mesh message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageError {
    /// It is not UTF-8, or not JSON.
    NotJson,
    /// It is JSON, but no object.
    NotAnObject,
    /// It is an object without a `type` that is a string.
    NoType,
    /// It nests objects and arrays deeper than [`limits::MESSAGE_NESTING`].
    TooDeep,
}

/// Says what is wrong, for a person; the text follows "it" or "the message".
impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::NotJson => f.write_str("is not JSON"),
            MessageError::NotAnObject => f.write_str("is not an object"),
            MessageError::NoType => f.write_str("has no `type` that is a string"),
            MessageError::TooDeep => {
                let most = limits::MESSAGE_NESTING;
                write!(f, "is nested deeper than {most} objects and arrays")
            }
        }
    }
}

impl std::error::Error for MessageError {}

impl Message {
    /// Checks the message of an agent's command.
    pub fn from_agent(json: &str) -> Result<Self, MessageError> {
        Draft::parse(json)?.into_message()
    }

    /// Checks a message that a peer sent on the data channel, puts it on one line, and adds the fields
    /// that an agent may rely on where they are missing (contract part 2).
    pub fn from_peer(data: &[u8]) -> Result<Self, MessageError> {
        let json = std::str::from_utf8(data).map_err(|_| MessageError::NotJson)?;
        let draft = Draft::parse(json)?;
        let missing = || draft.fields.iter().flat_map(Fields::missing);
        if missing().next().is_none() {
            return draft.into_message();
        }
        let message = draft.into_message()?;
        let members = message.json.strip_suffix('}').unwrap_or_default();
        let mut completed = String::with_capacity(message.size() + ADDED_BYTES);
        completed.push_str(members);
        // A `type` comes before them, so each begins with a comma.
        completed.extend(missing());
        completed.push('}');
        Ok(Message {
            json: completed.into(),
            ..message
        })
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        &self.json
    }

    /// Returns the length of the JSON text in bytes.
    pub fn size(&self) -> usize {
        self.json.len()
    }

    /// Returns the `request_id` that it came with, for an error that has to name it; `None` also when it
    /// is longer than [`limits::REQUEST_ID_BYTES`].
    pub fn request_id(&self) -> Option<String> {
        let rest = self.json.get(self.request_id?.get()..)?;
        usable_request_id(Reader::new(rest).value().ok()?)
    }
}

/// Returns the depth of nested objects and arrays of a JSON text; `None` if it is no JSON.
pub fn nesting(json: &str) -> Option<usize> {
    let mut reader = Reader::new(json);
    reader.value().ok()?;
    let nesting = reader.nesting();
    reader.end().ok()?;
    Some(nesting)
}

/// Returns whether a JSON text is an object that nests objects and arrays, itself included, no deeper than this.
pub fn is_object_within(json: &str, depth: usize) -> bool {
    json.trim_start().starts_with('{') && nesting(json).is_some_and(|nesting| nesting <= depth)
}

/// A JSON value that may be a mesh message.
#[derive(Clone, Copy)]
pub(super) struct Draft<'a> {
    json: Value<'a>,
    /// The fields; `None` when it is no object.
    fields: Option<Fields<'a>>,
    /// The depth of nested objects and arrays, itself included; 0 if it is no object.
    nesting: usize,
}

impl<'a> Draft<'a> {
    /// Reads a value, and notes the fields of a message in the same pass.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, SyntaxError> {
        if !reader.is_at_object() {
            let json = reader.value()?;
            return Ok(Draft {
                json,
                fields: None,
                nesting: 0,
            });
        }
        let mut fields = Fields::default();
        let start = reader.at();
        let mut nesting = 1;
        let json = reader.object(|key, reader| {
            let value = reader.value()?;
            nesting = nesting.max(1 + reader.nesting());
            let at = reader.at() - value.as_json().len() - start;
            fields.note(key, value, at);
            Ok(())
        })?;
        Ok(Draft {
            json,
            fields: Some(fields),
            nesting,
        })
    }

    fn parse(json: &'a str) -> Result<Self, MessageError> {
        let mut reader = Reader::new(json);
        Draft::read(&mut reader)
            .and_then(|draft| reader.end().map(|()| draft))
            .map_err(|_| MessageError::NotJson)
    }

    /// Returns the length of the JSON text in bytes.
    pub(super) fn size(&self) -> usize {
        self.json.as_json().len()
    }

    /// Returns the `request_id`, as [`Message::request_id`] does, even if this is no message.
    pub(super) fn request_id(&self) -> Option<String> {
        usable_request_id(self.fields?.request_id?.value)
    }

    /// Returns the message, if it is one.
    pub(super) fn into_message(self) -> Result<Message, MessageError> {
        let fields = self.fields.ok_or(MessageError::NotAnObject)?;
        if self.nesting > limits::MESSAGE_NESTING {
            return Err(MessageError::TooDeep);
        }
        match fields.kind {
            Some(kind) if kind.is_string() => Ok(Message {
                // The length stays the same, so that every member stays where it was.
                json: on_one_line(self.json.as_json()).into(),
                request_id: fields
                    .request_id
                    .and_then(|found| NonZeroUsize::new(found.at)),
            }),
            _ => Err(MessageError::NoType),
        }
    }
}

/// Replaces line breaks by spaces. JSON has line breaks between its tokens only, where a space means the
/// same.
fn on_one_line(json: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'\n', b'\r', json.as_bytes()) {
        None => Cow::Borrowed(json),
        Some(_) => Cow::Owned(json.replace(['\n', '\r'], " ")),
    }
}

fn usable_request_id(value: Value<'_>) -> Option<String> {
    value
        .string()
        .filter(|id| id.len() <= limits::REQUEST_ID_BYTES)
        .map(Cow::into_owned)
}

/// A member's value, and where it begins in the message.
#[derive(Clone, Copy)]
struct Found<'a> {
    value: Value<'a>,
    at: usize,
}

/// The members of M that the contract names.
#[derive(Clone, Copy, Default)]
struct Fields<'a> {
    kind: Option<Value<'a>>,
    request_id: Option<Found<'a>>,
    source_agent: bool,
    target_agent: bool,
    payload: bool,
}

impl<'a> Fields<'a> {
    fn note(&mut self, key: &str, value: Value<'a>, at: usize) {
        match key {
            "type" => self.kind = Some(value),
            "request_id" => self.request_id = Some(Found { value, at }),
            "source_agent" => self.source_agent = true,
            "target_agent" => self.target_agent = true,
            "payload" => self.payload = true,
            _ => {}
        }
    }

    /// Returns what has to be added before the closing brace.
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

#[cfg(test)]
mod tests;
