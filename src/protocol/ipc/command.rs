//! An agent's line to a command.

use std::borrow::Cow;

use serde::de::{Deserialize, MapAccess};
use serde_json::value::RawValue;

use super::{Command, CommandId, ErrorCode, ErrorReport, Limits, Rejection, Request};
use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::json::{self, Members, Object};
use crate::protocol::message::{self, Message};

/// Parses one line of an agent.
pub fn parse(line: &[u8], limits: Limits) -> Result<Request, Box<Rejection>> {
    let without_id = |error| Box::new(Rejection { id: None, error });
    let envelope = read_envelope(line).map_err(without_id)?;
    let id = match envelope.id {
        Some(id) => Some(command_id(id).map_err(without_id)?),
        None => None,
    };
    match read_command(&envelope, limits) {
        Ok(command) => Ok(Request { id, command }),
        Err(error) => Err(Box::new(Rejection { id, error })),
    }
}

/// The rejection of a line that was longer than the limit.
pub fn line_too_long(limits: Limits) -> Box<Rejection> {
    let limit = limits.line_bytes;
    let message = format!("the line is longer than {limit} bytes and was skipped");
    let error = ErrorReport {
        limit: Some(limit as u64),
        ..ErrorReport::new(ErrorCode::LineTooLong, message)
    };
    Box::new(Rejection { id: None, error })
}

/// The members of a line that have a meaning; the payload as `P`.
struct Envelope<'a, P> {
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    payload: Option<P>,
}

impl<P> Default for Envelope<'_, P> {
    fn default() -> Self {
        Envelope {
            kind: None,
            id: None,
            payload: None,
        }
    }
}

impl<'de, P: Deserialize<'de>> Members<'de> for Envelope<'de, P> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = Some(map.next_value()?),
            // A null `id` or payload is an absent one.
            "id" => self.id = map.next_value()?,
            "payload" => self.payload = map.next_value()?,
            _ => json::pass_over(map)?,
        }
        Ok(())
    }
}

/// The members of a payload that some command knows.
#[derive(Default)]
struct Payload<'a> {
    target_peer: Option<&'a RawValue>,
    target_peer_id: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
}

impl<'de> Members<'de> for Payload<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "target_peer" => self.target_peer = Some(map.next_value()?),
            "target_peer_id" => self.target_peer_id = Some(map.next_value()?),
            "message" => self.message = Some(map.next_value()?),
            _ => json::pass_over(map)?,
        }
        Ok(())
    }
}

/// A payload, or what stands in its place.
enum PayloadShape<'a> {
    Object(Payload<'a>),
    Other(&'static str),
}

impl<'a> PayloadShape<'a> {
    fn of(value: &'a RawValue) -> Self {
        match Object::read(value.get()) {
            Ok(payload) => PayloadShape::Object(payload),
            Err(_) => PayloadShape::Other(json::kind_of(value)),
        }
    }
}

fn read_envelope(line: &[u8]) -> Result<Envelope<'_, PayloadShape<'_>>, ErrorReport> {
    let text = std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to() + 1;
        let message = format!("the line is not UTF-8: byte {at} begins no character");
        ErrorReport::new(ErrorCode::BadJson, message)
    })?;
    // The common shape takes one pass; any other may take its time.
    match Object::<Envelope<'_, Object<Payload<'_>>>>::read(text) {
        Ok(envelope) => Ok(Envelope {
            kind: envelope.kind,
            id: envelope.id,
            payload: envelope
                .payload
                .map(|Object(payload)| PayloadShape::Object(payload)),
        }),
        Err(_) => read_unusual_envelope(text),
    }
}

fn read_unusual_envelope(text: &str) -> Result<Envelope<'_, PayloadShape<'_>>, ErrorReport> {
    json::is_json(text).map_err(|error| {
        let message = format!("the line is not JSON: {error}");
        ErrorReport::new(ErrorCode::BadJson, message)
    })?;
    let envelope: Envelope<'_, &RawValue> = Object::read(text).map_err(|_| {
        let message = "the line is no JSON object: expected {\"type\": ..., \"payload\": {...}}";
        ErrorReport::new(ErrorCode::BadCommand, message)
    })?;
    Ok(Envelope {
        kind: envelope.kind,
        id: envelope.id,
        payload: envelope.payload.map(PayloadShape::of),
    })
}

fn command_id(value: &RawValue) -> Result<CommandId, ErrorReport> {
    let text = value.get();
    let integer = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let fault = if !integer && !json::is_string(value) {
        format!("is {}", described(value))
    } else if text.len() > limits::COMMAND_ID_BYTES {
        format!("has {} bytes", text.len())
    } else {
        return Ok(CommandId(value.to_owned()));
    };
    Err(bad_command(format!(
        "`id` {fault}: expected a string or an integer of at most {} bytes",
        limits::COMMAND_ID_BYTES
    )))
}

fn read_command(
    envelope: &Envelope<'_, PayloadShape<'_>>,
    limits: Limits,
) -> Result<Command, ErrorReport> {
    const COMMANDS: &str = "`send`, `broadcast`, `list_peers`, `connect` or `stats`";

    let kind = match envelope.kind {
        Some(kind) if json::is_string(kind) => json::string(kind).unwrap_or(kind.get().into()),
        other => return Err(unusable("type", other, COMMANDS)),
    };
    let none = Payload::default();
    let payload = || match &envelope.payload {
        None => Ok(&none),
        Some(PayloadShape::Object(payload)) => Ok(payload),
        Some(PayloadShape::Other(is)) => Err(bad_command(format!(
            "`payload` is {is}: expected an object"
        ))),
    };
    match kind.as_ref() {
        "send" => read_send(payload()?, limits),
        "broadcast" => Ok(Command::Broadcast {
            message: read_message(payload()?.message, limits)?,
        }),
        "list_peers" => payload().map(|_| Command::ListPeers),
        "connect" => Ok(Command::Connect {
            target_peer_id: read_peer("target_peer_id", payload()?.target_peer_id)?,
        }),
        "stats" => payload().map(|_| Command::Stats),
        unknown => Err(ErrorReport::new(
            ErrorCode::UnknownCommand,
            format!(
                "unknown type `{}`: expected {COMMANDS}",
                json::shorten(unknown)
            ),
        )),
    }
}

fn read_send(payload: &Payload<'_>, limits: Limits) -> Result<Command, ErrorReport> {
    let target_peer = match read_peer("target_peer", payload.target_peer) {
        Ok(target_peer) => target_peer,
        Err(error) => {
            return Err(ErrorReport {
                request_id: payload.message.and_then(|m| message::request_id(m.get())),
                ..error
            });
        }
    };
    match read_message(payload.message, limits) {
        Ok(message) => Ok(Command::Send {
            target_peer,
            message,
        }),
        Err(error) => Err(ErrorReport {
            target_peer: Some(target_peer),
            ..error
        }),
    }
}

fn read_peer(field: &str, value: Option<&RawValue>) -> Result<PeerId, ErrorReport> {
    let expected = format!(
        "a peer id, a string of 1 to {} bytes without control characters",
        limits::PEER_ID_BYTES
    );
    value
        .and_then(json::string)
        .and_then(|name| PeerId::new(&name))
        .ok_or_else(|| unusable(field, value, &expected))
}

fn read_message(value: Option<&RawValue>, limits: Limits) -> Result<Message, ErrorReport> {
    let Some(value) = value else {
        return Err(unusable("message", None, "an object with a string `type`"));
    };
    let json = value.get();
    let (size, limit) = (json.len(), limits.message_bytes);
    let error = if size > limit {
        ErrorReport {
            limit: Some(limit as u64),
            ..ErrorReport::new(
                ErrorCode::MessageTooLarge,
                format!("the message has {size} bytes, the limit is {limit}"),
            )
        }
    } else {
        match Message::from_agent(json) {
            Ok(message) => return Ok(message),
            Err(error) => ErrorReport::new(
                ErrorCode::BadMessage,
                format!(
                    "the message {}: expected an object with a string `type`",
                    error.as_str()
                ),
            ),
        }
    };
    Err(ErrorReport {
        request_id: message::request_id(json),
        ..error
    })
}

fn bad_command(message: String) -> ErrorReport {
    ErrorReport::new(ErrorCode::BadCommand, message)
}

fn unusable(field: &str, value: Option<&RawValue>, expected: &str) -> ErrorReport {
    let fault: Cow<'_, str> = match value {
        None => "is missing".into(),
        Some(value) => format!("is {}", described(value)).into(),
    };
    bad_command(format!("`{field}` {fault}: expected {expected}"))
}

/// A value of the wrong kind, for a person: its kind and, where that may say enough, how it begins.
fn described(value: &RawValue) -> String {
    format!("{} ({})", json::kind_of(value), json::shorten(value.get()))
}

#[cfg(test)]
mod tests;
