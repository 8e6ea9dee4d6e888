//! Tests of what the sidecar does with the things that it inherits from the process that spawned it.

use std::process::ChildStderr;

use rustix::process::Signal;
use serde_json::json;

use crate::support::Site;

#[test]
fn standard_error_that_nobody_reads_or_that_is_closed_stops_nothing() {
    let site = Site::new();
    let mut bob = site.node("bob");
    let keep: fn(ChildStderr) -> Option<ChildStderr> = Some;
    let close: fn(ChildStderr) -> Option<ChildStderr> = |_| None;
    for treat in [keep, close] {
        let setup = site.setup("alice").set("RUST_LOG", "trace");
        let (alice, stderr) = setup.start_unread();
        let _stderr = treat(stderr);
        let mut agent = alice.agent();
        bob.await_peers(&["alice"]);
        // Each of these costs a few lines of log, together more than a pipe holds.
        for number in 0..1000 {
            let message = json!({"type": "x", "payload": number});
            agent.send("bob", &message);
            let event = bob.agent.until_peer("message", "alice");
            assert_eq!(event.message(), &filled_in(number));
        }
        drop(agent);
        let mut agent = alice.agent();
        assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
        alice.signal(Signal::TERM);
        bob.agent.until_peer("peer_disconnected", "alice");
    }
}

fn filled_in(payload: u64) -> serde_json::Value {
    json!({
        "type": "x",
        "payload": payload,
        "request_id": "",
        "source_agent": "",
        "target_agent": "",
    })
}

#[test]
fn the_sockets_path_may_be_relative() {
    let site = Site::new();
    let mut alice = site
        .setup("alice")
        .within(&site.place)
        .set("IPC_SOCKET", "alice")
        .start();
    let mut agent = alice.agent();
    assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
    alice.signal(Signal::TERM);
    assert_eq!(alice.exit_code(), 0);
    assert!(site.place.names().is_empty());
}
