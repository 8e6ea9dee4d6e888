//! Tests of `invite` and `join`: two machines that meet with a ticket.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use super::process::{Place, Process, complaint, printed};

/// Runs a subcommand of a user with this home directory.
fn at_home(place: &Place, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .env("HOME", place.path())
        .env("ENV_FILE", "none")
        .env("IPC_SOCKET", place.file("s"))
        .env("INTERFACES", "lo")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_machine_joins_with_a_ticket_and_is_let_in() {
    let place = Place::new("tickets");
    let data = &place.file("data");
    let registry = Process::start(
        "exec \"$0\" \"$@\"",
        &["--registry-data", data, "--path-prefix", "/mesh"],
    );
    let url = format!("http://{}/mesh", registry.address);
    let order = ["invite", "pi", "--registry", &url, "--registry-data", data];
    let ticket = printed(&order);
    assert_eq!(ticket.lines().count(), 1, "it can be pasted: {ticket}");

    let file = place.path().join(".config/chatixia-sidecar/config");
    let joined = at_home(&place, &["join", ticket.trim()], "");
    let said = String::from_utf8(joined.stdout).unwrap();
    assert!(joined.status.success(), "{said}");
    assert!(said.contains(&url) && said.contains("config"), "{said}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let doctor = at_home(&place, &["doctor"], "");
    let report = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        report.contains("key accepted, we are pi-sidecar"),
        "{report}"
    );

    // Another ticket takes its place, whatever else the user has put there.
    let key = fs::read_to_string(&file).unwrap();
    fs::write(&file, key.clone() + "MESH=lazy\n").unwrap();
    let second = printed(&["invite", "pi2", "--registry", &url, "--registry-data", data]);
    assert!(at_home(&place, &["join"], &second).status.success());
    let now = fs::read_to_string(&file).unwrap();
    assert!(now.contains("MESH='lazy'") && now != key, "{now}");
    let doctor = at_home(&place, &["doctor"], "");
    let report = String::from_utf8(doctor.stdout).unwrap();
    assert!(report.contains("we are pi2-sidecar"), "{report}");
}

#[test]
fn a_ticket_brings_the_secret_of_the_mesh() {
    let place = Place::new("ticket-secret");
    let data = &place.file("data");
    let registry = Process::start("exec \"$0\" \"$@\"", &["--registry-data", data]);
    let url = format!("http://{}", registry.address);
    let secret = place.file("secret");
    fs::write(&secret, "the secret of all who join\n").unwrap();
    let order = ["invite", "pi", "--registry", &url, "--registry-data", data];
    let ticket = printed(&[&order[..], &["--mesh-secret-file", &secret]].concat());
    assert_eq!(ticket.lines().count(), 1, "it can be pasted: {ticket}");
    let joined = at_home(&place, &["join"], &ticket);
    let said = String::from_utf8(joined.stdout).unwrap();
    assert!(said.contains("the secret of the mesh"), "{said}");
    assert!(!said.contains("of all who join"), "{said}");
    let file = place.path().join(".config/chatixia-sidecar/config");
    let text = fs::read_to_string(&file).unwrap();
    let line = "MESH_SECRET='the secret of all who join'\n";
    assert!(text.contains(line), "{text}");
    // A ticket without one takes none away.
    let ticket = printed(&["invite", "pi2", "--registry", &url, "--registry-data", data]);
    assert!(at_home(&place, &["join"], &ticket).status.success());
    assert!(fs::read_to_string(&file).unwrap().contains(line));

    // Another file need not be there yet.
    let other = place.file("other");
    let order = ["join", "--config-file", &other];
    assert!(at_home(&place, &order, &ticket).status.success());
    let key = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("API_KEY="))
            .map(str::to_owned)
    };
    let (usual, other) = (
        fs::read_to_string(&file).unwrap(),
        fs::read_to_string(&other).unwrap(),
    );
    assert!(
        key(&other).is_some() && key(&other) == key(&usual),
        "{other}"
    );
}

#[test]
fn what_is_missing_for_an_invitation_is_told() {
    let place = Place::new("invite");
    let told = complaint(&["invite", "pi"], 2);
    assert!(
        told.contains("give the agent's name and the registry's URL"),
        "{told}"
    );
    let told = complaint(&["invite", "pi", "--registry", "http://h"], 2);
    assert!(told.contains("REGISTRY_DATA"), "{told}");
    let bad = at_home(&place, &["join", "chatixia1-xyz"], "");
    assert_eq!(bad.status.code(), Some(2));
    let told = String::from_utf8(bad.stderr).unwrap();
    assert!(
        told.contains("join: this is no ticket") && !told.contains("xyz"),
        "{told}"
    );
}
