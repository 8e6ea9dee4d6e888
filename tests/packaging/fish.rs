//! The completion for fish: writes the script and tests what fish makes of it.

use std::fmt::Write as _;

use chatixia_sidecar::cli::Manual;
use chatixia_sidecar::config::settings::Setting;

use crate::documents::{ORIGIN, Values, subcommands, takes_socket};
use crate::tools;

pub(crate) fn write(manuals: &[Manual]) -> String {
    let all = subcommands(manuals);
    let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    let names = names.join(" ");
    let mut script = format!("# {ORIGIN}\n\ncomplete -c chatixia-sidecar -f\n");
    for (name, about) in all {
        let _ = writeln!(
            script,
            "complete -c chatixia-sidecar -n __fish_use_subcommand -a {name} -d {}",
            quoted(about)
        );
    }
    let _ = writeln!(
        script,
        "complete -c chatixia-sidecar -n '__fish_seen_subcommand_from help' -a '{names}'"
    );
    for manual in manuals {
        let condition = match manual.subcommand {
            None => format!("not __fish_seen_subcommand_from {names}"),
            Some(name) => format!("__fish_seen_subcommand_from {name}"),
        };
        for setting in &manual.settings {
            let _ = writeln!(
                script,
                "complete -c chatixia-sidecar -n '{condition}' -l {}{} -d {}",
                setting.flag(),
                value(setting),
                quoted(setting.help)
            );
        }
        if takes_socket(manual) {
            let _ = writeln!(script, "complete -c chatixia-sidecar -n '{condition}' -F");
        }
    }
    script += "complete -c chatixia-sidecar -s h -l help -d 'what it takes'\n";
    script + "complete -c chatixia-sidecar -s V -l version -d 'its version'\n"
}

/// The options of `complete` that say what a flag's value can be.
fn value(setting: &Setting) -> String {
    match Values::of(setting) {
        Values::None => String::new(),
        Values::Path => " -r -F".to_owned(),
        Values::Any => " -x".to_owned(),
        Values::Words(words) => format!(" -x -a '{}'", words.join(" ")),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Returns the words that fish offers for the last one of this command.
fn offered(command: &str) -> Option<Vec<String>> {
    let script = write(&chatixia_sidecar::cli::manuals());
    let ask = format!("{script}\ncomplete -C{}\n", quoted(command));
    let output = tools::run("fish", &["--no-config"], &ask)?;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let offered = String::from_utf8(output.stdout).unwrap();
    let word = |line: &str| line.split('\t').next().map(str::to_owned);
    Some(offered.lines().filter_map(word).collect())
}

#[test]
fn subcommands_flags_and_words_are_offered() {
    for (command, expected) in [
        ("chatixia-sidecar re", "registry"),
        ("chatixia-sidecar --signal", "--signaling-url"),
        ("chatixia-sidecar --mesh ", "lazy"),
        ("chatixia-sidecar registry --op", "--open"),
        ("chatixia-sidecar help at", "attach"),
    ] {
        if let Some(offered) = offered(command) {
            assert!(
                offered.iter().any(|word| word == expected),
                "{command}: {offered:?}"
            );
        }
    }
}
