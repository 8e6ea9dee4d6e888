//! Tests with agents in Python as there are in the field (`tests/agents`), at our sidecars and our registry.

#![cfg(feature = "registry")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::ErrorKind;
use std::process::Command;

#[path = "sidecar/support/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "registry/support.rs"]
#[allow(dead_code)]
mod registry;

use chatixia_sidecar::registry::load_keys;
use place::Place;
use registry::{RunningRegistry, open_options};

const STEPS: [&str; 10] = [
    "list",
    "send",
    "broadcast",
    "defaults",
    "100 requests at once",
    "60 KB",
    "stop",
    "socket removed",
    "list after stop",
    "stop of the other",
];

/// Plays a script in `tests/agents` with this environment; gives the names of its steps.
fn play(script: &str, environment: &[(&str, String)]) -> Vec<String> {
    let place = Place::new();
    let played = Command::new("python3")
        .arg(format!(
            "{}/tests/agents/{script}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .arg(place.join(""))
        .env("SIDECAR_BINARY", env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("INTERFACES", "lo")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    let output = match played {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("python3 is not installed, and plays the agent in this test")
        }
        played => played.unwrap(),
    };
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let steps = stdout.lines().filter_map(|line| line.strip_prefix("ok: "));
    steps.map(str::to_owned).collect()
}

#[test]
fn agents_of_the_field_find_each_other_and_work_together() {
    let registry = RunningRegistry::open();
    let address = registry.address;
    let environment = [
        ("SIGNALING_URL", format!("ws://{address}/ws")),
        ("TOKEN_URL", format!("http://{address}/api/token")),
    ];
    assert_eq!(play("field_agent.py", &environment), STEPS);
}

/// With a file of keys in the form of the field's guide.
#[test]
fn the_fields_runner_starts_its_agents_against_our_registry() {
    let place = Place::new();
    let file = place.join("api_keys.json");
    let keys = r#"{
        "ak_work_pc": { "peer_id": "work-pc", "role": "agent" },
        "ak_rpi_home": { "peer_id": "rpi-home", "role": "agent" }
    }"#;
    std::fs::write(&file, keys).unwrap();
    let mut options = open_options();
    options.keys = load_keys(file.as_ref()).unwrap();
    let registry = RunningRegistry::start(options);
    let url = format!("http://{}", registry.address);
    let steps = play("field_runner.py", &[("REGISTRY_URL", url)]);
    assert_eq!(steps.last().map(String::as_str), Some("stop of the other"));
}
