//! Tests of sidecars and other programs that want the same socket path.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::support::{Agent, Setup, Site};

/// Starts it, to fail at its socket, and gives the line in which it says why.
fn refused_socket(setup: Setup) -> String {
    let mut sidecar = setup.unset("RUST_LOG").start();
    assert_eq!(sidecar.exit_code(), 4);
    let log = sidecar.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    log
}

#[test]
fn a_sidecar_without_an_agent_ends_when_its_socket_is_removed() {
    let site = Site::new();
    let mut unused = site.setup("alice").start();
    let mut left = site.node("bob");
    drop(left.agent);
    for sidecar in [&mut unused, &mut left.sidecar] {
        sidecar.await_socket();
        std::fs::remove_file(&sidecar.socket).unwrap();
        assert_eq!(sidecar.exit_code(), 0);
    }
}

#[test]
fn a_socket_that_vanishes_while_an_agent_is_connected_is_made_anew_for_its_return() {
    let site = Site::new();
    let mut alice = site.node("alice");
    std::fs::remove_file(&alice.sidecar.socket).unwrap();
    alice.sidecar.await_socket();
    alice.sidecar.await_log("it was made anew");
    let mode = std::fs::metadata(&alice.sidecar.socket).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = alice.agent.ask("list_peers", &json!({}));
    assert_eq!(list.kind(), "peer_list");
    drop(alice.agent);
    alice.sidecar.await_log("the agent has gone");
    let mut agent = Agent::greeted(&alice.sidecar.socket);
    assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
    assert_eq!(site.place.names(), ["alice"]);
}

#[test]
fn with_an_agent_it_stays_without_its_socket_until_the_agent_has_left() {
    let site = Site::new();
    let mut alice = site.node("alice");
    std::fs::remove_file(&alice.sidecar.socket).unwrap();
    std::fs::write(&alice.sidecar.socket, "another's").unwrap();
    let _another = site.node("bob");
    alice.agent.until_peer("peer_connected", "bob");
    drop(alice.agent);
    assert_eq!(alice.sidecar.exit_code(), 0);
}

#[test]
fn a_new_sidecar_takes_over_from_one_without_an_agent() {
    let site = Site::new();
    let [old, mut bob] = site.meet(["alice", "bob"]);
    let mut old_sidecar = old.sidecar;
    drop(old.agent);
    old_sidecar.await_log("the agent has gone");
    let new = site.setup("alice").start();
    assert_eq!(old_sidecar.exit_code(), 0);
    let mut agent = new.agent();
    bob.agent.until_peer("peer_disconnected", "alice");
    bob.agent.until_peer("peer_connected", "alice");
    agent.until_peer("peer_connected", "bob");
    bob.agent.send("alice", &json!({"type": "hello"}));
    agent.until_peer("message", "bob");
}

#[test]
fn of_many_that_start_at_once_on_one_socket_one_stays() {
    let site = Site::new();
    let mut sidecars: Vec<_> = (0..6).map(|_| site.setup("alice").start()).collect();
    // The socket of the last that took it over is there to stay.
    let mut ended = Vec::new();
    while sidecars.len() > 1 {
        let at = sidecars
            .iter_mut()
            .position(|sidecar| !sidecar.is_running());
        match at {
            Some(at) => ended.push(sidecars.swap_remove(at)),
            None => std::thread::yield_now(),
        }
    }
    for sidecar in &mut ended {
        assert_eq!(sidecar.exit_code(), 0);
    }
    let mut agent = sidecars[0].agent();
    assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
    assert_eq!(site.place.names(), ["alice"]);
}

#[test]
fn a_sidecar_with_an_agent_keeps_its_socket() {
    let site = Site::new();
    let mut alice = site.node("alice");
    let line = refused_socket(site.setup("alice"));
    assert!(line.contains("another sidecar with an agent"), "{line}");
    assert_eq!(
        alice.agent.ask("list_peers", &json!({})).kind(),
        "peer_list"
    );
    alice.agent = {
        drop(alice.agent);
        Agent::greeted(&alice.sidecar.socket)
    };
    assert!(alice.sidecar.is_running());
}

#[test]
fn the_socket_of_one_that_was_killed_is_replaced() {
    let site = Site::new();
    let mut killed = site.node("alice");
    killed.sidecar.kill();
    let kind = std::fs::metadata(&killed.sidecar.socket)
        .unwrap()
        .file_type();
    assert!(kind.is_socket(), "it was left behind");
    let new = site.setup("alice").start();
    let mut agent = new.agent();
    assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
}

#[test]
fn what_is_not_a_sidecars_socket_is_left_untouched() {
    let site = Site::new();
    let file = site.place.join("file");
    std::fs::write(&file, "precious").unwrap();
    let line = refused_socket(Setup::new("alice", file.clone()));
    assert!(line.contains("no socket is there"), "{line}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");

    let directory = site.place.join("directory");
    std::fs::create_dir(&directory).unwrap();
    refused_socket(Setup::new("alice", directory.clone()));
    assert!(directory.is_dir());

    let foreign = site.place.join("foreign");
    let _listener = UnixListener::bind(&foreign).unwrap();
    let line = refused_socket(Setup::new("alice", foreign));
    assert!(line.contains("another program"), "{line}");

    let line = refused_socket(Setup::new("alice", site.place.join("no/such/place")));
    assert!(line.contains("is not a directory"), "{line}");
    assert_eq!(site.place.names(), ["directory", "file", "foreign"]);
}
