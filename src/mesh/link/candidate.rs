//! Our candidates as str0m takes them.

use std::net::{IpAddr, SocketAddr};

use str0m::net::Protocol;
use str0m::{Candidate, CandidateKind};

use super::LinkError;
use crate::nat::candidate::LocalCandidate;

/// Returns the candidate of the ICE agent for one of ours.
pub(super) fn candidate_of(local: LocalCandidate) -> Result<Candidate, LinkError> {
    match local {
        LocalCandidate::Host { address } if is_ipv4_link_local(address) => Ok(link_local(address)),
        LocalCandidate::Host { address } => Candidate::host(address, Protocol::Udp),
        LocalCandidate::ServerReflexive { address, base } => {
            Candidate::server_reflexive(address, base, Protocol::Udp)
        }
        LocalCandidate::Relayed { address, base } => {
            Candidate::relayed(address, base, Protocol::Udp)
        }
    }
    .map_err(|error| LinkError(error.to_string()))
}

fn is_ipv4_link_local(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(v4) if v4.is_link_local())
}

/// Returns a host candidate of an IPv4 address of a link. str0m does not make one, but takes one with a
/// priority of its own: here the least that a host candidate can have (RFC 8445 section 5.1.2.1).
fn link_local(address: SocketAddr) -> Candidate {
    const PRIORITY: u32 = (126 << 24) | 255;
    let (kind, foundation) = (CandidateKind::Host, "linklocal".to_owned());
    Candidate::from_parts(
        foundation,
        1,
        Protocol::Udp,
        PRIORITY,
        address,
        kind,
        None,
        None,
        None,
    )
}
