//! What is read of a peer's description, wherever in it that stands, and what is refused.

use std::time::Instant;

use chatixia_sidecar::limits;
use chatixia_sidecar::mesh::link::description::remote::{RemoteDescription, Setup};
use str0m::Rtc;
use str0m::change::SdpOffer;

use super::{answer, stacks};

/// Chromium's offer.
fn offer() -> String {
    stacks::text(stacks::OFFERS[0].1)
}

fn read(sdp: &str) -> RemoteDescription {
    RemoteDescription::read(sdp).unwrap_or_else(|error| panic!("{error}: {sdp}"))
}

/// Returns why a description is refused. The text has secrets in it.
fn refusal(sdp: &str) -> String {
    let refused = RemoteDescription::read(sdp).err();
    let refusal = refused
        .unwrap_or_else(|| panic!("taken: {sdp}"))
        .to_string();
    assert!(!refusal.contains("4ZcD"), "{refusal}");
    assert!(!refusal.contains("2/1muCW"), "{refusal}");
    refusal
}

fn without(attribute: &str, sdp: &str) -> String {
    let lines = sdp.split_inclusive('\n');
    let kept = lines.filter(|line| !line.starts_with(attribute));
    kept.collect()
}

#[test]
fn what_is_missing_is_said() {
    for (attribute, said) in [
        (
            "m=",
            "the session description has no section for data channels",
        ),
        (
            "a=ice-ufrag",
            "the session description has no a=ice-ufrag and a=ice-pwd",
        ),
        (
            "a=ice-pwd",
            "the session description has no a=ice-ufrag and a=ice-pwd",
        ),
        (
            "a=fingerprint",
            "the session description has no a=fingerprint by SHA-256 or SHA-1",
        ),
    ] {
        assert_eq!(refusal(&without(attribute, &offer())), said);
    }
    let refused = offer()
        .replace("49203 UDP", "0 UDP")
        .replace("BUNDLE 0", "BUNDLE");
    assert_eq!(
        refusal(&refused),
        "the session description refuses data channels"
    );
    for empty in ["", "v=0\r\n", "\u{0}"] {
        assert!(refusal(empty).ends_with("has no section for data channels"));
    }
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let sections = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(limits::DESCRIPTION_SECTIONS);
    assert!(refusal(&(offer() + &sections)).ends_with("has more than 64 media sections"));
    let long = offer() + &"a=x\r\n".repeat(limits::DESCRIPTION_BYTES / 5);
    assert!(refusal(&long).ends_with("bytes, more than 32768"));
    let password = offer().replace("2/1muCWoOi3uLifh0NuRHlZZ", &"p".repeat(257));
    assert!(refusal(&password).ends_with("has ICE credentials of more than 256 bytes"));
    let split = offer().replace("a=mid:0", "a=mid:0\ra=x");
    assert!(refusal(&split).ends_with("has a carriage return within a line"));
    for (old, new) in [
        ("sha-256", "sha-3"),
        (":04:24", ":04"),
        (":04:24", ":04:+4"),
    ] {
        let odd = offer().replace(old, new);
        assert!(refusal(&odd).ends_with("has no a=fingerprint by SHA-256 or SHA-1"));
    }
}

#[test]
fn a_section_counts_more_than_its_session_and_that_more_than_other_sections() {
    let section = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
    let digest = |byte| vec![byte; 32].join(":");
    let level = |name: &str, setup: &str, byte| {
        let digest = digest(byte);
        format!(
            "a=ice-ufrag:{name}\r\na=ice-pwd:{name}-password\r\na=setup:{setup}\r\na=fingerprint:SHA-256 {digest}\r\n"
        )
    };
    let audio = format!("m=audio 9 X 0\r\n{}", level("audio", "active", "0a"));
    let session = level("session", "passive", "0B");
    let own = level("own", "actpass", "0c");
    for (sdp, name, setup, byte) in [
        (
            format!("v=0\r\n{session}{audio}{section}{own}"),
            "own",
            Setup::ActPass,
            12,
        ),
        (
            format!("v=0\r\n{session}{audio}{section}"),
            "session",
            Setup::Passive,
            11,
        ),
        (
            format!("v=0\r\n{audio}{section}"),
            "audio",
            Setup::Active,
            10,
        ),
        (
            format!("v=0\r\n{section}{audio}"),
            "audio",
            Setup::Active,
            10,
        ),
    ] {
        let read = read(&sdp);
        assert_eq!(read.credentials.ufrag, name);
        assert_eq!(read.credentials.pass, format!("{name}-password"));
        assert_eq!(read.setup, Some(setup));
        assert_eq!(read.fingerprint.hash_func, "sha-256");
        assert_eq!(read.fingerprint.bytes, [byte; 32]);
        assert!(!read.is_ice_lite && !read.is_bundled);
    }
}

#[test]
fn of_several_fingerprints_that_by_sha_256_is_taken_and_sha_1_if_there_is_no_other() {
    let sha_1 = format!("a=fingerprint:sha-1 {}\r\n", vec!["01"; 20].join(":"));
    let both = offer().replace("a=fingerprint", &format!("{sha_1}a=fingerprint"));
    assert_eq!(read(&both).fingerprint.hash_func, "sha-256");
    let only = without("a=fingerprint", &offer()) + &sha_1;
    assert_eq!(read(&only).fingerprint.bytes, [1; 20]);
}

#[test]
fn port_0_in_a_group_is_a_section_that_has_the_transport_of_another() {
    let offer = stacks::text(stacks::WITH_MEDIA)
        .replace("m=application 9", "m=application 0")
        .replace("a=mid:2", "a=mid:2\r\na=bundle-only");
    let read = read(&offer);
    assert!(read.is_bundled);
    assert_eq!(read.data_section, 2);
    let words: Vec<_> = read
        .sections
        .iter()
        .map(|section| section.media.as_str())
        .collect();
    assert_eq!(words, ["audio", "video", "application"]);
}

#[test]
fn the_section_for_data_may_be_in_any_of_several_groups() {
    let media = stacks::text(stacks::WITH_MEDIA);
    let groups = |groups| read(&media.replace("a=group:BUNDLE 0 1 2", groups)).is_bundled;
    assert!(groups("a=group:BUNDLE 0 1\r\na=group:BUNDLE 2"));
    assert!(groups("a=group:LS 0 1\r\na=group:BUNDLE 2"));
    for without in [
        "a=group:BUNDLE 0 1",
        "a=group:BUNDLE",
        "a=group:BUNDLES 2",
        "a=group:LS 2",
    ] {
        assert!(!groups(without), "{without}");
    }
}

#[test]
fn answerers_that_do_not_begin_sctp_are_told_from_others() {
    let by_name = |name| {
        let mut offers = stacks::OFFERS.into_iter();
        let (_, offer) = offers.find(|(found, _)| *found == name).unwrap();
        stacks::text(offer).replace("actpass", "active")
    };
    let werift = by_name("werift");
    assert!(read(&werift).waits_for_sctp());
    assert!(read(&by_name("aiortc")).waits_for_sctp());
    assert!(!read(&by_name("libdatachannel").replace("262144", "65536")).waits_for_sctp());
    assert!(!read(&by_name("pion")).waits_for_sctp());
    assert!(!read(&werift.replace("active", "passive")).waits_for_sctp());
    assert!(!read(&werift.replace("65536", "262144")).waits_for_sctp());
}

#[test]
fn ice_lite_and_candidates_are_read() {
    let lite = offer().replace("a=group", "a=ice-lite\r\na=group");
    assert!(read(&lite).is_ice_lite);
    let (_, pion) = stacks::OFFERS[2];
    let read = read(&stacks::text(pion));
    assert_eq!(read.candidates.len(), 2);
    assert_eq!(
        read.candidates[0],
        "candidate:233762139 1 udp 2130706431 192.0.2.5 40001 typ host"
    );
}

#[test]
fn an_init_chunk_of_nothing_is_none() {
    let with = |value: &str| offer() + &format!("a=sctp-init{value}\r\n");
    for nothing in ["", ":", ": "] {
        assert_eq!(read(&with(nothing)).sctp_init, None);
        assert!(!answer(&with(nothing)).contains("a=sctp-init"));
    }
    assert_eq!(read(&with(":AQ==")).sctp_init.as_deref(), Some("AQ=="));
}

/// A line of the section for data channels.
fn of_data<'a>(sdp: &'a str, attribute: &str) -> Option<&'a str> {
    let (_, section) = sdp.split_once("m=application")?;
    section.lines().find(|line| line.starts_with(attribute))
}

/// What str0m makes of an offer, if it makes something of it.
fn as_str0m_answers(offer: &str) -> Option<String> {
    let offer = SdpOffer::from_sdp_string(offer).ok()?;
    let mut rtc = Rtc::new(Instant::now());
    let answer = rtc.sdp_api().accept_offer(offer).ok()?.to_sdp_string();
    answer.contains("m=application").then_some(answer)
}

/// str0m reads descriptions, too, and is in the field.
#[test]
fn what_str0m_takes_is_taken() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut taken = 0;
    let known = stacks::OFFERS.into_iter().map(|(_, offer)| offer);
    for sample in known.chain([stacks::WITH_MEDIA, stacks::OLD]) {
        for _ in 0..40 {
            let text = stacks::text(sample);
            let mut lines: Vec<_> = text.split_inclusive('\n').collect();
            for _ in 0..random.usize(..3) {
                let line = lines.remove(random.usize(..lines.len()));
                for _ in 0..random.usize(..3) {
                    lines.insert(random.usize(..=lines.len()), line);
                }
            }
            let offer = lines.concat();
            let Some(theirs) = as_str0m_answers(&offer) else {
                continue;
            };
            taken += 1;
            let ours = answer(&offer);
            for attribute in ["a=mid:", "a=setup:"] {
                let line = of_data(&ours, attribute);
                assert_eq!(line, of_data(&theirs, attribute), "{offer}");
            }
        }
    }
    assert!(taken > 100, "{taken}");
}
