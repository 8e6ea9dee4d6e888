//! An exchange with the store: the changes that a registry has made, for what it does not know yet. Without I/O.
//!
//! The store has a version, which grows by one with each exchange that brings changes. It takes changes only
//! from a registry that knows the present version, so all that a registry has decided it has decided on the
//! present state. Who is behind gets what it has missed, and decides again.
//!
//! The answer may be lost. So the store remembers for each registry its session, and the version that its last changes
//! have led to; the next session asks for that, and from then on nothing of an earlier one is taken any more.

use serde::{Deserialize, Serialize};

use super::limits::{LEASE, SESSION_KEPT, STORE_LOG_CHANGES};
use super::resp::{Value, write_command};

/// What a registry does with the store, in one step that nothing comes between. It decides nothing about what is
/// stored.
const SCRIPT: &str = include_str!("exchange.lua");

/// A row that has changed: its table, its key, and its text; `None` when it was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::registry) struct Change(
    pub(in crate::registry) String,
    pub(in crate::registry) String,
    pub(in crate::registry) Option<String>,
);

impl Change {
    /// Returns how long its texts are.
    pub(super) fn bytes(&self) -> usize {
        let Change(table, key, text) = self;
        table.len() + key.len() + text.as_ref().map_or(0, String::len)
    }
}

/// The version of the state, and the life of the store that it belongs to: one that was emptied begins another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Version {
    pub(in crate::registry) life: String,
    pub(in crate::registry) number: u64,
}

/// The names of the tables, with what is in them: key and text of each row.
pub(in crate::registry) type Rows = Vec<(&'static str, Vec<(String, String)>)>;

/// See the module's description.
#[derive(Debug)]
pub(in crate::registry) struct Exchange {
    /// The connection to the store that it is meant for, see [`News::Back`](super::News::Back).
    pub(in crate::registry) session: u64,
    /// The version that the changes were made on.
    pub(in crate::registry) known: Version,
    pub(in crate::registry) changes: Vec<Change>,
    /// Other registries, of which it is asked whether they are there.
    pub(in crate::registry) others: Vec<String>,
}

/// What has come of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum Outcome {
    /// The changes count; this is the number of the version now.
    Taken(u64),
    /// They do not: these came before, the first of them with the version after the one that was known.
    Behind(Vec<Vec<Change>>),
    /// They do not, and so many came before that everything has to be read.
    FarBehind,
}

/// The names of all that is in the store.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The name of the registry.
    pub(super) own: String,
    /// The number of the database: channels belong to none.
    pub(super) database: u32,
}

/// Before all names. The number changes with the form of what is stored.
const PREFIX: &str = "chatixia:1:";

impl Names {
    /// Returns the key of a table, or of what else is stored.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    /// Returns the key that is there as long as a registry is.
    pub(super) fn lease(&self, registry: &str) -> String {
        format!("{PREFIX}registry:{registry}")
    }

    /// Returns the key of the session of this registry: its `number`, and in `taken` the number of the version that the
    /// last changes of it have led to.
    fn session(&self) -> String {
        format!("{PREFIX}session:{}", self.own)
    }

    /// Appends the commands that begin a session; the first asks for what was taken of the last one. Returns how many
    /// they are.
    pub(super) fn write_beginning(&self, into: &mut Vec<u8>, session: u64) -> usize {
        let (key, kept) = (self.session(), SESSION_KEPT.as_millis().to_string());
        let commands: [&[&str]; 3] = [
            &["HGET", &key, "taken"],
            &["HSET", &key, "number", &session.to_string()],
            &["PEXPIRE", &key, &kept],
        ];
        for command in commands {
            write_command(into, command);
        }
        commands.len()
    }

    /// Returns the channel of changes.
    pub(super) fn changes(&self) -> String {
        format!("{PREFIX}{}:changes", self.database)
    }

    /// Returns the channel of frames for peers at a registry.
    pub(super) fn frames(&self, registry: &str) -> String {
        format!("{PREFIX}{}:frames:{registry}", self.database)
    }

    /// Appends the command for an exchange.
    pub(super) fn write_exchange(&self, into: &mut Vec<u8>, exchange: &Exchange) {
        // They are texts alone, so they can be written.
        let changes = serde_json::to_string(&exchange.changes).unwrap_or_default();
        let mut parts = vec![
            "EVAL".to_owned(),
            SCRIPT.to_owned(),
            "5".to_owned(),
            self.key("version"),
            self.key("log"),
            self.key("life"),
            self.lease(&self.own),
            self.session(),
            exchange.known.number.to_string(),
            exchange.known.life.clone(),
            changes,
            LEASE.as_millis().to_string(),
            STORE_LOG_CHANGES.to_string(),
            PREFIX.to_owned(),
            self.changes(),
            exchange.session.to_string(),
            SESSION_KEPT.as_millis().to_string(),
        ];
        parts.extend(exchange.others.iter().cloned());
        write_command(into, &parts);
    }
}

/// Reads the answer to an exchange: what has come of it, and which of the others are gone.
pub(super) fn outcome(answer: Value) -> Option<(Outcome, Vec<String>)> {
    let Value::List(parts) = answer else {
        return None;
    };
    let [
        Value::Integer(kind),
        Value::Integer(version),
        Value::List(missed),
        Value::List(gone),
    ] = parts.as_slice()
    else {
        return None;
    };
    let gone: Option<Vec<String>> = gone.iter().map(text).collect();
    let outcome = match kind {
        1 => Outcome::Taken(u64::try_from(*version).ok()?),
        0 => {
            let missed = missed.iter().map(|entry| changes(&text(entry)?));
            Outcome::Behind(missed.collect::<Option<_>>()?)
        }
        _ => Outcome::FarBehind,
    };
    Some((outcome, gone?))
}

/// Reads what was published about changes: the number of the version, and the changes that led to it.
pub(super) fn published(text: &str) -> Option<(u64, Vec<Change>)> {
    let (version, rest) = text.split_once(' ')?;
    Some((version.parse().ok()?, changes(rest)?))
}

fn changes(text: &str) -> Option<Vec<Change>> {
    serde_json::from_str(text).ok()
}

/// Returns a text of the store, if it is one.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    fn answer(kind: i64, missed: Vec<Value>) -> Value {
        let gone = Value::List(vec![bulk("r9")]);
        Value::List(vec![
            Value::Integer(kind),
            Value::Integer(7),
            Value::List(missed),
            gone,
        ])
    }

    #[test]
    fn answers_are_told_apart() {
        let gone = vec!["r9".to_owned()];
        let taken = outcome(answer(1, Vec::new()));
        assert_eq!(taken, Some((Outcome::Taken(7), gone.clone())));
        let change = Change("tasks".to_owned(), "t".to_owned(), None);
        let behind = outcome(answer(0, vec![bulk(r#"[["tasks","t",null]]"#)]));
        let expected = Outcome::Behind(vec![vec![change.clone()]]);
        assert_eq!(behind, Some((expected, gone.clone())));
        let far = outcome(answer(-1, Vec::new()));
        assert_eq!(far, Some((Outcome::FarBehind, gone)));
        for odd in [
            Value::Nothing,
            Value::Integer(1),
            answer(0, vec![bulk("{")]),
            Value::List(Vec::new()),
        ] {
            assert_eq!(outcome(odd), None);
        }
        let told = published(r#"8 [["tasks","t",null]]"#);
        assert_eq!(told, Some((8, vec![change])));
        assert_eq!(published("8"), None);
    }
}
