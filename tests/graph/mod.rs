//! The graph of the crate's files, an arrow for each that names another, read from the source text.
//!
//! A file is known by its module, as in `mesh::peer::session`. It names another by a path that begins with
//! `crate`, `self` or `super`, or in a `use` by a module beside it. Comments, and what comes after the first
//! `#[cfg(test)]`, do not count, and neither do the files of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files and what each of them names.
pub(crate) struct Graph {
    arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Reads all files below `source`.
    pub(crate) fn read(source: &Path) -> Self {
        let texts: BTreeMap<_, _> = files(source)
            .into_iter()
            .filter_map(|file| Some((module(source, &file)?, code(&file))))
            .collect();
        let arrows = texts
            .iter()
            .map(|(file, text)| {
                let named = paths(text).into_iter();
                let named = named.filter_map(|path| resolve(&texts, file, &path));
                (file.clone(), named.filter(|other| other != file).collect())
            })
            .collect();
        Graph { arrows }
    }

    /// The arrows that begin in files of a top-level module.
    pub(crate) fn arrows_from(&self, top: &str) -> impl Iterator<Item = (String, String)> {
        let from = self.arrows.iter().filter(move |(file, _)| is_in(file, top));
        from.flat_map(|(file, used)| used.iter().map(|used| (file.clone(), used.clone())))
    }

    /// The number of files in a house, and of arrows between them.
    pub(crate) fn size(&self, house: &str) -> (usize, usize) {
        let files = self.arrows.keys().filter(|file| is_in(file, house));
        let arrows = self.arrows_from(house);
        let inside = arrows.filter(|(_, used)| is_in(used, house));
        (files.count(), inside.count())
    }

    /// The number of rooms of a house, folders and files beside them, and of arrows between them.
    pub(crate) fn rooms(&self, house: &str) -> (usize, usize) {
        let room = |file: &str| {
            let inside = file.strip_prefix(house)?.strip_prefix("::")?;
            Some(inside.split("::").next()?.to_owned())
        };
        let files = self.arrows.keys().filter(|file| is_in(file, house));
        let rooms: BTreeSet<_> = files.filter_map(|file| room(file)).collect();
        let arrows = self.arrows_from(house);
        let arrows = arrows.filter(|(_, used)| is_in(used, house));
        let arrows: BTreeSet<_> = arrows
            .map(|(file, used)| (room(&file), room(&used)))
            .filter(|(from, to)| from != to)
            .collect();
        (rooms.len(), arrows.len())
    }

    /// Sets of files in a house each of which reaches each other.
    pub(crate) fn circles(&self, house: &str) -> BTreeSet<BTreeSet<String>> {
        let files = self.arrows.keys().filter(|file| is_in(file, house));
        let reached: BTreeMap<_, _> = files.map(|file| (file, self.reached_from(file))).collect();
        let circle = |(file, reached_by_it): (&&String, &BTreeSet<String>)| {
            let back = |other: &&String| reached.get(other).is_some_and(|set| set.contains(*file));
            let circle: BTreeSet<_> = reached_by_it.iter().filter(back).cloned().collect();
            circle.contains(*file).then_some(circle)
        };
        reached.iter().filter_map(circle).collect()
    }

    /// All files to which arrows lead from one, one after the other.
    fn reached_from(&self, file: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(file) = open.pop() {
            for used in self.arrows.get(file).into_iter().flatten() {
                if reached.insert(used.clone()) {
                    open.push(used);
                }
            }
        }
        reached
    }
}

fn is_in(file: &str, top: &str) -> bool {
    let rest = file.strip_prefix(top);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect()
}

/// The module of a file; `None` for tests, and for the roots of the crate.
fn module(source: &Path, file: &Path) -> Option<String> {
    let path = file.strip_prefix(source).unwrap().with_extension("");
    let mut names: Vec<_> = path.iter().map(|name| name.to_str().unwrap()).collect();
    names.pop_if(|last| *last == "mod");
    let is_test = names.iter().any(|name| name.ends_with("tests"));
    let is_root = matches!(names[..], ["lib" | "main"]);
    (!is_test && !is_root).then(|| names.join("::"))
}

/// The text of a file without comments and tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a text names, those of a `use` with braces each by itself.
fn paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let is_statement = matches!(
            text[line..at].trim(),
            "" | "pub" | "pub(crate)" | "pub(super)"
        );
        if let Some(end) = text[at..].find(';').filter(|_| is_statement) {
            let tree = &text[at + "use ".len()..at + end];
            leaves("", &tree.replace(char::is_whitespace, ""), &mut found);
        }
    }
    for first in ["crate::", "self::", "super::"] {
        for (at, _) in text.match_indices(first) {
            let is_inner =
                text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let rest = &text[at..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            let (path, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let is_visibility = text[..at].ends_with("(in ");
            if !is_inner && !is_visibility && !behind.starts_with('{') {
                found.push(path.trim_end_matches(':').to_owned());
            }
        }
    }
    found
}

/// The paths of a `use` tree.
fn leaves(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        return found.push(format!("{prefix}{tree}"));
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let inside = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                leaves(&prefix, &inside[begin..at], found);
                begin = at + 1;
            }
            _ => {}
        }
    }
}

/// The file that a path in another one names: the longest part of the path that is a file.
fn resolve(files: &BTreeMap<String, String>, file: &str, path: &str) -> Option<String> {
    let mut names: Vec<_> = path.split("::").collect();
    let mut base: Vec<_> = file.split("::").collect();
    match *names.first()? {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            base.pop();
        }
        child if files.contains_key(&format!("{file}::{child}")) => names.insert(0, "self"),
        _ => return None,
    }
    names.remove(0);
    while names.first() == Some(&"super") {
        base.pop();
        names.remove(0);
    }
    base.extend(names);
    while !base.is_empty() && !files.contains_key(&base.join("::")) {
        base.pop();
    }
    let found = base.join("::");
    files.contains_key(&found).then_some(found)
}
