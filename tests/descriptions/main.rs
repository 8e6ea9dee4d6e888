//! Tests with session descriptions: ours are as they have ever been, line by line, and those that the stacks in the
//! field write are answered, even if they hold things that we can't use.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reading;
mod stacks;

use std::net::SocketAddr;
use std::time::Instant;

use chatixia_sidecar::mesh::link::webrtc::WebRtc;
use chatixia_sidecar::mesh::link::{Link, Linker, Packets};
use chatixia_sidecar::nat::candidate::LocalCandidate;

/// What we write, with names for what differs each time.
const OURS: &str = "\
v=0
o=- {id} 2 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE {mid}
a=extmap-allow-mixed
a=msid-semantic: WMS{space}
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:fffeff7e32c583ef85edbb1a 1 udp 2130706175 127.0.0.1 5000 typ host ufrag {ufrag}
a=ice-ufrag:{ufrag}
a=ice-pwd:{pwd}
a=ice-options:trickle
a=fingerprint:sha-256 {fingerprint}
a=setup:{setup}
a=mid:{mid}
a=sctp-port:5000
a=max-message-size:262144
";

/// The line that a description between two of ours has, too.
const INIT: &str = "a=sctp-init:{init}\n";

fn ours(mid: &str, setup: &str) -> String {
    OURS.replace("{mid}", mid)
        .replace("{setup}", setup)
        .replace("{space}", " ")
}

/// Returns a description of ours with names in place of what differs each time.
fn shape(sdp: &str) -> String {
    let value = |attribute: &str| {
        let mut lines = sdp.lines();
        lines.find_map(|line| Some(line.strip_prefix(attribute)?.to_owned()))
    };
    let lengths = [
        ("a=ice-ufrag:", 8),
        ("a=ice-pwd:", 22),
        ("a=fingerprint:sha-256 ", 95),
    ];
    for (attribute, length) in lengths {
        assert_eq!(value(attribute).unwrap().len(), length, "{attribute}");
    }
    let origin = value("o=").unwrap();
    let id = origin.split(' ').nth(1).unwrap();
    assert!(id.parse::<u64>().is_ok_and(|id| id < 1 << 62), "{id}");
    let mut shape = sdp.replacen(id, "{id}", 1);
    for (attribute, name) in [
        ("a=ice-ufrag:", "{ufrag}"),
        ("a=ice-pwd:", "{pwd}"),
        ("a=fingerprint:sha-256 ", "{fingerprint}"),
        ("a=sctp-init:", "{init}"),
    ] {
        if let Some(value) = value(attribute) {
            shape = shape.replace(&value, name);
        }
    }
    assert_eq!(shape.matches("\r\n").count(), shape.matches('\n').count());
    shape.replace("\r\n", "\n")
}

fn candidate() -> LocalCandidate {
    let address = SocketAddr::from(([127, 0, 0, 1], 5000));
    LocalCandidate::Host { address }
}

fn answer(offer: &str) -> String {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let (_, answer) = webrtc
        .answer(Instant::now(), &[candidate()], Packets::Full, offer)
        .unwrap_or_else(|error| panic!("{error}: {offer}"));
    answer
}

/// Takes the answer to an offer of ours.
fn take(answer: &str) {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let now = Instant::now();
    let (mut offerer, _) = webrtc.offer(now, &[candidate()], Packets::Full).unwrap();
    let taken = offerer.accept_answer(now, answer);
    taken.unwrap_or_else(|error| panic!("{error}: {answer}"));
}

#[test]
fn our_offer_and_our_answer_to_it() {
    let mut webrtc = WebRtc::new(262_144).unwrap();
    let now = Instant::now();
    let (mut offerer, offer) = webrtc.offer(now, &[candidate()], Packets::Full).unwrap();
    assert_eq!(shape(&offer), ours("0", "actpass") + INIT);
    let answer = answer(&offer);
    assert_eq!(shape(&answer), ours("0", "passive") + INIT);
    offerer.accept_answer(now, &answer).unwrap();
}

#[test]
fn offers_of_other_stacks_are_answered() {
    for (name, offer) in stacks::OFFERS {
        let offer = stacks::text(offer);
        let mid = if offer.contains("a=mid:data") {
            "data"
        } else {
            "0"
        };
        assert_eq!(shape(&answer(&offer)), ours(mid, "passive"), "{name}");
        // One that has chosen its part itself.
        let passive = offer.replace("a=setup:actpass", "a=setup:passive");
        assert_eq!(shape(&answer(&passive)), ours(mid, "active"), "{name}");
        let active = offer.replace("a=setup:actpass", "a=setup:active");
        assert_eq!(shape(&answer(&active)), ours(mid, "passive"), "{name}");
        let unix = offer.replace("\r\n", "\n");
        assert_eq!(shape(&answer(&unix)), ours(mid, "passive"), "{name}");
    }
}

#[test]
fn answers_of_other_stacks_are_taken() {
    for (_, description) in stacks::OFFERS {
        let description = stacks::text(description).replace("BUNDLE data", "BUNDLE 0");
        let description = description.replace("a=mid:data", "a=mid:0");
        for setup in ["active", "passive"] {
            let setup = format!("a=setup:{setup}");
            take(&description.replace("a=setup:actpass", &setup));
        }
    }
}

#[test]
fn the_old_way_to_write_a_section_is_read() {
    let answer = answer(&stacks::text(stacks::OLD));
    assert_eq!(shape(&answer), ours("data", "passive"));
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

#[test]
fn of_several_sections_only_the_one_for_data_is_accepted() {
    const REFUSED: &str = "\
m=audio 0 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=mid:0
a=inactive
m=video 0 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:1
a=inactive
";
    let answer = answer(&stacks::text(stacks::WITH_MEDIA));
    let section = "m=application";
    let expected = ours("2", "passive").replace(section, &[REFUSED, section].concat());
    assert_eq!(shape(&answer), expected);
}

#[test]
fn an_offer_without_a_group_is_answered_without_one() {
    let without = |name: &str, sdp: &str| {
        let lines = sdp.split_inclusive('\n');
        let kept = lines.filter(|line| !line.contains(name));
        kept.collect::<String>()
    };
    let (_, chromium) = stacks::OFFERS[0];
    let offer = without("a=group", &stacks::text(chromium));
    let expected = without("a=group", &ours("0", "passive"));
    assert_eq!(shape(&answer(&offer)), expected);
    let offer = without("a=mid", &offer);
    let expected = without("a=mid", &expected);
    assert_eq!(shape(&answer(&offer)), expected);
}
