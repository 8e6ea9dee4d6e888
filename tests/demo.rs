//! Tests of the whole `chatixia-sidecar demo`, on real sockets and processes.

#![cfg(feature = "registry")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A place for the demo's files in which nothing may be left.
struct Place(PathBuf);

impl Place {
    fn of(test: &str) -> Self {
        // Short, since the paths of sockets are.
        let path = std::env::temp_dir().join(format!("{test}{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", &self.0)
            // What is set for other purposes is not for the demo's processes.
            .env("API_KEY", "nobody")
            .env("IPC_SOCKET", "/no/such/socket")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether the processes that the demo said it started are all gone.
fn all_gone(stdout: &str) -> bool {
    let mut ids = stdout
        .lines()
        .filter(|line| line.contains(" started "))
        .map(|line| line.split(' ').next_back().unwrap().parse().unwrap());
    ids.all(|id| test_kill_process(Pid::from_raw(id).unwrap()).is_err())
}

fn shows(stdout: &str, parts: &[&str]) -> bool {
    let mut lines = stdout.lines();
    lines.any(|line| parts.iter().all(|part| line.contains(part)))
}

#[test]
fn it_shows_lines_at_every_boundary_measures_and_leaves_nothing_behind() {
    let place = Place::of("demo");
    let output = place
        .start(&["--messages", "50"])
        .wait_with_output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for parts in [
        ["alice -> alice's agent", "\"type\":\"ready\""],
        ["bob -> bob's agent", "\"type\":\"peer_connected\""],
        ["alice -> registry", "\"type\":\"register\""],
        ["registry -> bob", "\"type\":\"peer_list\""],
        ["-> registry", "\"type\":\"offer\""],
        ["registry ->", "\"type\":\"answer\""],
        ["alice's agent -> alice", "\"type\":\"task_request\""],
        ["bob -> bob's agent", "\"type\":\"task_request\""],
        ["bob's agent -> bob", "\"type\":\"task_response\""],
        ["alice -> alice's agent", "\"receipt\":\"agent\""],
        ["alice -> alice's agent", "\"delivered\":[\"bob\"]"],
        ["alice -> alice's agent", "\"request_id\":\"ping-2\""],
        [" ms  50 round trips", ""],
        [" ms  p50 ", "p99 "],
    ] {
        assert!(shows(&stdout, &parts), "{parts:?} is not in:\n{stdout}");
    }
    assert!(!stdout.contains("ufrag"), "descriptions are not shown");
    assert!(!stdout.contains("ping-3\""), "{stdout}");
    assert!(all_gone(&stdout), "{stdout}");
    assert!(place.is_empty());
}

#[test]
fn more_peers_all_take_part() {
    let place = Place::of("demo-5-");
    let output = place
        .start(&["--peers", "5", "--messages", "8"])
        .wait_with_output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    assert!(
        shows(&stdout, &["erin -> erin's agent", "agent_status"]),
        "{stdout}"
    );
    assert!(all_gone(&stdout) && place.is_empty());
}

#[test]
fn a_child_that_fails_is_told_with_its_last_words() {
    let place = Place::of("demo-f-");
    let script = place.0.join("failing");
    write_script(&script, "echo 'out of luck' >&2; exit 7");
    let output = place
        .start(&["--binary", script.to_str().unwrap()])
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "last lines of registry:\n    out of luck\n\
         chatixia-sidecar: demo: registry has ended: exit status: 7\n"
    );
}

#[test]
fn a_signal_ends_it_and_all_it_started() {
    let place = Place::of("demo-s-");
    let script = place.0.join("waiting");
    // A sidecar that never comes up.
    let program = env!("CARGO_BIN_EXE_chatixia-sidecar");
    write_script(
        &script,
        &format!("test \"$1\" = registry && exec {program} \"$@\"; sleep 1000"),
    );
    let mut demo = place.start(&["--binary", script.to_str().unwrap()]);
    let mut stdout = BufReader::new(demo.stdout.take().unwrap());
    let mut shown = String::new();
    while !shown.contains("started bob") {
        assert_ne!(stdout.read_line(&mut shown).unwrap(), 0, "{shown}");
    }
    kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    stdout.read_to_string(&mut shown).unwrap();
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.ends_with("chatixia-sidecar: demo: ended, as SIGINT asks\n"),
        "{stderr}"
    );
    assert!(all_gone(&shown), "{shown}");
}

/// Writes an executable script. Another process does it: while this one had the file open for
/// writing a child of another test could inherit that, and then it could not be executed.
fn write_script(path: &Path, script: &str) {
    let written = Command::new("sh")
        .args([
            "-c",
            "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod +x \"$1\"",
            "sh",
        ])
        .arg(path)
        .arg(script)
        .status()
        .unwrap();
    assert!(written.success());
}
