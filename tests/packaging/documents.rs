//! The documents made from the table of settings, from which `--help` is printed too. They are kept under
//! version control so that packagers need not run the program.

use std::path::Path;

use chatixia_sidecar::cli::{Manual, manuals};
use chatixia_sidecar::config::settings::Setting;

use crate::{bash, fish, manual_page, reference, zsh};

type Writer = fn(&[Manual]) -> String;

/// Each by its place in `packaging/`.
const DOCUMENTS: [(&str, Writer); 4] = [
    ("chatixia-sidecar.1", manual_page::write),
    ("completions/chatixia-sidecar.bash", bash::write),
    ("completions/_chatixia-sidecar", zsh::write),
    ("completions/chatixia-sidecar.fish", fish::write),
];

/// Writes those that are not up to date if `UPDATE` is set (`make packaging`), and fails otherwise.
#[test]
fn the_documents_say_what_the_help_says() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let manuals = manuals();
    for (name, write) in DOCUMENTS {
        let path = packaging.join(name);
        let wanted = write(&manuals);
        if std::fs::read_to_string(&path).is_ok_and(|found| found == wanted) {
            continue;
        }
        assert!(
            std::env::var_os("UPDATE").is_some(),
            "packaging/{name} is not what the settings and --help say: run `make packaging`"
        );
        std::fs::write(&path, wanted).unwrap();
    }
}

/// Does the same for the tables of `docs/reference.md`.
#[test]
fn the_reference_says_what_the_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let found = std::fs::read_to_string(&path).unwrap();
    let manuals = manuals();
    for manual in &manuals {
        let name = manual.subcommand.unwrap_or("sidecar");
        let mark = format!("make packaging`: {name} -->");
        assert!(
            found.contains(&mark),
            "docs/reference.md has no table for {name}"
        );
    }
    let wanted = reference::write(&manuals, &found);
    if found != wanted {
        assert!(
            std::env::var_os("UPDATE").is_some(),
            "docs/reference.md is not what the settings say: run `make packaging`"
        );
        std::fs::write(&path, wanted).unwrap();
    }
}

/// The possible values of a setting, as far as a shell can help with them.
pub(crate) enum Values {
    /// There is none: it is a switch.
    None,
    /// One of these words.
    Words(Vec<&'static str>),
    /// A path.
    Path,
    /// Anything.
    Any,
}

impl Values {
    pub(crate) fn of(setting: &Setting) -> Self {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        let is_word = |word: &&str| word.bytes().all(is_letter);
        match setting.syntax {
            "" => Values::None,
            "PATH" | "FILE" | "DIRECTORY" => Values::Path,
            syntax if syntax.split('|').all(|word| is_word(&word)) => {
                Values::Words(syntax.split('|').collect())
            }
            _ => Values::Any,
        }
    }
}

/// Returns the one-line description of a subcommand, from the usage of the program as a whole.
pub(crate) fn about(manuals: &[Manual], subcommand: &str) -> &'static str {
    let mut rows = manuals[0].topic.usage.iter();
    let row = rows.find(|row| row.split(' ').next() == Some(subcommand));
    let (_, about) = row.unwrap().split_once("  ").unwrap();
    about.trim_start()
}

/// Returns the subcommands, `help` included, each with its description.
pub(crate) fn subcommands(manuals: &[Manual]) -> Vec<(&'static str, &'static str)> {
    let named = manuals.iter().filter_map(|manual| manual.subcommand);
    let all = named.chain(["help"]);
    all.map(|name| (name, about(manuals, name))).collect()
}

/// Whether it takes the path of a socket without a flag.
pub(crate) fn takes_socket(manual: &Manual) -> bool {
    manual
        .topic
        .usage
        .iter()
        .any(|usage| usage.ends_with("[SOCKET]"))
}

/// The text of each document's first line, behind the comment sign.
pub(crate) const ORIGIN: &str =
    "Made from the program's table of settings by `make packaging`; do not edit.";
