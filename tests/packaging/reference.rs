//! The tables of settings and limits in `docs/reference.md`, which stand in a text that is written by hand.

use std::fmt::Write as _;

use chatixia_sidecar::cli::{Manual, limits};
use chatixia_sidecar::config::settings::{Kind, Setting};

/// The lines around a table. The first names a subcommand; `sidecar` means the program without one.
const BEGINNING: &str = "<!-- made by `make packaging`: ";
const END: &str = "<!-- end -->";

/// Returns the document with its tables as the manuals would have them.
pub(crate) fn write(manuals: &[Manual], document: &str) -> String {
    let mut parts = document.split(BEGINNING);
    let mut written = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").unwrap();
        let (_, rest) = rest.split_once(END).unwrap();
        let manual = manuals
            .iter()
            .find(|manual| manual.subcommand.unwrap_or("sidecar") == name);
        let table = match name {
            "limits" => all_limits(),
            _ => table(manual.unwrap(), &manuals[0]),
        };
        let _ = write!(written, "{BEGINNING}{name} -->\n{table}{END}{rest}");
    }
    written
}

/// The settings of a subcommand; of those that it shares with the sidecar the names only.
fn table(manual: &Manual, sidecar: &Manual) -> String {
    let is_sidecar = manual.subcommand.is_none();
    let is_shared = |setting: &&&Setting| !is_sidecar && sidecar.settings.contains(setting);
    let own: Vec<_> = manual.settings.iter().filter(|s| !is_shared(s)).collect();
    let mut table = String::new();
    if !own.is_empty() {
        table += "| Variable | Flag | Default | |\n|---|---|---|---|\n";
    }
    for setting in own {
        let variable = match setting.kind {
            Kind::Plain | Kind::Secret | Kind::Proxy => format!("`{}`", setting.name),
            Kind::FlagOnly => String::new(),
        };
        let flag = format!("--{} {}", setting.flag(), setting.syntax);
        let default = match setting.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let _ = writeln!(
            table,
            "| {variable} | `{}` | {default} | {} |",
            flag.trim_end().replace('|', "\\|"),
            setting.help.replace('|', "\\|")
        );
    }
    let shared = manual.settings.iter().filter(is_shared);
    let shared: Vec<_> = shared.map(|s| format!("`{}`", s.name)).collect();
    if manual.settings.len() > sidecar.settings.len() {
        table += "\nIt also takes all settings of the sidecar.\n";
    } else if !shared.is_empty() {
        let _ = writeln!(
            table,
            "\nOf the sidecar's settings it takes {}.",
            shared.join(", ")
        );
    }
    table
}

/// What the subcommand `limits` prints, a table for each matter.
fn all_limits() -> String {
    let mut text = String::new();
    for table in limits::tables() {
        let _ = writeln!(text, "\nLimits of {}:\n", table.matter);
        text += "| | Bounded | Value | At the limit |\n|---|---|---|---|\n";
        for row in table.rows {
            let cells = [row.bounded, row.value, row.at_limit].map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(text, "| `{}` | {} |", row.name, cells.join(" | "));
        }
    }
    text + "\n"
}
