//! Tests of `chatixia-sidecar registry` as a process: what signals do to it.

use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// A running `registry`, killed when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
    log: BufReader<ChildStderr>,
}

impl Process {
    /// By a shell that runs this script, in which `"$0" "$@"` is the registry.
    fn start(script: &str, arguments: &[&str]) -> Self {
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

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads its log up to a line with this text.
    fn await_log(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = self.log.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "it ended before it logged {text:?}");
        }
    }

    /// The status of a token exchange with this key.
    fn token(&self, key: &str) -> u16 {
        let url = format!("http://{}/api/token", self.address);
        match ureq::post(&url).header("x-api-key", key).send_empty() {
            Ok(answer) => answer.status().as_u16(),
            Err(ureq::Error::StatusCode(status)) => status,
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends it by SIGTERM; gives the exit code and the rest of its log.
    fn end(&mut self) -> (Option<i32>, String) {
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

/// A file of keys that is removed at the end.
struct KeysFile(PathBuf);

impl KeysFile {
    fn new(key: &str) -> Self {
        let name = format!("chatixia-keys-again-{}.json", std::process::id());
        let file = KeysFile(std::env::temp_dir().join(name));
        file.write(key);
        file
    }

    fn write(&self, key: &str) {
        let file = json!({"keys": {key: {"peer_id": "a"}}});
        std::fs::write(&self.0, file.to_string()).unwrap();
    }
}

impl Drop for KeysFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let mut registry = Process::start("trap '' HUP INT; exec \"$0\" \"$@\"", &["--open"]);
    for signal in [Signal::HUP, Signal::INT] {
        registry.signal(signal);
        assert_eq!(registry.token("a"), 200);
    }
    let (code, log) = registry.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ending, as SIGTERM asks"), "{log}");
}

#[test]
fn sighup_reads_the_keys_again() {
    let file = KeysFile::new("old");
    let path = file.0.to_str().unwrap();
    let mut registry = Process::start("exec \"$0\" \"$@\"", &["--api-keys-file", path]);
    assert_eq!((registry.token("old"), registry.token("new")), (200, 401));
    file.write("new");
    registry.signal(Signal::HUP);
    registry.await_log("was read again");
    assert_eq!((registry.token("old"), registry.token("new")), (401, 200));

    std::fs::write(&file.0, "{").unwrap();
    registry.signal(Signal::HUP);
    registry.await_log("still count");
    assert_eq!(registry.token("new"), 200);
    assert_eq!(registry.end().0, Some(0));
}
