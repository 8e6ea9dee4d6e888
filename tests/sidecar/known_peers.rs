//! Tests of the file `KNOWN_PEERS` while somebody else, or a full disk, has a hand in it.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Node, Setup, Site};

/// A sidecar that remembers whom it meets in this file.
fn remembering(site: &Site, name: &str) -> (Setup, PathBuf) {
    let file = site.place.join(&format!("{name}.known"));
    let identity = site.place.join(&format!("{name}.identity"));
    let setup = site.setup(name).set("PEER_TRUST", "first-use");
    let setup = setup
        .set("KNOWN_PEERS", &file)
        .set("IDENTITY_FILE", identity);
    (setup, file)
}

#[test]
fn a_full_disk_leaves_no_half_line_and_the_next_start_works() {
    let site = Site::new();
    let (setup, file) = remembering(&site, "alice");
    // The system lets the file grow to four blocks of 512 bytes, so half of the line for bob fits.
    let before = format!("#{}\n", "x".repeat(4 * 512 - 50));
    fs::write(&file, &before).unwrap();
    let full = setup.by_shell("trap '' XFSZ; ulimit -f 4; exec \"$0\"");
    let [mut alice, bob] = Node::meet([full, site.setup("bob")]);
    alice
        .sidecar
        .await_log("bob is not remembered beyond our end");
    let known = fs::read_to_string(&file).unwrap();
    assert_eq!(known.strip_prefix(&before), Some(""));
    alice.sidecar.signal(Signal::TERM);
    assert_eq!(alice.sidecar.exit_code(), 0);
    drop(bob);
    let (setup, _) = remembering(&site, "alice");
    let [alice, _bob] = Node::meet([setup, site.setup("bob")]);
    alice.sidecar.await_log("now has sha-256");
    let known = fs::read_to_string(&file).unwrap();
    assert!(
        known.starts_with(&before) && known.ends_with(" bob\n"),
        "{known}"
    );
}

#[test]
fn a_peer_for_which_another_process_wrote_another_certificate_is_parted_from_and_the_agent_told() {
    let site = Site::new();
    let (setup, file) = remembering(&site, "alice");
    let mut alice = Node::start(setup);
    let other = vec!["0A"; 32].join(":");
    fs::write(&file, format!("sha-256 {other} bob\n")).unwrap();
    let _bob = site.node("bob");
    let told = alice.agent.all_until(|event| event.kind() == "error");
    let error = told.last().unwrap();
    assert_eq!(error.code(), "untrusted_peer", "{error:?}");
    assert_eq!(error.payload()["target_peer"], "bob");
    let text = error.payload()["message"].as_str().unwrap();
    assert!(text.contains(&other) && text.contains("(line 1 "), "{text}");
    let kinds: Vec<_> = told.iter().map(|event| event.kind()).collect();
    assert!(
        kinds.ends_with(&["peer_connected", "peer_disconnected", "error"]),
        "{kinds:?}"
    );
    let peers = alice.agent.ask("list_peers", &json!({}));
    assert_eq!(peers.payload(), &json!({"peers": []}));
}
