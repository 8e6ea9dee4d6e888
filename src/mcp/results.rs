//! What results say, made of what the sidecar and the doctor tell.

use crate::protocol::json::{Value, shorten, write_object};

use super::calls::Outcome;
use super::json::{json_string, push_member};
use super::marks::Marks;
use super::words;

/// A peer, as the sidecar's statistics tell of it.
#[derive(Default)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) state: String,
    since: Option<f64>,
    round_trip: Option<f64>,
    /// The kinds of both ends of the path.
    path: Option<String>,
}

impl Peer {
    pub(super) fn read(statistics: Value<'_>) -> Peer {
        let mut peer = Peer::default();
        statistics.members(|key, value| match key {
            "peer_id" => peer.name = value.string().unwrap_or_default().into_owned(),
            "state" => peer.state = value.string().unwrap_or_default().into_owned(),
            "since_seconds" => peer.since = value.as_json().parse().ok(),
            "round_trip_ms" => peer.round_trip = value.as_json().parse().ok(),
            "path" => peer.path = path(value),
            _ => {}
        });
        peer
    }

    pub(super) fn line(&self) -> String {
        let name = shorten(&self.name);
        let mut line = format!("- \"{name}\": connected");
        if let Some(since) = self.since {
            line.push_str(&format!(" for {since:.0} s"));
        }
        if let Some(path) = &self.path {
            line.push_str(&format!(", path {path}"));
        }
        if let Some(round_trip) = self.round_trip {
            line.push_str(&format!(", round trip {round_trip:.1} ms"));
        }
        line.push('\n');
        line
    }

    pub(super) fn structured(&self) -> String {
        let mut json = String::new();
        write_object(&mut json, |out| {
            out.string("peer", &self.name);
            match &self.path {
                Some(path) => out.string("path", path),
                None => out.raw("path", "null"),
            }
            match self.round_trip {
                Some(round_trip) => out.number("round_trip_ms", round_trip),
                None => out.raw("round_trip_ms", "null"),
            }
            if let Some(since) = self.since {
                out.number("connected_seconds", since);
            }
        });
        json
    }
}

/// Returns the kinds of a path's ends, as in `host to relay`.
fn path(value: Value<'_>) -> Option<String> {
    let (mut local, mut remote) = (None, None);
    let kind = |end: Value<'_>| {
        let mut kind = None;
        end.members(|key, value| {
            if key == "kind" {
                kind = value.string().map(String::from);
            }
        });
        kind
    };
    value.members(|key, value| match key {
        "local" => local = kind(value),
        "remote" => remote = kind(value),
        _ => {}
    });
    Some(format!("{} to {}", local?, remote?))
}

/// Returns what `send` and `reply` tell of a message that was accepted.
pub(super) fn receipt(peer: &str, payload: Value<'_>) -> Outcome {
    let mut is_agents = false;
    payload.members(|key, value| {
        if key == "receipt" {
            is_agents = value.string().as_deref() == Some("agent");
        }
    });
    let shown = shorten(peer);
    let (outcome, text) = if is_agents {
        (
            "arrived",
            format!("Arrived: the agent of \"{shown}\" has it."),
        )
    } else {
        let text = format!(
            "Handed over: the machine of \"{shown}\" has it. Its software does not tell whether its agent has."
        );
        ("handed_over", text)
    };
    let mut members = String::new();
    push_member(&mut members, "peer", &json_string(peer));
    push_member(&mut members, "outcome", &json_string(outcome));
    Outcome::Done(text, members)
}

/// Returns what `broadcast` tells.
pub(super) fn receipts(payload: Value<'_>) -> Outcome {
    let (mut delivered, mut failed) = ("[]", "[]");
    payload.members(|key, value| match key {
        "delivered" => delivered = value.as_json(),
        "failed" => failed = value.as_json(),
        _ => {}
    });
    let mut names = Vec::new();
    if let Ok(list) = Value::parse(delivered) {
        list.elements(|name| {
            names.extend(name.string().map(|name| format!("\"{}\"", shorten(&name))))
        });
    }
    let text = if names.is_empty() {
        "It has reached nobody.".to_owned()
    } else {
        format!("It has reached {}.", names.join(", "))
    };
    let text = match failed {
        "[]" => text,
        failed => format!("{text} It has failed for: {failed}"),
    };
    let mut members = String::new();
    push_member(&mut members, "delivered", delivered);
    push_member(&mut members, "failed", failed);
    Outcome::Done(text, members)
}

/// Returns what a refused command means for a model.
pub(super) fn failure(code: &str, message: &str, marks: &mut Marks) -> String {
    let advice = match code {
        "unknown_peer" => "Not sent. list_peers tells who is there.",
        "connect_failed" => "Not sent. Try later; status tells what may be wrong with the network.",
        "connection_lost" => {
            "It may have arrived: ask the peer, or send it again if that does no harm."
        }
        "peer_stalled" => "Not sent. The peer takes nothing at the moment; try later.",
        "message_too_large" => "Not sent. Send less at once.",
        "too_many_peers" | "untrusted_peer" | "shutting_down" => "Not sent.",
        _ => "It did not work.",
    };
    if code != "untrusted_peer" {
        return format!("{advice} ({code}: {message})");
    }
    // Why a peer is not trusted is told with what that peer claims.
    let mut text = format!("{advice} ({code}, for this reason, which may quote the peer)\n");
    words::push_quoted(&mut text, marks, message);
    text
}

/// Returns the findings that are worth a look in words, and all of them as they are kept in the structured result.
pub(super) fn describe_findings(findings: &str) -> (String, String) {
    let mut text = String::new();
    let mut kept = Vec::new();
    let mut good = 0;
    if let Ok(findings) = Value::parse(findings) {
        findings.elements(|finding| {
            let mut verdict = String::new();
            let mut parts = [String::new(), String::new(), String::new(), String::new()];
            finding.members(|key, value| {
                let place = match key {
                    "check" => 0,
                    "subject" => 1,
                    "message" => 2,
                    "advice" => 3,
                    "verdict" => {
                        verdict = value.string().unwrap_or_default().into_owned();
                        return;
                    }
                    _ => return,
                };
                if let (Some(part), Some(said)) = (parts.get_mut(place), value.string()) {
                    *part = said.into_owned();
                }
            });
            if verdict == "ok" {
                good += 1;
                return;
            }
            let [check, subject, message, advice] = parts;
            let said: Vec<_> = [&subject, &message, &advice]
                .into_iter()
                .filter(|part| !part.is_empty())
                .map(String::as_str)
                .collect();
            let said = said.join("; ");
            text.push_str(&format!("- {verdict}: {check}: {said}\n"));
            let mut json = String::new();
            write_object(&mut json, |out| {
                out.string("verdict", &verdict);
                out.string("check", &check);
                out.string("message", &said);
            });
            kept.push(json);
        });
    }
    if good > 0 {
        text.push_str(&format!("{good} checks found nothing wrong.\n"));
    }
    (text, format!("[{}]", kept.join(",")))
}
