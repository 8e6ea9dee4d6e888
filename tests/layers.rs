//! Dependencies within the crate point one way (`ARCHITECTURE.md`): between its layers, and within `mesh`,
//! `nat`, `runtime` and `registry` between folders and between files.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod graph;

use std::path::Path;

use graph::Graph;

/// Each layer and what it may use beside itself.
const LAYERS: [(&str, &[&str]); 10] = [
    ("limits", &[]),
    ("backoff", &[]),
    ("secret", &[]),
    ("log_limit", &["limits"]),
    ("protocol", &["limits", "secret"]),
    ("nat", &["protocol", "limits", "backoff", "secret"]),
    ("mesh", &["nat", "protocol", "limits", "backoff", "secret"]),
    ("mcp", &["protocol", "limits", "backoff"]),
    ("config", &["mcp", "mesh", "nat", "limits", "secret"]),
    (
        "registry",
        &[
            "calendar",
            "config",
            "http1",
            "http_date",
            "limits",
            "nat",
            "protocol",
            "secret",
            "udp_socket",
        ],
    ),
];

/// The folders and files of a house from the ground up; what stands together has nothing to do with each
/// other. What is not named is on top. A folder uses only what is below it.
type Floors = &'static [&'static [&'static str]];

const HOUSES: [(&str, Floors); 4] = [
    (
        "mesh",
        &[
            &["base", "link", "introduction", "trust"],
            &["agent"],
            &["connection"],
            &["peer"],
        ],
    ),
    (
        "nat",
        &[
            &[
                "candidate",
                "external",
                "failure",
                "interface_kind",
                "local_names",
                "reachable",
                "url",
            ],
            &["credentials", "host", "output"],
            &["server"],
            &["stun"],
            &["turn"],
            &["reach"],
        ],
    ),
    (
        "runtime",
        &[
            &["small_file"],
            &["interfaces", "logging", "peer_files", "process", "wake"],
            &["names"],
            &["ipc", "signaling"],
            &["metrics", "network"],
            &["event_loop"],
        ],
    ),
    (
        "registry",
        &[
            &["error", "limits", "secrets", "unix_time"],
            &["http", "rates", "response", "socket", "tls"],
            &["crowd", "progress", "store"],
            &["handles", "reports", "websocket"],
            &["data", "directory", "relay"],
            &["api", "frames"],
            &["connection"],
            &["actions"],
            &["shared"],
            &["options"],
            &["server"],
            &["learning", "shares"],
            &["acting", "answering"],
            &["sharing"],
        ],
    ),
];

/// The folder or file of a house to which a module belongs; the house's own file is none.
fn child_of<'a>(house: &str, module: &'a str) -> Option<&'a str> {
    let inside = module.strip_prefix(house)?.strip_prefix("::")?;
    inside.split("::").next()
}

/// Returns the height of a folder or file of a house; its own file is on top.
fn floor(floors: Floors, child: Option<&str>) -> usize {
    let is_there = |floor: &&[&str]| child.is_some_and(|child| floor.contains(&child));
    floors.iter().position(is_there).unwrap_or(floors.len())
}

fn source() -> Graph {
    Graph::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn each_layer_uses_only_those_below_it() {
    let graph = source();
    for (layer, below) in LAYERS {
        for (file, used) in graph.arrows_from(layer) {
            let other = used.split("::").next().unwrap();
            assert!(
                other == layer || below.contains(&other),
                "{file} uses {used}, but {layer} may use only {below:?}",
            );
        }
    }
}

#[test]
fn each_folder_of_a_house_uses_only_those_below_it() {
    let graph = source();
    for (house, floors) in HOUSES {
        for (file, used) in graph.arrows_from(house) {
            if !used.starts_with(house) {
                continue;
            }
            let (own, other) = (child_of(house, &file), child_of(house, &used));
            let own_floor = floor(floors, own);
            let is_below = floor(floors, other) < own_floor;
            assert!(
                own == other || is_below || own_floor == floors.len(),
                "{file} uses {used}, which is not below it in {house}",
            );
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let graph = source();
    for (house, _) in HOUSES {
        let circles = graph.circles(house);
        let (files, arrows) = graph.size(house);
        let (rooms, ways) = graph.rooms(house);
        println!(
            "{house}: {files} files with {arrows} arrows between them, {rooms} rooms with {ways}, {} circles",
            circles.len()
        );
        assert!(circles.is_empty(), "circles in {house}: {circles:#?}");
    }
}
