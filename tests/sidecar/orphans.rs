//! Tests of sidecars whose parent ends: those that no agent came to end as well.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{DEADLINE, Sidecar, Site};

/// A shell that has started a sidecar. The latter ends with the test.
struct Family {
    /// The shell; its standard error is the sidecar's.
    shell: Sidecar,
    child: PathBuf,
}

impl Family {
    fn start(site: &Site, linger: &str) -> Self {
        let child = site.place.join("child");
        let shell = site
            .setup("alice")
            .set("AGENT_LINGER", linger)
            .set("CHILD", &child)
            .by_shell("\"$0\" & echo $! > \"$CHILD\"; wait")
            .start();
        shell.await_socket();
        Family { shell, child }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let text = std::fs::read_to_string(&self.child).unwrap_or_default();
        if let Some(child) = text.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(child, Signal::KILL);
        }
    }
}

#[test]
fn an_orphan_that_no_agent_ever_came_to_ends_after_its_linger() {
    let site = Site::new();
    let mut family = Family::start(&site, "0.3");
    family.shell.await_log("UDP socket on");
    let socket = family.shell.socket.clone();
    family.shell.kill();
    let began = Instant::now();
    let (_, log) = family.shell.end_within(DEADLINE);
    assert!(began.elapsed() >= Duration::from_millis(300), "{log}");
    assert!(!socket.exists(), "the socket is gone");
    assert!(
        log.contains("the process that started this one has ended"),
        "{log}"
    );
    assert!(log.contains("AGENT_LINGER"), "{log}");
}

#[test]
fn an_agent_that_comes_to_an_orphan_in_time_keeps_it() {
    let site = Site::new();
    let mut family = Family::start(&site, "2");
    family.shell.kill();
    family
        .shell
        .await_log("the process that started this one has ended");
    let mut agent = family.shell.agent();
    // For longer than the orphan had left.
    let over = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < over {
        assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(agent);
    let (_, log) = family.shell.end_within(DEADLINE);
    assert!(log.contains("the agent has gone"), "{log}");
}

#[test]
fn an_orphan_that_had_an_agent_lingers_as_ever() {
    let site = Site::new();
    let mut family = Family::start(&site, "0.3");
    let mut agent = family.shell.agent();
    family.shell.kill();
    assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
    drop(agent);
    let (_, log) = family.shell.end_within(DEADLINE);
    assert!(!log.contains("the process that started this one"), "{log}");
}
