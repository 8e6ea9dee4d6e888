//! Tests of the agents in `examples/` with each other: the real programs, with real sidecars.
//!
//! If an interpreter is not installed, standard error says so and its examples are skipped, unless
//! `REQUIRE_TOOLS` is set.

#![cfg(feature = "registry")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../sidecar/support/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "../registry/support.rs"]
#[allow(dead_code)]
mod registry;
#[path = "../support/tools.rs"]
#[allow(dead_code)]
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use place::Place;
use registry::RunningRegistry;

/// Longer than any of them takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way in which an example is run.
#[derive(Clone, Copy)]
struct Example {
    /// The programs that it needs, the one that runs it first.
    needs: &'static [&'static str],
    /// Relative to `examples/`.
    path: &'static str,
    /// Whether it spawns its sidecar itself.
    spawns: bool,
}

const SHELL_ASKER: Example = Example {
    needs: &["bash", "socat", "jq"],
    path: "shell/asker",
    spawns: false,
};
const SHELL_WORKER: Example = Example {
    path: "shell/worker",
    ..SHELL_ASKER
};
const PYTHON_ASKER: Example = Example {
    needs: &["python3"],
    path: "python/asker.py",
    spawns: false,
};
const PYTHON_WORKER: Example = Example {
    path: "python/worker.py",
    ..PYTHON_ASKER
};
const NODE_ASKER: Example = Example {
    needs: &["node"],
    path: "node/asker.mjs",
    spawns: true,
};
const GO_WORKER: Example = Example {
    needs: &["go"],
    path: "go/worker.go",
    spawns: true,
};

/// Killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The surroundings of the examples.
struct Site {
    place: Place,
    registry: RunningRegistry,
}

impl Site {
    fn new() -> Self {
        Site {
            place: Place::new(),
            registry: RunningRegistry::open(),
        }
    }

    /// A program in the environment of `peer`.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>, peer: &str) -> Command {
        let address = self.registry.address;
        let mut command = Command::new(program);
        command
            .env("SIDECAR_BINARY", env!("CARGO_BIN_EXE_chatixia-sidecar"))
            .env("SIGNALING_URL", format!("ws://{address}/ws"))
            .env("TOKEN_URL", format!("http://{address}/api/token"))
            .env("API_KEY", peer)
            .env("IPC_SOCKET", self.place.join(peer))
            .env("TMPDIR", self.place.join(""))
            .env("INTERFACES", "lo")
            .env("AGENT_LINGER", "0")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null());
        command
    }

    /// The sidecar of `peer`, if the example does not spawn one.
    fn sidecar(&self, example: Example, peer: &str) -> Option<Running> {
        let mut command = self.command(env!("CARGO_BIN_EXE_chatixia-sidecar"), peer);
        (!example.spawns).then(|| Running(command.spawn().unwrap()))
    }

    /// The example as an agent of `peer`. Go's is compiled first, so that killing it kills itself.
    fn agent(&self, example: Example, peer: &str) -> Command {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(example.path);
        if example.needs[0] != "go" {
            let mut command = self.command(example.needs[0], peer);
            command.arg(path);
            return command;
        }
        let program = self.place.join("compiled");
        let compiled = Command::new("go")
            .args(["build", "-o"])
            .args([&program, &path])
            .env("GOCACHE", go_cache())
            .env("GOTOOLCHAIN", "local")
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", tools::said(&compiled));
        self.command(program, peer)
    }
}

/// Returns the directory in which the compiled standard library is kept from run to run.
fn go_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("go")
}

/// Waits for a program that ends by itself, and returns its output.
fn finish(command: &mut Command) -> Output {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let ended = receiver.recv_timeout(PATIENCE);
    if ended.is_err() {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
    }
    ended.expect("it has not ended in time").unwrap()
}

/// Alice's agent asks Bob's.
fn ask(asker: Example, worker: Example) {
    let mut needs = [asker.needs, worker.needs].concat();
    needs.dedup();
    if !needs.into_iter().all(tools::is_installed) {
        return;
    }
    let site = Site::new();
    let mut agent = site.agent(worker, "bob");
    let _bob = site.sidecar(worker, "bob");
    let _worker = Running(agent.spawn().unwrap());
    let _alice = site.sidecar(asker, "alice");
    let mut agent = site.agent(asker, "alice");
    let output = finish(agent.args(["bob", "Who's there? \"quoted\" 1 < 2"]));
    assert!(output.status.success(), "{}", tools::said(&output));
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answer, "WHO'S THERE? \"QUOTED\" 1 < 2\n");
}

#[test]
fn python_asks_python() {
    ask(PYTHON_ASKER, PYTHON_WORKER);
}

#[test]
fn shell_asks_shell() {
    ask(SHELL_ASKER, SHELL_WORKER);
}

#[test]
fn node_asks_python() {
    ask(NODE_ASKER, PYTHON_WORKER);
}

#[test]
fn node_asks_go() {
    ask(NODE_ASKER, GO_WORKER);
}

#[test]
fn python_asks_shell() {
    ask(PYTHON_ASKER, SHELL_WORKER);
}

#[test]
fn shell_asks_go() {
    ask(SHELL_ASKER, GO_WORKER);
}
