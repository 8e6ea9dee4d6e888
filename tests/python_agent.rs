//! Tests with an agent in Python as there are in the field, `tests/agents/field_agent.py`, at our
//! sidecars.

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

use place::Place;
use registry::RunningRegistry;

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

#[test]
fn agents_of_the_field_find_each_other_and_work_together() {
    let place = Place::new();
    let registry = RunningRegistry::open();
    let address = registry.address;
    let played = Command::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/agents/field_agent.py"
        ))
        .arg(place.join(""))
        .env("SIDECAR_BINARY", env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env("SIGNALING_URL", format!("ws://{address}/ws"))
        .env("TOKEN_URL", format!("http://{address}/api/token"))
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
    let steps: Vec<_> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("ok: "))
        .collect();
    assert_eq!(steps, STEPS);
}
