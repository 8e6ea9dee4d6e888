//! The manual page: writes it in the language of man(7) and tests it.

use std::fmt::Write as _;

use chatixia_sidecar::cli::Manual;
use chatixia_sidecar::config::settings::{Kind, Setting};

use crate::documents::{ORIGIN, subcommands};
use crate::tools;

pub(crate) fn write(manuals: &[Manual]) -> String {
    let sidecar = &manuals[0];
    let mut page = format!(
        ".\\\" {ORIGIN}\n.TH CHATIXIA\\-SIDECAR 1 \"\" \"chatixia\\-sidecar {}\" \"User Commands\"\n",
        env!("CARGO_PKG_VERSION")
    );
    page += ".SH NAME\nchatixia\\-sidecar \\- direct, encrypted messages between agents\n";
    page += ".SH SYNOPSIS\n";
    for (number, row) in sidecar.topic.usage.iter().enumerate() {
        let arguments = row.split("  ").next().unwrap_or(row);
        if number > 0 {
            page += ".br\n";
        }
        let _ = writeln!(page, "\\fBchatixia\\-sidecar\\fR {}", escaped(arguments));
    }
    let _ = writeln!(page, ".SH DESCRIPTION\n{}", escaped(sidecar.topic.purpose));
    page += ".PP\nWithout a subcommand it is the sidecar. The subcommands are:\n";
    for (name, about) in subcommands(manuals) {
        let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}.", escaped(name), escaped(about));
    }
    page += ".SH SETTINGS\nA flag wins over the environment variable of the same name.\n";
    sidecar
        .settings
        .iter()
        .for_each(|setting| push_setting(&mut page, setting));
    let _ = writeln!(page, ".PP\n{}", escaped(sidecar.topic.tail.trim_end()));
    for manual in &manuals[1..] {
        push_subcommand(&mut page, manual, sidecar);
    }
    page += ".SH EXIT STATUS\n";
    for (code, meaning) in sidecar.topic.exit_codes {
        let _ = writeln!(page, ".TP\n\\fB{code}\\fR\n{}.", escaped(meaning));
    }
    page += ".SH EXAMPLES\nA registry, a sidecar, and a person in its agent's place:\n.PP\n.RS 4\n.nf\n";
    for line in [
        "chatixia-sidecar registry --open &",
        "API_KEY=alice IPC_SOCKET=/tmp/alice.sock chatixia-sidecar &",
        "chatixia-sidecar attach /tmp/alice.sock",
    ] {
        let _ = writeln!(page, "{}", escaped(line));
    }
    page + ".fi\n.RE\n"
}

fn push_subcommand(page: &mut String, manual: &Manual, sidecar: &Manual) {
    let name = manual.subcommand.unwrap();
    let _ = writeln!(page, ".SH {}", name.to_ascii_uppercase());
    for usage in manual.topic.usage {
        let _ = writeln!(page, "\\fBchatixia\\-sidecar\\fR {}\n.br", escaped(usage));
    }
    let _ = writeln!(page, ".PP\n{}", escaped(manual.topic.purpose));
    let is_shared = |setting: &&Setting| manual.settings.contains(setting);
    let takes_all = sidecar.settings.iter().all(is_shared);
    if takes_all {
        page.push_str("It takes the settings of the sidecar, above, and:\n");
    }
    let is_own = |setting: &&&Setting| !takes_all || !sidecar.settings.contains(setting);
    for setting in manual.settings.iter().filter(is_own) {
        push_setting(page, setting);
    }
    if !manual.topic.tail.is_empty() {
        let _ = writeln!(page, ".PP\n{}", escaped(manual.topic.tail.trim_end()));
    }
    for (code, meaning) in manual.topic.exit_codes {
        let _ = writeln!(page, ".TP\nExit code \\fB{code}\\fR\n{}.", escaped(meaning));
    }
}

fn push_setting(page: &mut String, setting: &Setting) {
    let flag = escaped(&format!("--{}", setting.flag()));
    let _ = write!(page, ".TP\n\\fB{flag}\\fR");
    if !setting.syntax.is_empty() {
        let _ = write!(page, " \\fI{}\\fR", escaped(setting.syntax));
    }
    match setting.kind {
        Kind::Plain | Kind::Secret | Kind::Proxy => {
            let _ = write!(page, ", \\fB{}\\fR", escaped(setting.name));
        }
        Kind::FlagOnly => {}
    }
    let _ = write!(page, "\n{}", escaped(setting.help));
    if !setting.default.is_empty() {
        let _ = write!(page, "\n(default: {})", escaped(setting.default));
    }
    page.push('\n');
}

/// Text as it is: no macros at the beginning of lines, no escapes, and dashes that can be copied.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line
            .replace('\\', "\\e")
            .replace('-', "\\-")
            .replace('`', "\\(ga");
        match line.chars().next() {
            Some('.' | '\'') => format!("\\&{line}"),
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn page() -> String {
    write(&chatixia_sidecar::cli::manuals())
}

#[test]
fn the_readers_of_manual_pages_find_nothing_wrong() {
    // A date would be another thing to keep up to date.
    tools::assert_accepted(
        "mandoc",
        &["-Tlint", "-Wwarning"],
        &page().replacen("\"\"", "2000-01-01", 1),
    );
    if let Some(output) = tools::run("groff", &["-man", "-ww", "-Tutf8", "-P-cbu"], &page()) {
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("EXIT STATUS"), "{shown}");
    }
}

#[test]
fn text_is_shown_as_it_is() {
    assert_eq!(escaped(".a\\b\n'c --d"), "\\&.a\\eb\n\\&'c \\-\\-d");
}
