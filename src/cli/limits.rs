//! `chatixia-sidecar limits`: the limits that settings move, and those of the tables that the code reads.

use std::fmt::Write as _;

use crate::config::settings::{self, Setting};
use crate::limits;
use crate::limits::table::Shown as _;

/// The limits of one matter.
#[derive(Debug)]
pub struct Table {
    /// What they are about.
    pub matter: &'static str,
    /// The limits.
    pub rows: Vec<Row>,
}

/// One limit.
#[derive(Debug)]
pub struct Row {
    /// Its name in the code, which is that of the setting if there is one.
    pub name: &'static str,
    /// Whether a setting changes it.
    pub is_setting: bool,
    /// What is bounded.
    pub bounded: String,
    /// The value with its unit, of a setting the default.
    pub value: String,
    /// What happens at the limit.
    pub at_limit: String,
}

/// The settings that are limits, each with what happens at it.
const OF_SETTINGS: &[(&Setting, &str)] = &[
    (
        &settings::MAX_PEERS,
        "a further one is refused (`too_many_peers`), unless one gives its place up",
    ),
    (
        &settings::MAX_MESSAGE_BYTES,
        "a larger one is refused (`message_too_large`)",
    ),
    (&settings::QUEUE_BYTES, "what follows waits in the overflow"),
    (
        &settings::OVERFLOW_BYTES,
        "the agent's lines are not read until there is room; what is for peers that are stalled or away is \
         refused (`peer_stalled`)",
    ),
    (
        &settings::CONNECT_TIMEOUT,
        "the wish fails (`connect_failed`)",
    ),
    (
        &settings::RECOVERY_TIMEOUT,
        "they are given up (`connection_lost`)",
    ),
    (
        &settings::SEND_STALL_SECONDS,
        "what is meant for it is refused (`peer_stalled`)",
    ),
    (&settings::AGENT_LINGER, "the sidecar ends"),
    #[cfg(feature = "registry")]
    (
        &settings::RELAY_PORTS,
        "without a free one an allocation is answered with 508",
    ),
    #[cfg(feature = "registry")]
    (&settings::RELAY_RATE, "what is beyond it is dropped"),
];

/// Returns all limits.
pub fn tables() -> Vec<Table> {
    let of_settings = Table {
        matter: "settings",
        rows: OF_SETTINGS.iter().map(of_setting).collect(),
    };
    let fixed = limits::TABLES.iter();
    #[cfg(feature = "registry")]
    let fixed = fixed.chain(crate::registry::LIMITS);
    std::iter::once(of_settings)
        .chain(fixed.map(of_code))
        .collect()
}

fn of_setting((setting, at_limit): &(&'static Setting, &str)) -> Row {
    let default = setting.default;
    let value = match (setting.syntax, default.parse::<u64>()) {
        (_, Ok(bytes)) if setting.name.ends_with("_BYTES") => bytes.shown(true),
        ("SECONDS", Ok(_)) => format!("{default} s"),
        ("MBIT", Ok(_)) => format!("{default} Mbit/s"),
        _ => default.to_owned(),
    };
    Row {
        name: setting.name,
        is_setting: true,
        bounded: setting.help.to_owned(),
        value,
        at_limit: (*at_limit).to_owned(),
    }
}

fn of_code(table: &limits::table::Table) -> Table {
    let row = |limit: &limits::table::Limit| Row {
        name: limit.name,
        is_setting: false,
        bounded: limit.bounded(),
        value: (limit.value)(),
        at_limit: limit.at_limit(),
    };
    Table {
        matter: table.matter,
        rows: table.limits.iter().map(row).collect(),
    }
}

/// Returns the limits as they are printed.
pub(super) fn text() -> String {
    let mut text = String::new();
    for table in tables() {
        let _ = writeln!(text, "Limits of {}:", table.matter);
        for row in table.rows {
            let is_setting = if row.is_setting { "  (setting)" } else { "" };
            let _ = writeln!(
                text,
                "  {} = {}{is_setting}\n      {}\n      at the limit: {}",
                row.name, row.value, row.bounded, row.at_limit
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_settings_and_code() {
        let tables = tables();
        let find = |name| {
            let mut rows = tables.iter().flat_map(|table| &table.rows);
            let row = rows.find(|row| row.name == name).unwrap();
            (row.is_setting, row.value.as_str())
        };
        assert_eq!(find("QUEUE_BYTES"), (true, "1 MiB"));
        assert_eq!(find("CONNECT_TIMEOUT"), (true, "15 s"));
        assert_eq!(find("DESCRIPTION_BYTES"), (false, "32 KiB"));
        assert_eq!(find("CANDIDATES_PER_CONNECTION").1, "64");
    }

    #[test]
    fn no_name_is_listed_twice() {
        let mut names: Vec<_> = tables()
            .iter()
            .flat_map(|table| table.rows.iter().map(|row| row.name))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
