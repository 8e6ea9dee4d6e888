//! Parsing of an agent's line into a command.

use super::{Command, CommandId, ErrorCode, ErrorReport, Limits, Rejection, Request};
use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::json::{Reader, SyntaxError, Value, shorten};
use crate::protocol::message::{Draft, Message};

/// Parses one line of an agent. The rejection of a line that can't be read bears the id that was read
/// before the fault.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Request, Box<Rejection>> {
    let mut line = Line::default();
    let fault = read_line(bytes, &mut line).err();
    let id = line.id.map(command_id).transpose();
    if let Some(error) = fault {
        let id = id.unwrap_or_default();
        return Err(Box::new(Rejection { id, error }));
    }
    let id = id.map_err(|error| Box::new(Rejection { id: None, error }))?;
    match command(&line, limits) {
        Ok(command) => Ok(Request { id, command }),
        Err(error) => Err(Box::new(Rejection { id, error })),
    }
}

/// Returns the rejection of a line that is longer than the limit and begins so. It bears the id if that is
/// in the beginning.
pub fn line_too_long(beginning: &[u8], limits: Limits) -> Box<Rejection> {
    let mut line = Line::default();
    // That the beginning ends too early is no news.
    let _ = read_line(beginning, &mut line);
    let limit = limits.line_bytes;
    let message = format!("the line is longer than {limit} bytes and was skipped");
    let error = ErrorReport {
        limit: Some(limit as u64),
        ..ErrorReport::new(ErrorCode::LineTooLong, message)
    };
    let id = line.id.and_then(|id| command_id(id).ok());
    Box::new(Rejection { id, error })
}

/// The members of a line that have a meaning. If one comes twice, the last counts.
#[derive(Default)]
struct Line<'a> {
    kind: Option<Value<'a>>,
    /// The id; null counts as absent.
    id: Option<Value<'a>>,
    payload: Payload<'a>,
}

/// The members of a payload that some command uses.
#[derive(Default)]
struct Payload<'a> {
    target_peer: Option<Value<'a>>,
    target_peer_id: Option<Value<'a>>,
    message: Option<Draft<'a>>,
    /// The value given as payload, if it is neither an object, nor null, nor absent.
    unusable: Option<Value<'a>>,
}

/// Reads the members into `line`. After an error it holds those before the fault.
fn read_line<'a>(bytes: &'a [u8], line: &mut Line<'a>) -> Result<(), ErrorReport> {
    let bad_json = |message| ErrorReport::new(ErrorCode::BadJson, message);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let _ = read_members(std::str::from_utf8(valid).unwrap_or_default(), line);
            let at = error.valid_up_to() + 1;
            return Err(bad_json(format!("the line is not UTF-8 from byte {at} on")));
        }
    };
    let not_json = |error| bad_json(format!("the line {error}"));
    if !Reader::new(text).is_at_object() {
        let value = Value::parse(text).map_err(not_json)?;
        return Err(bad_command(format!(
            "the line is {}: expected an object with `type` and `payload`",
            described(value)
        )));
    }
    read_members(text, line).map_err(not_json)
}

fn read_members<'a>(text: &'a str, line: &mut Line<'a>) -> Result<(), SyntaxError> {
    let mut reader = Reader::new(text);
    reader.object(|key, reader| {
        match key {
            "type" => line.kind = Some(reader.value()?),
            "id" => {
                let id = reader.value()?.unless_null();
                if reader.is_behind_member() {
                    line.id = id;
                }
            }
            "payload" => line.payload = read_payload(reader)?,
            _ => {
                reader.value()?;
            }
        }
        Ok(())
    })?;
    reader.end()
}

fn read_payload<'a>(reader: &mut Reader<'a>) -> Result<Payload<'a>, SyntaxError> {
    let mut payload = Payload::default();
    if !reader.is_at_object() {
        payload.unusable = reader.value()?.unless_null();
        return Ok(payload);
    }
    reader.object(|key, reader| {
        match key {
            "target_peer" => payload.target_peer = Some(reader.value()?),
            "target_peer_id" => payload.target_peer_id = Some(reader.value()?),
            "message" => payload.message = Some(Draft::read(reader)?),
            _ => {
                reader.value()?;
            }
        }
        Ok(())
    })?;
    Ok(payload)
}

fn command_id(value: Value<'_>) -> Result<CommandId, ErrorReport> {
    let (text, limit) = (value.as_json(), limits::COMMAND_ID_BYTES);
    let fault = if !value.is_string() && !value.is_integer() {
        described(value)
    } else if text.len() > limit {
        format!("{} bytes long", text.len())
    } else {
        return Ok(CommandId(text.into()));
    };
    Err(bad_command(format!(
        "`id` is {fault}: expected a string or an integer of at most {limit} bytes"
    )))
}

fn command(line: &Line<'_>, limits: Limits) -> Result<Command, ErrorReport> {
    const COMMANDS: &str = "`send`, `broadcast`, `list_peers`, `connect` or `stats`";

    let kind = match line.kind {
        Some(kind) if kind.is_string() => kind.string().unwrap_or(kind.as_json().into()),
        other => return Err(unusable("type", other, COMMANDS)),
    };
    let payload = || match line.payload.unusable {
        None => Ok(&line.payload),
        unfit => Err(unusable("payload", unfit, "an object")),
    };
    match kind.as_ref() {
        "send" => send(payload()?, limits),
        "broadcast" => Ok(Command::Broadcast {
            message: message(payload()?.message, limits)?,
        }),
        "list_peers" => payload().map(|_| Command::ListPeers),
        "connect" => Ok(Command::Connect {
            target_peer_id: peer("target_peer_id", payload()?.target_peer_id)?,
        }),
        "stats" => payload().map(|_| Command::Stats),
        unknown => Err(ErrorReport::new(
            ErrorCode::UnknownCommand,
            format!("unknown type `{}`: expected {COMMANDS}", shorten(unknown)),
        )),
    }
}

fn send(payload: &Payload<'_>, limits: Limits) -> Result<Command, ErrorReport> {
    let target_peer = match peer("target_peer", payload.target_peer) {
        Ok(target_peer) => target_peer,
        Err(error) => {
            return Err(ErrorReport {
                request_id: payload.message.and_then(|draft| draft.request_id()),
                ..error
            });
        }
    };
    match message(payload.message, limits) {
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

fn peer(field: &str, value: Option<Value<'_>>) -> Result<PeerId, ErrorReport> {
    let name = value.and_then(Value::string);
    name.and_then(|name| PeerId::new(&name)).ok_or_else(|| {
        let limit = limits::PEER_ID_BYTES;
        let expected =
            format!("a peer id, a string of 1 to {limit} bytes without control characters");
        unusable(field, value, &expected)
    })
}

fn message(draft: Option<Draft<'_>>, limits: Limits) -> Result<Message, ErrorReport> {
    const EXPECTED: &str = "an object with a string `type`";

    let draft = draft.ok_or_else(|| unusable("message", None, EXPECTED))?;
    let (size, limit) = (draft.size(), limits.message_bytes);
    let error = if size > limit {
        let message = format!("the message has {size} bytes, the limit is {limit}");
        ErrorReport {
            limit: Some(limit as u64),
            ..ErrorReport::new(ErrorCode::MessageTooLarge, message)
        }
    } else {
        match draft.into_message() {
            Ok(message) => return Ok(message),
            Err(error) => {
                let message = format!("the message {error}: expected {EXPECTED}");
                ErrorReport::new(ErrorCode::BadMessage, message)
            }
        }
    };
    Err(ErrorReport {
        request_id: draft.request_id(),
        ..error
    })
}

fn bad_command(message: String) -> ErrorReport {
    ErrorReport::new(ErrorCode::BadCommand, message)
}

fn unusable(field: &str, value: Option<Value<'_>>, expected: &str) -> ErrorReport {
    let fault = match value {
        None => "missing".into(),
        Some(value) => described(value),
    };
    bad_command(format!("`{field}` is {fault}: expected {expected}"))
}

/// Describes a value of the wrong kind for a person: its kind and how it begins.
fn described(value: Value<'_>) -> String {
    format!("{} ({})", value.kind(), shorten(value.as_json()))
}

#[cfg(test)]
mod tests;
