//! The peer's candidates as the ICE agent was given them, so that some can be left out and given again.

use std::net::SocketAddr;

use str0m::net::Protocol;
use str0m::{Candidate, CandidateKind, Rtc};

use crate::limits;

/// The candidates of a peer, and those that the ICE agent does without.
#[derive(Debug, Default)]
pub(super) struct RemoteCandidates {
    known: Vec<Candidate>,
    left_out: Vec<Candidate>,
}

impl RemoteCandidates {
    /// Gives the ICE agent a candidate.
    pub(super) fn add(&mut self, rtc: &mut Rtc, candidate: Candidate) {
        if self.known.len() < limits::CANDIDATES_PER_CONNECTION {
            self.known.push(candidate.clone());
        }
        rtc.add_remote_candidate(candidate);
    }

    /// Takes from the ICE agent all candidates of the peer but those at this address. `seen`: the addresses
    /// from which the peer was heard, of which it may have told nothing.
    pub(super) fn leave_out_all_but(
        &mut self,
        rtc: &mut Rtc,
        kept: SocketAddr,
        seen: &[SocketAddr],
    ) {
        let reflexive = seen.iter().map(|address| peer_reflexive(*address));
        let candidates = self.known.iter().cloned().chain(reflexive);
        for candidate in candidates.filter(|candidate| candidate.addr() != kept) {
            if rtc.direct_api().invalidate_candidate(&candidate) {
                self.left_out.push(candidate);
            }
        }
    }

    /// Gives the ICE agent what was left out.
    pub(super) fn restore(&mut self, rtc: &mut Rtc) {
        for candidate in self.left_out.drain(..) {
            rtc.add_remote_candidate(candidate);
        }
    }
}

/// Returns the candidate that the ICE agent makes of an address from which a check came (RFC 8445 section
/// 7.3.1.3), with the priority that is usual.
fn peer_reflexive(address: SocketAddr) -> Candidate {
    const PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;
    Candidate::from_parts(
        "seen".to_owned(),
        1,
        Protocol::Udp,
        PRIORITY,
        address,
        CandidateKind::PeerReflexive,
        None,
        None,
        None,
    )
}
