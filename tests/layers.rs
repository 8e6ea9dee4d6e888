//! Dependencies within the crate point one way (`ARCHITECTURE.md`).

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and what it may use beside itself.
const LAYERS: [(&str, &[&str]); 8] = [
    ("limits", &[]),
    ("backoff", &[]),
    ("secret", &[]),
    ("log_limit", &["limits"]),
    ("protocol", &["limits"]),
    ("nat", &["protocol", "limits", "backoff", "secret"]),
    ("mesh", &["nat", "protocol", "limits", "backoff"]),
    ("config", &["mesh", "nat", "limits", "secret"]),
];

/// The files of a module, those of its tests included.
fn files(path: PathBuf) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path];
    }
    let entries = fs::read_dir(&path).unwrap();
    entries
        .flat_map(|entry| files(entry.unwrap().path()))
        .collect()
}

/// The modules of the crate that a file names in its code, as in `crate::limits`.
fn named(text: &str) -> Vec<&str> {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let code = text.lines().filter(|line| !is_comment(line));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_'))
        .filter_map(|mut words| words.next())
        .collect()
}

#[test]
fn each_layer_uses_only_those_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (layer, below) in LAYERS {
        let single = source.join(layer).with_extension("rs");
        let module = if single.is_file() {
            single
        } else {
            source.join(layer)
        };
        for file in files(module) {
            let text = fs::read_to_string(&file).unwrap();
            for other in named(&text) {
                assert!(
                    other == layer || below.contains(&other),
                    "{} uses {other:?}, but {layer} may use only {below:?}",
                    file.display()
                );
            }
        }
    }
}
