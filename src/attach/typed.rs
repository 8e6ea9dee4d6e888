//! The lines that a person types: turns them into an agent's commands.

use serde_json::{Value, json};

use super::ledger::Ledger;

/// The help: what can be typed.
pub(super) const HELP: &str = "\
@PEER TEXT      send a message to a peer; @* TEXT to all that are connected
/peers          list the connected peers
/connect PEER   open a connection to a peer
/stats          show the sidecar's numbers
{...}           send a command as it is, in JSON
/help, /quit    show this; leave (as does the end of input, once all is answered)";

/// The meaning of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A command to be sent.
    Command {
        /// The JSON text of the id that the answer will carry; without one, no answer need come.
        id: Option<String>,
        /// The line without its end.
        line: String,
    },
    /// `/help`
    Help,
    /// `/quit`
    Quit,
    /// It means nothing; the text says what would be right.
    Mistake(String),
}

/// Reads a line; `ledger` gives new ids and our own name.
pub(super) fn read(line: &[u8], ledger: &Ledger) -> Typed {
    let Ok(text) = std::str::from_utf8(line) else {
        return Typed::Mistake("what was typed is not UTF-8".to_owned());
    };
    let text = text.trim();
    if text.starts_with('{') {
        return Typed::Command {
            id: id_of(text),
            line: text.to_owned(),
        };
    }
    let (word, rest) = match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    };
    if let Some(peer) = word.strip_prefix('@') {
        return match (peer, rest) {
            ("", _) => Typed::Mistake("to whom? @PEER TEXT".to_owned()),
            (_, "") => Typed::Mistake(format!("what to say? @{peer} TEXT")),
            ("*", text) => command(
                ledger,
                "broadcast",
                |id| json!({"message": message(ledger, id, "", text)}),
            ),
            (peer, text) => command(
                ledger,
                "send",
                |id| json!({"target_peer": peer, "message": message(ledger, id, peer, text)}),
            ),
        };
    }
    match (word, rest) {
        ("/peers", "") => command(ledger, "list_peers", |_| json!({})),
        ("/stats", "") => command(ledger, "stats", |_| json!({})),
        ("/connect", peer) if !peer.is_empty() => {
            command(ledger, "connect", |_| json!({"target_peer_id": peer}))
        }
        ("/help", "") => Typed::Help,
        ("/quit", "") => Typed::Quit,
        _ => Typed::Mistake(format!("{word:?} is nothing known; /help tells what is")),
    }
}

fn command(ledger: &Ledger, kind: &str, payload: impl FnOnce(&str) -> Value) -> Typed {
    let id = ledger.new_id();
    let payload = payload(id.trim_matches('"'));
    Typed::Command {
        line: format!(r#"{{"type":"{kind}","id":{id},"payload":{payload}}}"#),
        id: Some(id),
    }
}

/// Makes a mesh message with all the fields that an agent in the field may rely on.
fn message(ledger: &Ledger, request_id: &str, target_agent: &str, text: &str) -> Value {
    json!({
        "type": "agent_prompt",
        "request_id": request_id,
        "source_agent": ledger.peer_id(),
        "target_agent": target_agent,
        "payload": {"text": text},
    })
}

/// Returns the id of a command in JSON, if it has one that is answered.
fn id_of(line: &str) -> Option<String> {
    let command: Value = serde_json::from_str(line).ok()?;
    let id = command.get("id")?;
    (id.is_string() || id.is_i64() || id.is_u64()).then(|| id.to_string())
}
