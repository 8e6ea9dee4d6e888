//! Peers that nominate a path only when a check comes along it: pion and webrtc-rs as offerers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::mesh::link::webrtc::WebRtc;
use crate::mesh::link::webrtc_link::WebRtcLink;
use crate::mesh::link::{Link, LinkOutput, Linker, Packets};
use crate::nat::candidate::LocalCandidate;

const OURS: &str = "192.0.2.1:5000";
const THEIRS: &str = "192.0.2.2:5000";
const STEP: Duration = Duration::from_millis(10);

/// When such a peer looks at its paths once more, at the latest.
const THEIR_INTERVAL: Duration = Duration::from_millis(200);

fn host(address: &str) -> LocalCandidate {
    LocalCandidate::Host {
        address: address.parse().unwrap(),
    }
}

fn sends_a_check(link: &mut WebRtcLink, to: SocketAddr) -> bool {
    let mut sent = false;
    loop {
        match link.poll().unwrap() {
            LinkOutput::Timeout(_) => return sent,
            LinkOutput::Transmit(transmit) => sent |= transmit.destination == to,
            _ => {}
        }
    }
}

#[test]
fn an_answerer_checks_a_path_again_before_they_look_at_it_again() {
    let start = Instant::now();
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let (_, offer) = webrtc.offer(start, &[host(THEIRS)], Packets::Full).unwrap();
    let (mut answerer, _) = webrtc
        .answer(start, &[host(OURS)], Packets::Full, &offer)
        .unwrap();
    let mut checks = Vec::new();
    let mut now = start;
    while now < start + THEIR_INTERVAL {
        answerer.handle_timeout(now).unwrap();
        if sends_a_check(&mut answerer, THEIRS.parse().unwrap()) {
            checks.push(now - start);
        }
        now += STEP;
    }
    let second = checks.get(1).copied();
    assert!(
        second.is_some_and(|at| at < THEIR_INTERVAL * 2 / 3),
        "checks after {checks:?}"
    );
}
