//! Tests the registry with a thousand peers at once. This is a test binary of its own, since it counts the
//! threads of the process.

#![cfg(feature = "registry")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "registry/support.rs"]
#[allow(dead_code)] // Not all of it is needed here.
mod support;

use support::{Client, RunningRegistry};

const PEERS: usize = 1000;

#[test]
fn holds_a_thousand_sockets_without_a_thread_each() {
    let registry = RunningRegistry::open();
    let threads_before = threads();
    let mut peers: Vec<Client> = (0..PEERS)
        .map(|number| registry.client(&format!("peer-{number:04}")))
        .collect();
    for peer in &mut peers {
        peer.register();
    }
    assert_eq!(threads(), threads_before);
    let (first, others) = peers.split_first_mut().unwrap();
    assert_eq!(first.register().len(), PEERS - 1);
    let expected: Vec<String> = others
        .iter()
        .map(|peer| first.offer(&peer.peer, "hello"))
        .collect();
    for (peer, expected) in others.iter_mut().zip(expected) {
        assert_eq!(peer.receive(), expected);
    }
}

fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("Threads:"));
    let count = line.and_then(|line| line.split_whitespace().nth(1));
    count.unwrap().parse().unwrap()
}
