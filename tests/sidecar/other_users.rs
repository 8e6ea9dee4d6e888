//! Tests of processes of other users at the agent's socket. Only root can start these; without root they are skipped.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;
use serde_json::json;

use crate::support::{Agent, Site};

/// Users and groups that need not exist: the system knows them by number only.
const STRANGER: u32 = 54_321;
const GROUP: u32 = 54_322;

/// What a process of another user finds at a socket: the first line there, `closed`, or `denied` by the file's mode.
fn found_by(user: u32, groups: &[u32], socket: &Path) -> String {
    const SCRIPT: &str = "
import os, socket, sys
os.setgroups([int(group) for group in sys.argv[3:]])
os.setgid(54323)
os.setuid(int(sys.argv[2]))
agent = socket.socket(socket.AF_UNIX)
agent.settimeout(20)
try:
    agent.connect(sys.argv[1])
    print(agent.makefile().readline().strip() or 'closed')
except PermissionError:
    print('denied')
except ConnectionResetError:
    print('closed')
";
    let mut command = Command::new("python3");
    command
        .args(["-c", SCRIPT])
        .arg(socket)
        .arg(user.to_string());
    command.args(groups.iter().map(u32::to_string));
    let output = command.uid(0).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether this test can start processes of other users; says so if not.
fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can start processes of other users");
    }
    is_root
}

#[test]
fn a_process_of_another_user_is_refused_whatever_became_of_the_file() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let alice = site.setup("alice").start();
    alice.await_socket();
    assert_eq!(found_by(STRANGER, &[], &alice.socket), "denied");
    // As on a file system without modes.
    let everybodys = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&alice.socket, everybodys).unwrap();
    assert_eq!(found_by(STRANGER, &[GROUP], &alice.socket), "closed");
    alice.await_log(&format!("a process of user {STRANGER} was refused"));
    assert!(found_by(0, &[], &alice.socket).contains("ready"));
    let mut agent = Agent::greeted(&alice.socket);
    assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
}

#[test]
fn with_socket_group_members_share_the_socket_and_others_do_not() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let alice = site.setup("alice").set("SOCKET_GROUP", GROUP.to_string());
    let alice = alice.start();
    alice.await_socket();
    let file = std::fs::metadata(&alice.socket).unwrap();
    assert_eq!((file.mode() & 0o777, file.gid()), (0o660, GROUP));
    assert_eq!(found_by(STRANGER, &[], &alice.socket), "denied");
    assert!(found_by(STRANGER, &[GROUP], &alice.socket).contains("ready"));

    // What is made anew is the group's, too.
    let _agent = alice.agent();
    std::fs::remove_file(&alice.socket).unwrap();
    alice.await_log("it was made anew");
    let file = std::fs::metadata(&alice.socket).unwrap();
    assert_eq!((file.mode() & 0o777, file.gid()), (0o660, GROUP));
}

#[test]
fn with_socket_mode_everybody_may_use_the_socket() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let alice = site.setup("alice").set("SOCKET_MODE", "666").start();
    alice.await_socket();
    assert!(found_by(STRANGER, &[], &alice.socket).contains("ready"));
}

#[test]
fn a_group_that_does_not_exist_is_an_error_that_names_it() {
    let site = Site::new();
    let setup = site.setup("alice").set("SOCKET_GROUP", "no-such-group");
    let mut alice = setup.unset("RUST_LOG").start();
    assert_eq!(alice.exit_code(), 4);
    let log = alice.log();
    assert!(
        log.contains("no-such-group") && log.contains("SOCKET_GROUP"),
        "{log}"
    );
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(site.place.names().is_empty(), "{:?}", site.place.names());
}
