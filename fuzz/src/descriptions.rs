//! Reading session descriptions, and candidates as str0m does, too.

use str0m::{Candidate, IceCreds};

use crate::limits;
use crate::mesh::link::description;
use crate::mesh::link::description::local::LocalDescription;
use crate::mesh::link::description::remote::{RemoteDescription, Setup};
use crate::mesh::link::sctp_init::without_forward_tsn;
use crate::protocol::fingerprint;
use crate::protocol::multicast_dns::is_local_name;

/// Reads a description as it is read when it comes in.
pub fn read_description(sdp: &str) {
    if sdp.len() > limits::DESCRIPTION_BYTES {
        return;
    }
    let most = limits::CANDIDATES_PER_CONNECTION;
    let limited = description::limit_candidates(sdp, most);
    assert!(description::candidates(&limited).count() <= most);
    assert!(limited.len() <= sdp.len());
    let rewritten = without_forward_tsn(&limited);
    assert_eq!(without_forward_tsn(&rewritten), rewritten);

    let _ = description::max_message_bytes(&rewritten);
    let Ok(remote) = RemoteDescription::read(&rewritten) else {
        return;
    };
    if let Some(told) = description::fingerprint(&rewritten) {
        assert_eq!(fingerprint::of_digest(&remote.fingerprint.bytes), told);
    }
    assert!(description::candidates(&rewritten).eq(&remote.candidates));
    let answered = RemoteDescription::read(&answer(&remote)).unwrap_or_else(|error| panic!("{error}"));
    let sections = |read: &RemoteDescription| read.sections.iter().map(|section| section.mid.clone()).collect::<Vec<_>>();
    assert_eq!(sections(&answered), sections(&remote));
    assert_eq!(answered.data_section, remote.data_section);
    assert_eq!(answered.is_bundled, remote.is_bundled);
    assert_eq!(answered.setup, Some(Setup::Passive));
    assert!(!answered.waits_for_sctp());
}

/// Our answer to an offer.
fn answer(offer: &RemoteDescription) -> String {
    let ours = LocalDescription {
        session_id: 1,
        candidates: vec!["candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host".to_owned()],
        credentials: IceCreds {
            ufrag: "ours".to_owned(),
            pass: "of-twenty-two-letters!".to_owned(),
        },
        fingerprint: vec!["0A"; 32].join(":"),
        max_message_bytes: 262_144,
        sctp_init: None,
    };
    let answer = ours.answer(offer, Setup::Passive);
    assert_eq!(answer.matches("\r\n").count(), answer.matches(['\r', '\n']).count() / 2);
    answer
}

/// Reads a line as a candidate.
pub fn read_candidate(line: &str) {
    let ours = description::candidate_address(line);
    if let Some(name) = description::candidate_name(line) {
        assert!(is_local_name(name) && ours.is_none());
    }
    let Ok(candidate) = Candidate::from_sdp_string(line) else {
        return;
    };
    if let Some((address, _)) = ours {
        assert_eq!(address, candidate.addr(), "{line}");
    }
    let _ = candidate.to_sdp_string();
}
