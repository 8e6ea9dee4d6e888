//! Tests of the real binary's command line: what it prints, where, and its exit code.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

use std::process::{Command, Output};

/// The program in an environment without settings.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"));
    command.env_clear();
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for argument in ["--help", "-h", "help", "--version", "-V"] {
        let output = run(&[argument]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).starts_with("chatixia-sidecar "));
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = program().arg("--version").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write to standard output: No space left"));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = program().arg("--help").stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "",
        "who has closed the pipe has read enough"
    );
}

#[test]
fn a_wrong_setting_is_one_line_and_code_2() {
    let output = program().env("MAX_PEERS", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "chatixia-sidecar: MAX_PEERS=many: give a whole number from 1 to 10000\n"
    );
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn an_unknown_flag_is_one_line_and_code_2() {
    let output = run(&["--signalling-url", "ws://localhost"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "chatixia-sidecar: unknown flag --signalling-url; did you mean --signaling-url?\n"
    );
}

/// Runs the program where no file may grow; a program that goes on is ended.
fn run_without_room(arguments: &[&str]) -> Output {
    Command::new("/bin/sh")
        .env_clear()
        .args(["-c", r#"ulimit -f 0; exec timeout 20 "$@""#, "sh"])
        .arg(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn that_a_file_may_not_grow_is_an_error_of_the_file() {
    let place = std::env::temp_dir().join(format!("no-room-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let path = place.join("file").display().to_string();
    let identity = ["identity", "--identity-file", &path];
    let sidecar = [
        "--registry-url=http://127.0.0.1:9",
        "--identity-file",
        &path,
    ];
    let mut programs = vec![&identity[..], &sidecar];
    let registry = ["registry", "--port=0", "--open", "--registry-data", &path];
    if cfg!(feature = "registry") {
        programs.push(&registry);
    }
    for arguments in programs {
        let output = run_without_room(arguments);
        let stderr = text(&output.stderr);
        let code = output.status.code();
        assert!(matches!(code, Some(1 | 2)), "{arguments:?}: {output:?}");
        let last = stderr.lines().last().unwrap();
        assert!(last.contains(&path), "{stderr}");
        assert!(last.contains("File too large"), "{stderr}");
    }
    std::fs::remove_dir_all(&place).unwrap();
}

#[cfg(feature = "registry")]
mod registry {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;
    use std::process::{Child, Stdio};

    #[test]
    fn without_keys_it_does_not_start() {
        let output = run(&["registry"]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            text(&output.stderr),
            "chatixia-sidecar: registry: give the keys that are let in with API_KEYS_FILE, or \
             a directory for them with REGISTRY_DATA, or --open to let every key in\n"
        );
    }

    #[test]
    fn a_keys_file_that_is_not_there_is_code_2() {
        let output = run(&["registry", "--api-keys-file", "/no/such/file"]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = text(&output.stderr);
        assert!(stderr.contains("/no/such/file"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1);
    }

    #[test]
    fn a_port_that_is_taken_is_code_1() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let output = run(&["registry", "--open", "--port", &port]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(&port));
    }

    /// A registry on a free port, once it listens.
    fn listening(arguments: &[&str]) -> Child {
        let mut child = program()
            .args(["registry", "--open", "--port", "0"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on 127.0.0.1:"), "{line}");
        child
    }

    #[test]
    fn it_ends_with_standard_input_when_asked_to() {
        let mut child = listening(&["--until-eof"]);
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn it_ends_at_a_signal_and_logs_as_told() {
        let mut child = listening(&["--log-format", "json"]);
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let mut log = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["level"], "info");
        assert_eq!(first["target"], "registry");
    }
}
