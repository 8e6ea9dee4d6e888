//! Tests of the socket and the first line on it.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::scripted_registry::{Script, ScriptedRegistry, quiet_address};
use crate::support::{Agent, Node, Place, Setup, Site, Transport, on_each_transport};

on_each_transport!(the_limits_told_are_those_set,);

#[test]
fn the_socket_is_private_and_greets_while_no_registry_is_there() {
    let place = Place::new();
    let sidecar = Setup::new("alice", place.join("s"))
        .registry(quiet_address())
        .start();
    sidecar.await_socket();
    let mode = std::fs::metadata(&sidecar.socket).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert_eq!(place.names(), ["s"], "only the socket is in its directory");

    let mut agent = Agent::connect(&sidecar.socket);
    let ready = agent.next();
    assert_eq!(ready.kind(), "ready");
    let payload = ready.payload();
    assert_eq!(payload["protocol"], 1);
    assert_eq!(payload["version"], env!("CARGO_PKG_VERSION"));
    assert!(payload["peer_id"].is_null() && payload.get("peer_id").is_some());
    assert_eq!(payload["max_message_bytes"], 262_144);
    assert!(payload["max_line_bytes"].as_u64().unwrap() > 262_144);
    assert_eq!(payload["registry"], "connecting");
    assert_eq!(
        agent.ask("list_peers", &json!({})).payload(),
        &json!({"peers": []})
    );
}

#[test]
fn a_later_agent_is_greeted_with_the_name_and_the_peers_of_now() {
    let site = Site::new();
    let [alice, _bob, _carol] = site.meet(["alice", "bob", "carol"]);
    let Node { agent, sidecar } = alice;
    drop(agent);
    let mut agent = Agent::connect(&sidecar.socket);
    let ready = agent.next();
    assert_eq!(ready.kind(), "ready");
    assert_eq!(ready.payload()["peer_id"], "alice");
    assert_eq!(ready.payload()["registry"], "connected");
    let greeted = [agent.next(), agent.next()].map(|event| event.text().to_owned());
    assert_eq!(
        greeted,
        ["bob", "carol"]
            .map(|peer| format!(r#"{{"type":"peer_connected","payload":{{"peer_id":"{peer}"}}}}"#))
    );
}

#[test]
fn a_command_that_comes_with_the_connection_is_answered_however_busy_the_sidecar_is() {
    let site = Site::new();
    let [alice, mut bob] = site.meet(["alice", "bob"]);
    let Node { agent, sidecar } = alice;
    drop(agent);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        // The event loop has long turns over many datagrams, and agents arrive in the middle of them.
        let sending = threads.spawn(|| {
            let message = json!({"type": "ping", "payload": "x".repeat(200_000)});
            while !is_over.load(Ordering::Relaxed) {
                bob.agent.send("alice", &message);
            }
        });
        let over = Over(&is_over);
        for id in 0..40 {
            let mut agent = Agent::connect(&sidecar.socket);
            agent.command(id, "list_peers", &json!({}));
            assert_eq!(agent.next().kind(), "ready");
            agent.until(|event| event.id() == Some(&id.into()));
        }
        drop(over);
        let mut agent = Agent::connect(&sidecar.socket);
        while !sending.is_finished() {
            // Takes what waits, so that the last message can leave.
            agent.ask("list_peers", &json!({}));
        }
    });
}

/// Says that it is over, even if the test has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn the_limits_told_are_those_set(transport: Transport) {
    let site = Site::over(transport);
    let sidecar = site.setup("alice").set("MAX_MESSAGE_BYTES", "2048").start();
    let ready = sidecar.connect().next();
    assert_eq!(ready.payload()["max_message_bytes"], 2048);
}

#[test]
fn the_registry_is_told_of_when_it_is_reached() {
    let place = Place::new();
    let address = quiet_address();
    let sidecar = Setup::new("alice", place.join("s"))
        .registry(address)
        .start();
    let mut agent = sidecar.agent();
    let _registry = ScriptedRegistry::start_at(address, Script::faultless());
    let told = agent.until_registry("connected");
    assert_eq!(told.payload()["peer_id"], "alice");
}
