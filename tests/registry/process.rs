//! `chatixia-sidecar registry` as a process, and other subcommands beside it.

use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running `registry`, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    log: BufReader<ChildStderr>,
}

impl Process {
    /// By a shell that runs this script, in which `"$0" "$@"` is the registry.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new("/bin/sh")
            .env_clear()
            .args([
                "-c",
                script,
                env!("CARGO_BIN_EXE_chatixia-sidecar"),
                "registry",
            ])
            .args(["--listen", "127.0.0.1", "--port", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.split_whitespace().last().unwrap().parse().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Process {
            child,
            address,
            log,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads its log up to a line with this text.
    pub(crate) fn await_log(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = self.log.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "it ended before it logged {text:?}");
        }
    }

    /// The status of a token exchange with this key.
    pub(crate) fn token(&self, key: &str) -> u16 {
        let url = format!("http://{}/api/token", self.address);
        match ureq::post(&url).header("x-api-key", key).send_empty() {
            Ok(answer) => answer.status().as_u16(),
            Err(ureq::Error::StatusCode(status)) => status,
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends it by SIGTERM; gives the exit code and the rest of its log.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a subcommand without environment, up to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Returns what a subcommand prints, which has to succeed.
pub(crate) fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns what a subcommand complains of, which has to end with this code.
pub(crate) fn complaint(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    error
}

/// A directory that is removed at the end.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("chatixia-registry-{test}-{}", std::process::id());
        let place = Place(std::env::temp_dir().join(name));
        std::fs::create_dir(&place.0).unwrap();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
