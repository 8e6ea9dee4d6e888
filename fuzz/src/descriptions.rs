//! Reading session descriptions and candidates, by us and by str0m.

use str0m::Candidate;
use str0m::change::{SdpAnswer, SdpOffer};

use crate::limits;
use crate::mesh::link::description;
use crate::mesh::link::sctp_init::without_forward_tsn;
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

    let renamed = description::rename_mid(&rewritten, "0", "renamed");
    assert_eq!(renamed.lines().count(), rewritten.lines().count());
    let _ = (description::max_message_bytes(&rewritten), description::waits_for_sctp(&rewritten));

    let offer = SdpOffer::from_sdp_string(&rewritten).map(|offer| offer.to_sdp_string());
    let answer = SdpAnswer::from_sdp_string(&rewritten).map(|answer| answer.to_sdp_string());
    for read in [offer, answer].into_iter().flatten() {
        agree(&rewritten, &read);
    }
}

/// What we read of a description is what str0m has read, which is written anew in `read` (without what it has read of
/// the session level).
fn agree(sdp: &str, read: &str) {
    if let Some(fingerprint) = description::fingerprint(sdp) {
        let own = format!("a=fingerprint:sha-256 {fingerprint}");
        let told = read.lines().filter(|line| line.starts_with("a=fingerprint:"));
        told.for_each(|line| assert_eq!(line, own));
    }
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
