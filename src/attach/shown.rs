//! Short descriptions of events for a person.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::deceptive::is_deceptive;

/// Returns one event as a line without its end (several lines for `stats`), with the time of day in UTC.
///
/// Characters are escaped with which what others wrote could look like something else.
pub(super) fn readable(line: &[u8], now: SystemTime) -> String {
    let text = match serde_json::from_slice::<Value>(line) {
        Ok(event) => brief(&event),
        Err(_) => String::from_utf8_lossy(line).into_owned(),
    };
    let mut shown = time_of_day(now);
    shown.push(' ');
    for character in text.chars() {
        if is_deceptive(character) && character != '\n' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn brief(event: &Value) -> String {
    let kind = text_at(event, "/type");
    let payload = event.get("payload").unwrap_or(&Value::Null);
    let at = |pointer| text_at(payload, pointer);
    match kind.as_str() {
        "ready" => format!(
            "ready: {} (sidecar {}, registry {})",
            or(at("/peer_id"), "not named yet"),
            at("/version"),
            at("/registry")
        ),
        "message" => said(&at("/from_peer"), payload.get("message")),
        "peer_connected" if payload.get("resumed") == Some(&Value::Bool(true)) => {
            format!("{kind} {} (resumed)", at("/peer_id"))
        }
        "peer_connected" | "peer_disconnected" => format!("{kind} {}", at("/peer_id")),
        "peer_list" => format!("peers: {}", names(payload.get("peers"))),
        "ok" => done(payload),
        "error" => format!("error {}: {}", at("/code"), at("/message")),
        "registry" => match (at("/state"), at("/peer_id"), at("/reason")) {
            (state, _, reason) if !reason.is_empty() => format!("registry {state}: {reason}"),
            (state, peer_id, _) if !peer_id.is_empty() => format!("registry {state} as {peer_id}"),
            (state, ..) => format!("registry {state}"),
        },
        "pressure" => format!(
            "pressure {}: {}, {} bytes queued",
            at("/target_peer"),
            at("/state"),
            at("/queued_bytes")
        ),
        "stats" => format!("stats {payload:#}"),
        _ => event.to_string(),
    }
}

/// Describes a message: its text where it has one, else its type and payload.
fn said(from: &str, message: Option<&Value>) -> String {
    let message = message.unwrap_or(&Value::Null);
    let payload = message.get("payload").unwrap_or(&Value::Null);
    let text = payload.as_str().or_else(|| payload.get("text")?.as_str());
    match text {
        // The text stays on one line, whatever it holds.
        Some(text) => format!("{from}: {}", text.replace('\n', "\\n")),
        None => format!("{from}: {} {payload}", text_at(message, "/type")),
    }
}

fn done(payload: &Value) -> String {
    let at = |pointer| text_at(payload, pointer);
    if let Some(receipt) = payload.get("receipt").and_then(Value::as_str) {
        format!("ok: {} has it ({receipt})", at("/target_peer"))
    } else if let Some(delivered) = payload.get("delivered") {
        let failed = payload.get("failed").and_then(Value::as_array);
        let mut text = format!("ok: delivered to {}", names(Some(delivered)));
        for failure in failed.into_iter().flatten() {
            let peer = text_at(failure, "/peer_id");
            text += &format!("; not to {peer} ({})", text_at(failure, "/code"));
        }
        text
    } else if payload.get("target_peer_id").is_some() {
        format!("ok: connected to {}", at("/target_peer_id"))
    } else {
        format!("ok: {payload}")
    }
}

fn names(list: Option<&Value>) -> String {
    let names: Vec<&str> = list
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    or(names.join(", "), "none")
}

/// Returns the value as a person would write it: strings without quotes, nothing for null.
fn text_at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}

fn time_of_day(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() % (24 * 60 * 60);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}
