//! JSON-RPC 2.0 as MCP uses it: lines of a host into requests and notifications, answers into lines.

use std::borrow::Cow;

use super::json::{Reader, Value, shorten, write_object};
use crate::limits;

/// The codes of errors that JSON-RPC 2.0 (section 5.1) and MCP define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The line is not JSON.
    ParseError,
    /// It is JSON, but no request.
    InvalidRequest,
    /// There is no such method.
    MethodNotFound,
    /// The method's parameters can't be used.
    InvalidParams,
    /// A resource is not there: MCP up to 2025-11-25.
    ResourceNotFound,
    /// The revision of MCP is none that we speak: MCP since 2026-07-28.
    UnsupportedVersion,
}

impl Code {
    /// Returns the number.
    pub fn number(self) -> i32 {
        match self {
            Code::ParseError => -32700,
            Code::InvalidRequest => -32600,
            Code::MethodNotFound => -32601,
            Code::InvalidParams => -32602,
            Code::ResourceNotFound => -32002,
            Code::UnsupportedVersion => -32022,
        }
    }
}

/// The id of a request: the JSON text of a string or an integer, as the host wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(Box<str>);

impl Id {
    /// Reads an id. `None`: it is neither a string nor an integer, or longer than
    /// [`limits::MCP_ID_BYTES`].
    pub fn parse(json: &str) -> Option<Id> {
        Self::of(Value::parse(json).ok()?)
    }

    fn of(value: Value<'_>) -> Option<Id> {
        let json = value.as_json();
        let is_id = value.is_string() || value.is_integer();
        (is_id && json.len() <= limits::MCP_ID_BYTES).then(|| Id(json.into()))
    }

    /// Returns the JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// An error that a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of error it is.
    pub code: Code,
    /// The reason, for a person.
    pub message: String,
    /// More of it, for programs, as JSON text.
    pub data: Option<String>,
}

impl Fault {
    /// Makes an error without data.
    pub fn new(code: Code, message: impl Into<String>) -> Fault {
        Fault {
            code,
            message: message.into(),
            data: None,
        }
    }
}

/// A message that can't be used. It has to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The id of the request; `None` where none could be read.
    pub id: Option<Id>,
    /// The answer.
    pub fault: Fault,
}

impl Unusable {
    fn new(id: Option<Id>, code: Code, message: impl Into<String>) -> Unusable {
        let fault = Fault::new(code, message);
        Unusable { id, fault }
    }
}

/// A message of the host. Parameters are the JSON text of an object; `None` where there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// It gets one answer with its id.
    Request {
        /// The id.
        id: Id,
        /// What is asked for.
        method: Cow<'a, str>,
        /// The parameters.
        params: Option<&'a str>,
    },
    /// It gets no answer, whatever is wrong with it.
    Notification {
        /// What has happened.
        method: Cow<'a, str>,
        /// The parameters.
        params: Option<&'a str>,
    },
    /// The answer to a request of ours. We make none.
    Response,
}

/// A line of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// One message.
    One(Result<Message<'a>, Unusable>),
    /// An array of messages, at least one and at most [`limits::MCP_BATCH`].
    Batch(Vec<Result<Message<'a>, Unusable>>),
}

/// Reads a line.
pub fn parse(line: &[u8]) -> Line<'_> {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to() + 1;
            let message = format!("the line is not UTF-8 from byte {at} on");
            return Line::One(Err(Unusable::new(None, Code::ParseError, message)));
        }
    };
    let value = match Value::parse(text) {
        Ok(value) => value,
        Err(error) => {
            let message = format!("the line {error}");
            return Line::One(Err(Unusable::new(None, Code::ParseError, message)));
        }
    };
    let mut count = 0;
    let mut messages = Vec::new();
    let is_array = value.elements(|element| {
        count += 1;
        if count <= limits::MCP_BATCH {
            messages.push(message(element));
        }
    });
    let invalid = |text: &str| Line::One(Err(Unusable::new(None, Code::InvalidRequest, text)));
    match (is_array, count) {
        (false, _) => Line::One(message(value)),
        (true, 0) => invalid("the array of messages is empty"),
        (true, count) if count > limits::MCP_BATCH => {
            let most = limits::MCP_BATCH;
            invalid(&format!("the array has more than {most} messages"))
        }
        (true, _) => Line::Batch(messages),
    }
}

/// Returns what a line is answered with that is longer than `limit` bytes and begins so. It bears the id of the
/// request if that is in the beginning.
pub fn line_too_long(beginning: &[u8], limit: usize) -> Unusable {
    let valid = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) => {
            let valid = beginning.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    };
    let mut id = None;
    // That the beginning ends too early is no news.
    let _ = Reader::new(valid).object(|key, reader| {
        let value = reader.value()?;
        if key == "id" && reader.is_behind_member() {
            id = Id::of(value);
        }
        Ok(())
    });
    let message = format!("the line is longer than {limit} bytes and was skipped");
    Unusable::new(id, Code::InvalidRequest, message)
}

/// The members of a message that have a meaning. If one comes twice, the last counts.
#[derive(Default)]
struct Members<'a> {
    version: Option<Value<'a>>,
    id: Option<Value<'a>>,
    method: Option<Value<'a>>,
    params: Option<Value<'a>>,
    is_answer: bool,
}

fn message(value: Value<'_>) -> Result<Message<'_>, Unusable> {
    let mut members = Members::default();
    let is_object = value.members(|key, value| match key {
        "jsonrpc" => members.version = Some(value),
        "id" => members.id = Some(value),
        "method" => members.method = Some(value),
        "params" => members.params = Some(value),
        "result" | "error" => members.is_answer = true,
        _ => {}
    });
    let id = members.id.and_then(Id::of);
    let invalid = |message: String| Err(Unusable::new(id.clone(), Code::InvalidRequest, message));
    if !is_object {
        return invalid(format!("a message is an object, not {}", value.kind()));
    }
    if members.version.and_then(Value::string).as_deref() != Some("2.0") {
        return invalid("a message has \"jsonrpc\": \"2.0\"".to_owned());
    }
    let method = match members.method {
        None if members.is_answer => return Ok(Message::Response),
        None => return invalid("the message has no method".to_owned()),
        Some(method) => match method.string() {
            Some(name) => name,
            None => return invalid(format!("a method is a string, not {}", method.kind())),
        },
    };
    if let (Some(value), None) = (members.id, &id) {
        let limit = limits::MCP_ID_BYTES;
        let kind = value.kind();
        return invalid(format!(
            "an id is a string or an integer of at most {limit} bytes; this is {kind}"
        ));
    }
    let params = match members.params.map(Value::as_json) {
        Some(params) if params.starts_with('{') => Some(params),
        None => None,
        Some(_) => {
            let Some(id) = id else {
                return Ok(Message::Notification {
                    method,
                    params: None,
                });
            };
            let message = format!("the parameters of {} are no object", shorten(&method));
            return Err(Unusable::new(Some(id), Code::InvalidParams, message));
        }
    };
    Ok(match id {
        Some(id) => Message::Request { id, method, params },
        None => Message::Notification { method, params },
    })
}

/// Returns a response with this result, which is JSON text, as one line without its end.
pub fn response(id: &Id, result: &str) -> String {
    let mut line = String::with_capacity(result.len() + 64);
    write_object(&mut line, |line| {
        line.string("jsonrpc", "2.0");
        line.raw("id", id.as_json());
        line.raw("result", result);
    });
    line
}

/// Returns a response with an error. Without an id it bears null, as JSON-RPC 2.0 (section 5) says.
pub fn error(id: Option<&Id>, fault: &Fault) -> String {
    let mut line = String::new();
    write_object(&mut line, |line| {
        line.string("jsonrpc", "2.0");
        line.raw("id", id.map_or("null", Id::as_json));
        line.object("error", |error| {
            error.number("code", fault.code.number());
            error.string("message", &fault.message);
            if let Some(data) = &fault.data {
                error.raw("data", data);
            }
        });
    });
    line
}

/// Returns a notification with these parameters, which are JSON text.
pub fn notification(method: &'static str, params: &str) -> String {
    let mut line = String::with_capacity(params.len() + 64);
    write_object(&mut line, |line| {
        line.string("jsonrpc", "2.0");
        line.string("method", method);
        line.raw("params", params);
    });
    line
}

#[cfg(test)]
mod tests;
