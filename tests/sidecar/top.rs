//! Tests of `top`, which shows the numbers of a sidecar: in a pipe, and on a terminal that Python plays.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::metrics::address_of;
use crate::support::{Node, Place, Site};

const BINARY: &str = env!("CARGO_BIN_EXE_chatixia-sidecar");

fn top(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let output = Command::new(BINARY)
        .env_clear()
        .envs(environment.iter().copied())
        .arg("top")
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

/// Watches on a terminal that takes on these sizes, and ends it in this way.
fn watch(sizes: &[&str], end: &str, address: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal/watch.py");
    let output = Command::new("python3")
        .arg(script)
        .args(sizes)
        .args(["--", BINARY, "top", address])
        .env("END", end)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{complaint}");
    serde_json::from_str(&said).unwrap()
}

fn alice_and_bob(site: &Site) -> [Node; 2] {
    let alice = site.setup("alice").set("METRICS", "127.0.0.1:0");
    let mut nodes = Node::meet([alice, site.setup("bob")]);
    let send = json!({"target_peer": "bob", "message": {"type": "x", "payload": "y".repeat(2000)}});
    nodes[0].agent.ask("send", &send);
    nodes
}

#[test]
fn in_a_pipe_the_numbers_are_printed_once() {
    let site = Site::new();
    let [alice, _bob] = alice_and_bob(&site);
    let address = address_of(&alice.sidecar).to_string();
    let (code, said) = top(&[&address], &[]);
    assert_eq!(code, 0, "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("alice   registry connected   up "),
        "{said}"
    );
    assert!(lines[1].starts_with("peers: 1 connected, 0 connecting, 0 disconnected"));
    assert!(
        lines[2].starts_with("out: 1 messages, 2.0 KB   in: 0 messages"),
        "{said}"
    );
    assert!(lines[4].starts_with("PEER "));
    let cells: Vec<_> = lines[5].split_whitespace().collect();
    assert_eq!(cells[..2], ["bob", "connected"]);
    assert!(cells.contains(&"host"), "{said}");
    assert_eq!(lines.len(), 6);
    assert!(!said.contains('\x1b'), "{said}");
    // The address may come from the setting that the sidecar has.
    assert_eq!(top(&[], &[("METRICS", &address)]).0, 0);
}

#[test]
fn on_a_terminal_it_keeps_to_the_size_and_leaves_all_as_it_was() {
    let site = Site::new();
    let [alice, _bob] = alice_and_bob(&site);
    let address = address_of(&alice.sidecar).to_string();
    for (end, sizes) in [
        ("q", &["100x30", "30x8"][..]),
        ("ctrl-c", &["80x24"]),
        ("term", &["10x3"]),
    ] {
        let watched = watch(sizes, end, &address);
        for verdict in ["entered", "changed", "left", "restored"] {
            assert_eq!(watched[verdict], true, "{end}: {verdict}: {watched:#}");
        }
        assert_eq!(watched["status"], 0, "{end}");
        let screens = watched["screens"].as_array().unwrap();
        let last = screens.last().unwrap().as_str().unwrap();
        let columns: usize = sizes
            .last()
            .unwrap()
            .split('x')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        for line in last.split("\x1b[K") {
            let visible = line
                .split('\x1b')
                .map(|piece| match piece.split_once(['H', 'm', 'J']) {
                    Some((_, visible)) => visible.chars().count(),
                    None => piece.chars().count(),
                });
            assert!(visible.sum::<usize>() <= columns, "{end}: {line:?}");
        }
        if end == "q" {
            let wide = screens[1].as_str().unwrap();
            assert!(wide.contains("msg/s") && wide.contains("RECONN"), "{wide}");
            assert!(last.contains("RTT") && !last.contains("RECONN"), "{last}");
        }
    }
}

#[test]
fn without_a_sidecar_it_says_what_to_do() {
    let (code, said) = top(&[], &[]);
    assert_eq!(code, 2);
    assert!(said.contains("METRICS"), "{said}");
    let (code, said) = top(&["nowhere"], &[]);
    assert_eq!(code, 2);
    assert!(said.contains("--metrics nowhere: give IP:PORT"), "{said}");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let (code, said) = top(&[&address], &[]);
    assert_eq!(code, 1);
    let told = format!("chatixia-sidecar: no numbers on {address}: Connection refused");
    assert!(said.starts_with(&told), "{said}");
    assert!(
        said.contains("does a sidecar run with METRICS set"),
        "{said}"
    );

    // A registry answers, too.
    let site = Site::new();
    let (code, said) = top(&[&site.address().to_string()], &[]);
    assert_eq!(code, 1);
    assert!(said.contains("it answered 404"), "{said}");
    let place = Place::new();
    let missing = place.join("m");
    assert_eq!(top(&[missing.to_str().unwrap()], &[]).0, 1);
}
