//! The completion for bash: writes the script and tests what bash makes of it.

use std::fmt::Write as _;

use chatixia_sidecar::cli::Manual;
use chatixia_sidecar::config::settings::Setting;

use crate::documents::{ORIGIN, Values, subcommands, takes_socket};
use crate::tools;

pub(crate) fn write(manuals: &[Manual]) -> String {
    let mut script = format!(
        "# {ORIGIN}\n
_chatixia_sidecar() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} words='' files=''
    # The equals sign of --flag=value is a word of its own.
    if [[ $word == = ]]; then
        word=''
    elif [[ $before == = ]]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    case $before in\n"
    );
    push_values(&mut script, manuals);
    script += "        *)\n            case ${COMP_WORDS[1]} in\n";
    for manual in manuals[1..].iter().chain(&manuals[..1]) {
        let files = if takes_socket(manual) {
            " files=yes"
        } else {
            ""
        };
        let flags = flags(manual);
        let _ = match manual.subcommand {
            Some(name) => writeln!(script, "                {name}) words='{flags}'{files} ;;"),
            None => writeln!(script, "                *) words='{flags}' ;;"),
        };
    }
    let names: Vec<_> = subcommands(manuals).iter().map(|(name, _)| *name).collect();
    let names = names.join(" ");
    let _ = write!(
        script,
        "            esac
            if ((COMP_CWORD == 1)); then
                words=\"{names} $words\" files=''
            elif [[ ${{COMP_WORDS[1]}} == help ]]; then
                words='{names}'
            fi
            ;;
    esac
    COMPREPLY=()
    if [[ -n $words ]]; then
        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")
    fi
    if [[ -n $files && $word != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")
    fi
}}

complete -F _chatixia_sidecar chatixia-sidecar
"
    );
    script
}

/// Adds the values that may follow a flag. Flags of the same name have the same values.
fn push_values(script: &mut String, manuals: &[Manual]) {
    let mut settings: Vec<&Setting> = Vec::new();
    for setting in manuals.iter().flat_map(|manual| &manual.settings) {
        if !settings.contains(setting) {
            settings.push(setting);
        }
    }
    let (mut paths, mut others) = (Vec::new(), Vec::new());
    for setting in settings {
        let flag = format!("--{}", setting.flag());
        match Values::of(setting) {
            Values::None => {}
            Values::Path => paths.push(flag),
            Values::Any => others.push(flag),
            Values::Words(words) => {
                let _ = writeln!(script, "        {flag}) words='{}' ;;", words.join(" "));
            }
        }
    }
    let _ = writeln!(script, "        {}) files=yes ;;", paths.join(" | "));
    let _ = writeln!(script, "        {}) ;;", others.join(" | \\\n        "));
}

fn flags(manual: &Manual) -> String {
    let flags = manual
        .settings
        .iter()
        .map(|setting| format!("--{}", setting.flag()));
    let all: Vec<_> = flags
        .chain(["--help".to_owned(), "--version".to_owned()])
        .collect();
    all.join(" ")
}

/// Returns the words that bash offers for the last of these.
fn offered(words: &[&str]) -> Option<Vec<String>> {
    let script = write(&chatixia_sidecar::cli::manuals());
    let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "{script}\nCOMP_WORDS=({}) COMP_CWORD={}\n_chatixia_sidecar\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        words.join(" "),
        words.len() - 1
    );
    let output = tools::run("bash", &["--norc", "-u", "-s"], &ask)?;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let offered = String::from_utf8(output.stdout).unwrap();
    Some(
        offered
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
    )
}

#[test]
fn subcommands_flags_and_words_are_offered() {
    for (words, expected) in [
        (&["chatixia-sidecar", "re"][..], &["registry"][..]),
        (&["chatixia-sidecar", "--sig"], &["--signaling-url"]),
        (&["chatixia-sidecar", "--mesh", ""], &["full", "lazy"]),
        (&["chatixia-sidecar", "--mesh", "=", "l"], &["lazy"]),
        (&["chatixia-sidecar", "--ipv6", "="], &["on", "off"]),
        (&["chatixia-sidecar", "--max-peers", ""], &[]),
        (&["chatixia-sidecar", "registry", "--op"], &["--open"]),
        (&["chatixia-sidecar", "help", "at"], &["attach"]),
        (
            &["chatixia-sidecar", "attach", "/etc/pass"],
            &["/etc/passwd"],
        ),
        (
            &["chatixia-sidecar", "--ca-file", "/etc/pass"],
            &["/etc/passwd"],
        ),
    ] {
        if let Some(offered) = offered(words) {
            assert!(
                expected
                    .iter()
                    .all(|word| offered.iter().any(|found| found == word)),
                "{words:?}: {offered:?}"
            );
            assert!(
                !expected.is_empty() || offered.is_empty(),
                "{words:?}: {offered:?}"
            );
        }
    }
}
