//! Peers that the registry lets in, and who mean harm.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figures::{RoundTrips, mib};
use crate::raw_peer::{RawPeer, description};
use crate::registry::Client;
use crate::support::{Node, Site};

const MOMENT: Duration = Duration::from_secs(2);

/// Alice and bob, connected, who log little.
fn friends(site: &Site) -> [Node; 2] {
    Node::meet(["alice", "bob"].map(|name| site.setup(name).set("RUST_LOG", "info")))
}

/// The payload of the next frame of this type from alice.
fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let frame: Value = serde_json::from_str(&client.receive()).unwrap();
        if frame["type"] == kind && frame["peer_id"] == "alice" {
            return frame["payload"].clone();
        }
    }
}

/// Mallory, connected to alice.
fn mallory(site: &Site) -> (Client, RawPeer) {
    let mut client = site.registry.registered("mallory");
    let mut peer = RawPeer::new();
    let offer = peer.offer();
    client.send(&description("offer", "mallory", "alice", &offer));
    let answer = next(&mut client, "answer");
    peer.accept(answer["sdp"].as_str().unwrap());
    peer.await_that("the mesh channel is open", |peer| !peer.opened.is_empty());
    (client, peer)
}

/// Alice and bob still talk; prints what the harm has cost.
fn check_friends(what: &str, alice: &mut Node, bob: &mut Node, memory: u64) {
    let times = RoundTrips::measure(alice, bob, MOMENT);
    eprintln!(
        "{what}: round trip of two others p50 {:?}, p99 {:?}; memory {:+.1} MiB",
        times.within(50),
        times.within(99),
        mib(alice.sidecar.resident_bytes()) - mib(memory),
    );
    assert!(times.within(50) < MOMENT, "{:?}", times.within(50));
}

#[test]
fn a_thousand_channels_and_junk_harm_nobody() {
    let site = Site::new();
    let [mut alice, mut bob] = friends(&site);
    let memory = alice.sidecar.resident_bytes();
    let (_client, mut mallory) = mallory(&site);
    alice.agent.until_peer("peer_connected", "mallory");

    mallory.open_channels(1000);
    mallory.run_while(4 * MOMENT, |peer| peer.opened.len() < 1000);
    let channels = mallory.opened.len();
    check_friends(
        &format!("1,000 channels, {channels} of them open"),
        &mut alice,
        &mut bob,
        memory,
    );

    let mesh = mallory.opened[0];
    let junk: Vec<u8> = (0..256 * 1024 - 1).map(|_| fastrand::u8(..)).collect();
    let mut written = 0;
    let began = Instant::now();
    while began.elapsed() < 2 * MOMENT {
        // Junk on the mesh channel, and on one that nobody reads.
        written += u32::from(mallory.write(mesh, &junk));
        if let Some(other) = mallory.opened.last().copied() {
            written += u32::from(mallory.write(other, &junk));
        }
        mallory.run_for(Duration::from_millis(5));
    }
    assert!(written > 3, "{written} messages were written");
    check_friends(
        &format!("{written} messages of 256 KiB of junk"),
        &mut alice,
        &mut bob,
        memory,
    );
    let grown = alice.sidecar.resident_bytes() - memory.min(alice.sidecar.resident_bytes());
    assert!(grown < 48 * 1024 * 1024, "{:.1} MiB more", mib(grown));
    let stats = alice.agent.ask("stats", &json!({}));
    let unusable = &stats.payload()["process"]["drops"]["unusable_messages"];
    assert!(unusable.as_u64().is_none_or(|count| count > 0), "{stats:?}");
}

#[test]
fn a_fingerprint_that_is_not_its_certificates_connects_nothing() {
    let site = Site::new();
    let [mut alice, mut bob] = friends(&site);
    let memory = alice.sidecar.resident_bytes();
    let (mut client, mut peer) = mallory(&site);
    alice.agent.until_peer("peer_connected", "mallory");
    // While the first connection stands, mallory offers others under fingerprints that it can't prove.
    let mut liars = Vec::new();
    for number in 0..5 {
        let mut liar = RawPeer::new();
        let offer = with_other_fingerprint(&liar.offer(), number);
        client.send(&description("offer", "mallory", "alice", &offer));
        let answer = next(&mut client, "answer");
        liar.accept(answer["sdp"].as_str().unwrap());
        liars.push(liar);
    }
    for liar in &mut liars {
        liar.run_for(Duration::from_millis(500));
        assert!(
            liar.opened.is_empty(),
            "a channel opened without the certificate"
        );
    }
    peer.run_for(Duration::from_millis(100));
    check_friends("5 changed fingerprints", &mut alice, &mut bob, memory);
}

/// The description with another fingerprint.
fn with_other_fingerprint(sdp: &str, number: u8) -> String {
    let lines = sdp.lines().map(|line| {
        if line.starts_with("a=fingerprint:sha-256 ") {
            let bytes = vec![format!("{number:02X}"); 32].join(":");
            format!("a=fingerprint:sha-256 {bytes}\r\n")
        } else {
            format!("{line}\r\n")
        }
    });
    lines.collect()
}

#[test]
fn old_offers_replayed_are_looked_at_a_few_times_only() {
    let site = Site::new();
    let [mut alice, mut bob] = friends(&site);
    let memory = alice.sidecar.resident_bytes();
    let (mut client, mut peer) = mallory(&site);
    alice.agent.until_peer("peer_connected", "mallory");
    let old = RawPeer::new().offer();
    let began = Instant::now();
    for _ in 0..500 {
        client.send(&description("offer", "mallory", "alice", &old));
    }
    peer.run_for(MOMENT);
    client
        .socket
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut answers = 0;
    while let Ok(message) = client.socket.read() {
        answers += u32::from(
            message
                .to_text()
                .is_ok_and(|text| text.contains(r#""answer""#)),
        );
    }
    // A burst of ten, and one each half second.
    let most = 10 + u32::try_from(began.elapsed().as_millis() / 500).unwrap() + 1;
    assert!(answers <= most, "{answers} answers");
    check_friends(
        &format!("500 replayed offers, {answers} looked at"),
        &mut alice,
        &mut bob,
        memory,
    );
}

#[test]
fn five_hundred_half_open_connections_take_little_and_leave_room_for_others() {
    let site = Site::new();
    let [mut alice, mut bob] = friends(&site);
    let memory = alice.sidecar.resident_bytes();
    let files = alice.sidecar.open_files();
    let mut client = site.registry.registered("mallory");
    for _ in 0..500 {
        // Nobody answers the checks of these.
        let offer = RawPeer::new().offer();
        client.send(&description("offer", "mallory", "alice", &offer));
    }
    let began = Instant::now();
    let mut carol = site.node("carol");
    carol.agent.send("alice", &json!({"type": "hello"}));
    alice.agent.until(|event| event.is("message", "carol"));
    let found = began.elapsed();
    check_friends(
        &format!("500 half-open connections, a newcomer heard after {found:.1?}"),
        &mut alice,
        &mut bob,
        memory,
    );
    assert!(alice.sidecar.open_files() < files + 16);
    let grown = alice.sidecar.resident_bytes().saturating_sub(memory);
    assert!(grown < 32 * 1024 * 1024, "{:.1} MiB more", mib(grown));
}
