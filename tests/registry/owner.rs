//! Tests of what the registry's owner does: the data directory, keys, invitations, `pair`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::process::{Place, Process, complaint, printed};
use super::support::PATIENCE;

const RUN: &str = "exec \"$0\" \"$@\"";

fn start(data: &str) -> Process {
    Process::start(RUN, &["--registry-data", data])
}

/// Gives an order to the registry; returns the first line that it prints.
fn order(data: &str, words: &[&str]) -> String {
    let text = printed(&[&["registry", "--registry-data", data], words].concat());
    text.lines().next().unwrap().to_owned()
}

/// The header and the status of a token exchange.
fn token(registry: &Process, header: &str, value: &str) -> u16 {
    let url = format!("http://{}/api/token", registry.address);
    match ureq::post(&url).header(header, value).send_empty() {
        Ok(answer) => answer.status().as_u16(),
        Err(ureq::Error::StatusCode(status)) => status,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_key_is_added_while_the_registry_runs_and_outlives_it() {
    let place = Place::new("keys");
    let data = &place.file("data");
    let mut registry = start(data);
    let key = order(data, &["key", "add", "alice"]);
    assert!(key.len() == 35 && key.starts_with("ak_"), "{key}");
    assert_eq!(registry.token(&key), 200);
    assert_eq!(registry.end().0, Some(0));
    let file = place.path().join("data/registry.json");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(&key), "only the hash is kept: {kept}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut registry = start(data);
    assert_eq!(registry.token(&key), 200);
    let listed = printed(&["registry", "revoke", "--registry-data", data]);
    assert!(listed.contains("alice-sidecar"), "{listed}");
    order(data, &["revoke", "alice"]);
    assert_eq!(registry.token(&key), 401);
    let (_, log) = registry.end();
    assert!(!log.contains(&key), "{log}");
}

/// Ends without a goodbye, as when the machine loses its power.
#[test]
fn what_was_promised_survives_a_kill() {
    let place = Place::new("kill");
    let data = &place.file("data");
    let registry = start(data);
    let key = order(data, &["key", "add", "alice"]);
    drop(registry);
    let registry = start(data);
    assert_eq!(registry.token(&key), 200);
}

#[test]
fn a_task_and_an_agent_survive_the_end_of_the_registry() {
    let place = Place::new("tasks");
    let data = &place.file("data");
    let mut registry = start(data);
    let keys = ["alice", "bob"].map(|name| order(data, &["key", "add", name]));
    let post = |registry: &Process, path: &str, key: &str, body: serde_json::Value| {
        let url = format!("http://{}{path}", registry.address);
        let sent = ureq::post(&url).header("x-api-key", key);
        let mut answer = sent.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let agent = json!({"agent_id": "bob", "hostname": "h", "capabilities": {"skills": ["add"]}});
    post(&registry, "/api/registry/agents", &keys[1], agent);
    let task = json!({"target_agent_id": "bob", "payload": {"n": 1.50}});
    let id = post(&registry, "/api/hub/tasks", &keys[0], task)["task_id"].clone();
    assert_eq!(registry.end().0, Some(0));

    let registry = start(data);
    let url = format!("http://{}/api/registry/route?skill=add", registry.address);
    let mut found = ureq::get(&url)
        .header("x-api-key", &keys[0])
        .call()
        .unwrap();
    let found = found.body_mut().read_to_string().unwrap();
    assert!(found.contains(r#""agent_id":"bob""#), "{found}");
    let taken = post(&registry, "/api/hub/heartbeat", &keys[1], json!({}));
    assert_eq!(taken["pending_tasks"][0]["id"], id);
}

#[test]
fn a_damaged_file_is_refused_with_a_line_that_says_so() {
    let place = Place::new("damaged");
    let data = &place.file("data");
    let mut registry = start(data);
    order(data, &["key", "add", "alice"]);
    registry.end();
    let file = place.path().join("data/registry.json");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 10);
    std::fs::write(&file, &bytes).unwrap();
    let arguments = ["registry", "--port", "0", "--registry-data", data];
    let complaint = complaint(&arguments, 2);
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(
        complaint.contains("registry.json is damaged"),
        "{complaint}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "left as it is");
}

#[test]
fn a_second_registry_does_not_use_the_same_directory() {
    let place = Place::new("second");
    let data = &place.file("data");
    let _registry = start(data);
    let arguments = ["registry", "--port", "0", "--registry-data", data];
    assert!(complaint(&arguments, 2).contains("another registry uses it"));
    order(data, &["invite"]);
}

#[test]
fn an_order_without_a_registry_says_what_to_do() {
    let place = Place::new("nobody");
    let data = &place.file("data");
    let nobody = complaint(&["registry", "invite", "--registry-data", data], 1);
    assert!(nobody.contains("does it run"), "{nobody}");
    assert!(complaint(&["registry", "invite"], 2).contains("REGISTRY_DATA"));
    assert!(complaint(&["registry", "inwite"], 2).contains("approve [NAME]"));
    let _registry = start(data);
    let unknown = complaint(&["registry", "approve", "x", "--registry-data", data], 1);
    assert!(unknown.contains("there is no \"x\""), "{unknown}");
}

#[test]
fn a_machine_is_paired_and_a_sidecar_connects_with_its_token() {
    let place = Place::new("paired");
    let data = &place.file("data");
    let registry = start(data);
    let code = order(data, &["invite"]);
    let file = place.file("device-token");
    let url = format!("http://{}/api/token", registry.address);
    let arguments = ["--token-url", &url, "--device-token-file", &file];
    let mut pair = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .args(["pair", &code, "--agent-name", "laptop"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !order(data, &["approve"]).contains("laptop") {
        assert!(Instant::now() < deadline, "it never asks");
        std::thread::sleep(Duration::from_millis(20));
    }
    let approved = order(data, &["approve", "laptop"]);
    assert!(approved.starts_with("agent-"), "{approved}");
    assert_eq!(pair.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut pair.stdout.unwrap(), &mut said).unwrap();
    let token_text = std::fs::read_to_string(&file).unwrap();
    let own = token_text.trim_end();
    assert!(own.starts_with("dt_"));
    assert!(said.contains(&file) && !said.contains(own), "{said}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(token(&registry, "x-device-token", own), 200);
    let seen = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .env("DEVICE_TOKEN", own)
        .env("TOKEN_URL", &url)
        .env("SIGNALING_URL", format!("ws://{}/ws", registry.address))
        .env("IPC_SOCKET", place.file("agent.sock"))
        .arg("doctor")
        .output()
        .unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert!(seen.contains("key accepted, we are agent-"), "{seen}");

    let again = complaint(&[&["pair", &code][..], &arguments].concat(), 2);
    assert!(again.contains("is there already"), "{again}");
    order(data, &["revoke", "laptop"]);
    assert_eq!(token(&registry, "x-device-token", own), 401);
}

#[test]
fn a_code_that_is_unknown_leaves_no_file() {
    let place = Place::new("unknown");
    let registry = start(&place.file("data"));
    let url = format!("http://{}/api/token", registry.address);
    let file = place.file("device-token");
    let arguments = [
        "pair",
        "000000",
        "--token-url",
        &url,
        "--device-token-file",
        &file,
    ];
    let refused = complaint(&arguments, 1);
    assert!(refused.contains("this code is unknown"), "{refused}");
    let left = std::fs::read_dir(place.path()).unwrap().count();
    assert_eq!(left, 1, "the data directory alone");
    assert!(complaint(&["pair"], 2).contains("pair 123456"));
}
