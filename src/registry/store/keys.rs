//! The keys that get tokens: which are accepted, and whose they are.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tasks::agent_name;
use crate::protocol::PeerId;
use crate::registry::error::Error;

/// The role of a key for which none is given.
pub(in crate::registry) const DEFAULT_ROLE: &str = "agent";

/// The accepted keys and their owners.
#[derive(Clone)]
pub enum Keys {
    /// Any key that is a usable peer id; its text is the peer id.
    Open,
    /// The keys of a file (see [`load_keys`]).
    Listed(HashMap<String, Identity>),
}

/// The owner of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name by which others know the owner.
    pub peer_id: PeerId,
    /// The role that the peer is told with its token; it means nothing to the registry.
    pub role: String,
}

impl Keys {
    /// Returns the peer whose agent has this name, if it is one of a listed key.
    pub(in crate::registry) fn peer_of(&self, agent: &str) -> Option<&PeerId> {
        let Keys::Listed(keys) = self else {
            return None;
        };
        let mut peers = keys.values().map(|identity| &identity.peer_id);
        peers.find(|peer| agent_name(peer.as_str()) == agent)
    }

    /// Returns the owner of `key`; `None` when the key is to be refused.
    pub(in crate::registry) fn identity(&self, key: &str) -> Option<Identity> {
        match self {
            Keys::Open => PeerId::new(key).map(|peer_id| Identity {
                peer_id,
                role: DEFAULT_ROLE.to_owned(),
            }),
            Keys::Listed(keys) => keys.get(key).cloned(),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keys::Open => f.write_str("Open"),
            Keys::Listed(keys) => write!(f, "Listed({} keys)", keys.len()),
        }
    }
}

/// Reads a keys file: `{"keys": {key: {"peer_id": string, "role": string}}}`, or the flat form
/// `{key: {"peer_id": ..., "role": ...}}`. The role is `agent` if none is given; other fields are ignored.
///
/// Fails when the file cannot be read, has another form, holds no key or an empty one, a peer id that
/// cannot be used, or two peer ids that name the same agent, as `x` and `x-sidecar` do: each would read
/// the other's tasks. (Several keys with the same peer id belong to one peer.) The error text names no
/// key.
pub fn load_keys(path: &Path) -> Result<Keys, Error> {
    let failure = |reason: String| Error::Keys {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    parse(&text).map_err(failure)
}

/// The form in which the keys are one field of several.
#[derive(Deserialize)]
struct File {
    keys: HashMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    peer_id: String,
    #[serde(default = "default_role")]
    role: String,
}

fn default_role() -> String {
    DEFAULT_ROLE.to_owned()
}

fn entries(text: &str) -> serde_json::Result<HashMap<String, Entry>> {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(text)?;
    let keys = fields.get("keys");
    // A key may be "keys", and then it has a peer id.
    let is_flat = keys.is_none_or(|keys| serde_json::from_str::<Entry>(keys.get()).is_ok());
    let is_object = |value: &&RawValue| value.get().starts_with('{');
    if is_flat && fields.values().all(is_object) {
        serde_json::from_str(text)
    } else {
        serde_json::from_str::<File>(text).map(|file| file.keys)
    }
}

fn parse(text: &str) -> Result<Keys, String> {
    // The parser's own text may quote what it did not expect, which may be a key.
    let entries = entries(text).map_err(|error| {
        format!(
            "line {}, column {}: expected {{\"keys\": {{KEY: {{\"peer_id\": ..., \"role\": ...}}}}}}, \
             or the same without \"keys\"",
            error.line(),
            error.column()
        )
    })?;
    if entries.is_empty() {
        return Err("it holds no key, so nobody could connect".to_owned());
    }
    let mut keys = HashMap::new();
    let mut peers_of_agents: HashMap<String, PeerId> = HashMap::new();
    for (key, Entry { peer_id, role }) in entries {
        let Some(peer_id) = PeerId::new(&peer_id) else {
            return Err(format!(
                "{peer_id:?} is no usable peer id: it is empty, too long or has control characters"
            ));
        };
        if key.is_empty() {
            return Err(format!("the key of {peer_id} is empty"));
        }
        let agent = agent_name(peer_id.as_str());
        match peers_of_agents.get(agent) {
            Some(other) if *other != peer_id => {
                return Err(format!(
                    "{other} and {peer_id} are the same agent, {agent:?}: name one of them otherwise"
                ));
            }
            Some(_) => {}
            None => {
                peers_of_agents.insert(agent.to_owned(), peer_id.clone());
            }
        }
        keys.insert(key, Identity { peer_id, role });
    }
    Ok(Keys::Listed(keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_listed_key_has_its_peer_and_role() {
        let keys = parse(
            r#"{"keys": {"k1": {"peer_id": "a", "role": "admin", "more": 1},
                "k2": {"peer_id": "b"}}, "version": 1}"#,
        )
        .unwrap();
        let identity = |key| keys.identity(key).map(|i| (i.peer_id.to_string(), i.role));
        assert_eq!(identity("k1"), Some(("a".to_owned(), "admin".to_owned())));
        assert_eq!(identity("k2"), Some(("b".to_owned(), "agent".to_owned())));
        assert_eq!(identity("k3"), None);
        assert_eq!(identity(""), None);
    }

    #[test]
    fn the_flat_form_is_read_too() {
        let keys = parse(r#"{"k1": {"peer_id": "a", "role": "agent"}, "keys": {"peer_id": "b"}}"#);
        let keys = keys.unwrap();
        let peer = |key| keys.identity(key).map(|i| i.peer_id.to_string());
        assert_eq!(peer("k1"), Some("a".to_owned()));
        assert_eq!(peer("keys"), Some("b".to_owned()));
        assert_eq!(keys.peer_of("b").map(PeerId::as_str), Some("b"));
    }

    #[test]
    fn an_open_registry_takes_any_key_that_can_be_a_peer_id() {
        let peer = |key| Keys::Open.identity(key).map(|i| i.peer_id.to_string());
        assert_eq!(peer("agent-7"), Some("agent-7".to_owned()));
        assert_eq!(peer(""), None);
        assert_eq!(peer("line\u{85}end"), None);
    }

    #[test]
    fn a_file_of_another_form_is_refused_without_quoting_it() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"hush": 1}"#,
            r#"{"keys": {}}"#,
            r#"{"keys": ["hush"]}"#,
            r#"{"keys": {"hush": "hush"}}"#,
            r#"{"keys": {"hush": {"role": "x"}}}"#,
            r#"{"keys": {"hush": {"peer_id": ""}}}"#,
            r#"{"keys": {"": {"peer_id": "a"}}}"#,
        ] {
            let error = parse(text).expect_err(text);
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn two_peers_of_the_same_agent_are_refused() {
        let file = |one: &str, other: &str| {
            let text = json!({"keys": {"hush1": {"peer_id": one}, "hush2": {"peer_id": other}}});
            parse(&text.to_string())
        };
        for other in ["x-sidecar", "x-sidecar-sidecar"] {
            let error = file("x", other).unwrap_err();
            assert!(error.contains(r#"the same agent, "x""#), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        assert!(file("x", "x").is_ok());
        assert!(file("x-sidecar", "y-sidecar").is_ok());
    }

    #[test]
    fn keys_are_never_shown() {
        let keys = parse(r#"{"keys": {"hush": {"peer_id": "a"}}}"#).unwrap();
        assert_eq!(format!("{keys:?}"), "Listed(1 keys)");
    }
}
