//! Tests with session descriptions as the stacks in the field write them: each is answered, even if it
//! holds things that we can't use.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Instant;

use chatixia_sidecar::mesh::link::description::{first_mid, max_message_bytes};
use chatixia_sidecar::mesh::link::webrtc::WebRtc;
use chatixia_sidecar::mesh::link::{Link, Linker, Packets};
use chatixia_sidecar::nat::candidate::LocalCandidate;

const FINGERPRINT_256: &str = "sha-256 75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24";

fn candidate() -> LocalCandidate {
    let address = SocketAddr::from(([127, 0, 0, 1], 5000));
    LocalCandidate::Host { address }
}

/// Joins lines as SDP wants them.
fn sdp(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

fn answer(offer: &str) -> String {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let (_, answer) = webrtc
        .answer(Instant::now(), &[candidate()], Packets::Full, offer)
        .unwrap_or_else(|error| panic!("{error}: {offer}"));
    answer
}

/// The answer agrees to what was offered and says what we take.
fn assert_agrees(offer: &str) {
    let answer = answer(offer);
    assert!(answer.contains("a=setup:active") || answer.contains("a=setup:passive"));
    assert_eq!(first_mid(&answer), first_mid(offer));
    assert_eq!(max_message_bytes(&answer), 262_144);
    assert!(answer.contains("127.0.0.1 5000 typ host"), "{answer}");
}

#[test]
fn chromium_with_only_mdns_candidates() {
    let fingerprint = format!("a=fingerprint:{FINGERPRINT_256}");
    assert_agrees(&sdp(&[
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS",
        "m=application 49203 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=candidate:2744953318 1 udp 2113937151 5aa0e5d4-3a3c-4a2e-9a5d-4a4f2f2b5c1e.local 49203 typ host generation 0 network-cost 999",
        "a=ice-ufrag:4ZcD",
        "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlZZ",
        "a=ice-options:trickle",
        &fingerprint,
        "a=setup:actpass",
        "a=mid:0",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
    ]));
}

#[test]
fn aiortc_with_three_fingerprints_and_all_candidates() {
    let fingerprint = format!("a=fingerprint:{FINGERPRINT_256}");
    let sha384 = format!("a=fingerprint:sha-384 {}", vec!["AB"; 48].join(":"));
    let sha512 = format!("a=fingerprint:sha-512 {}", vec!["CD"; 64].join(":"));
    assert_agrees(&sdp(&[
        "v=0",
        "o=- 3967241590 3967241590 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=msid-semantic:WMS *",
        "m=application 54320 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 192.0.2.5",
        "a=mid:0",
        "a=sctp-port:5000",
        "a=max-message-size:65536",
        "a=candidate:d3f1b1e9 1 udp 2130706431 192.0.2.5 54320 typ host",
        "a=candidate:d3f1b1ea 1 tcp 1518280447 192.0.2.5 9 typ host tcptype active",
        "a=end-of-candidates",
        "a=ice-ufrag:aX4b",
        "a=ice-pwd:VOPXMdOHgCoqfAjGDIPAH3",
        &fingerprint,
        &sha384,
        &sha512,
        "a=setup:actpass",
    ]));
}

#[test]
fn libdatachannel_and_pion_with_fingerprint_and_setup_at_session_level() {
    let fingerprint = format!("a=fingerprint:{FINGERPRINT_256}");
    assert_agrees(&sdp(&[
        "v=0",
        "o=rtc 2861397428 0 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=msid-semantic:WMS *",
        "a=setup:actpass",
        "a=ice-ufrag:9+/Z",
        "a=ice-pwd:nv8a0Hf3NUxYbPSgWTnaZZ",
        "a=ice-options:trickle",
        &fingerprint,
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=sendrecv",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
    ]));
}

#[test]
fn a_peer_that_announces_no_size_and_an_odd_mid() {
    let fingerprint = format!("a=fingerprint:{FINGERPRINT_256}");
    assert_agrees(&sdp(&[
        "v=0",
        "o=- 6393063236014425371 1730000000 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=msid-semantic:WMS*",
        &fingerprint,
        "a=group:BUNDLE data",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=setup:actpass",
        "a=mid:data",
        "a=sendrecv",
        "a=sctp-port:5000",
        "a=ice-ufrag:YxWvUtSrQpOnMlKj",
        "a=ice-pwd:AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf",
    ]));
}

#[test]
fn our_offer_calls_its_section_zero_and_takes_an_answer_to_that() {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let now = Instant::now();
    let (mut offerer, offer) = webrtc.offer(now, &[candidate()], Packets::Full).unwrap();
    assert_eq!(first_mid(&offer), Some("0"));
    assert!(offer.contains("a=setup:actpass"));
    offerer.accept_answer(now, &answer(&offer)).unwrap();
}

/// libdatachannel does so with every attribute of the media section that it does not know.
#[test]
fn an_answer_that_repeats_our_init_of_sctp_is_taken() {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let now = Instant::now();
    let (mut offerer, offer) = webrtc.offer(now, &[candidate()], Packets::Full).unwrap();
    let init = |sdp: &str| {
        let mut lines = sdp.lines();
        lines
            .find(|line| line.starts_with("a=sctp-init:"))
            .unwrap()
            .to_owned()
    };
    let answer = answer(&offer);
    let repeating = answer.replace(&init(&answer), &init(&offer));
    assert_ne!(repeating, answer);
    offerer.accept_answer(now, &repeating).unwrap();
}

#[test]
fn what_is_no_description_is_refused_without_quoting_it() {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    for garbage in ["", "v=0\r\n", "a=ice-pwd:secret-of-a-peer", "\u{0}\u{1}"] {
        let refused = webrtc.answer(Instant::now(), &[candidate()], Packets::Full, garbage);
        let error = refused.map(|_| ()).expect_err(garbage);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn candidates_of_no_use_are_refused_one_by_one() {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let now = Instant::now();
    let (_, offer) = webrtc.offer(now, &[candidate()], Packets::Full).unwrap();
    let (mut link, _) = webrtc
        .answer(now, &[candidate()], Packets::Full, &offer)
        .unwrap();
    for garbage in [
        "",
        "candidate:",
        "candidate:1 1 udp 1 x.local 5000 typ host",
        "candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
        "\u{fffd}",
    ] {
        // A TCP candidate may be taken and not used; nothing may fail for it.
        let _ = link.add_remote_candidate(garbage);
    }
    link.add_remote_candidate("a=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host")
        .unwrap();
}
