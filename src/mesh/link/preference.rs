//! The order in which our own addresses are preferred, as the ICE agent is told it.
//!
//! str0m gives each host candidate a local preference (RFC 8445 section 5.1.2.2) by how many it was given
//! before of the same family: IPv4 65534, 65532, 65530 and so on, IPv6 65535, 65533, 65531. So the first IPv6
//! address is always preferred to the first IPv4 address, be it a VPN's. What we prefer is said by the order
//! of addition, whatever the family. Where that takes it, the agent is given a candidate that it takes out
//! again at once, so that it counts one more.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use str0m::net::Protocol;
use str0m::{Candidate, CandidateKind, Rtc};

/// Counts the host candidates of each family that the ICE agent was given.
#[derive(Debug, Default)]
pub(super) struct Preferences {
    ipv4: Vec<SocketAddr>,
    ipv6: Vec<SocketAddr>,
}

impl Preferences {
    /// Adds a local candidate, preferred less than all host candidates that were added before.
    pub(super) fn add<'a>(
        &mut self,
        rtc: &'a mut Rtc,
        candidate: Candidate,
    ) -> Option<&'a Candidate> {
        let address = candidate.addr();
        // One that comes back has the preference that it had.
        let known = [&self.ipv4, &self.ipv6];
        let is_new = !known.iter().any(|known| known.contains(&address));
        if candidate.kind() == CandidateKind::Host && is_new {
            while self.is_too_good(address) {
                self.add_placeholder(rtc, address);
            }
            self.family_of(address).push(address);
        }
        rtc.add_local_candidate(candidate)
    }

    /// Returns whether the next candidate of this family would be preferred to one of the other.
    fn is_too_good(&self, address: SocketAddr) -> bool {
        if address.is_ipv6() {
            self.ipv6.len() < self.ipv4.len()
        } else {
            self.ipv4.len() + 1 < self.ipv6.len()
        }
    }

    fn add_placeholder(&mut self, rtc: &mut Rtc, beside: SocketAddr) {
        let number = u16::try_from(self.family_of(beside).len()).unwrap_or(u16::MAX);
        // Addresses that nobody has (RFC 5737 and RFC 6666).
        let nowhere: SocketAddr = if beside.is_ipv6() {
            (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1), number + 1).into()
        } else {
            (Ipv4Addr::new(192, 0, 2, 255), number + 1).into()
        };
        self.family_of(beside).push(nowhere);
        if let Ok(placeholder) = Candidate::host(nowhere, Protocol::Udp) {
            rtc.add_local_candidate(placeholder.clone());
            rtc.direct_api().invalidate_candidate(&placeholder);
        }
    }

    fn family_of(&mut self, address: SocketAddr) -> &mut Vec<SocketAddr> {
        if address.is_ipv6() {
            &mut self.ipv6
        } else {
            &mut self.ipv4
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::mesh::link::webrtc::WebRtc;
    use crate::mesh::link::{Linker, Packets, description};
    use crate::nat::candidate::LocalCandidate;

    /// Returns the addresses of the offer's candidates, by priority.
    fn by_priority(addresses: &[&str]) -> Vec<String> {
        let host = |address: &&str| LocalCandidate::Host {
            address: address.parse().unwrap(),
        };
        let hosts: Vec<_> = addresses.iter().map(host).collect();
        let mut linker = WebRtc::new(1000).unwrap();
        let (_, offer) = linker.offer(Instant::now(), &hosts, Packets::Full).unwrap();
        let mut told: Vec<_> = description::candidates(&offer)
            .map(|line| {
                let fields: Vec<_> = line.split(' ').collect();
                let priority: u32 = fields[3].parse().unwrap();
                (priority, fields[4].to_owned())
            })
            .collect();
        told.sort();
        told.into_iter().rev().map(|(_, address)| address).collect()
    }

    #[test]
    fn what_is_added_first_is_preferred_whatever_its_family() {
        let orders = [
            ["192.168.7.11:1", "[fd7a::1]:1", "100.64.0.1:1"],
            ["[2001:db8::1]:1", "192.168.7.11:1", "[fd7a::1]:1"],
            ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.168.7.11:1"],
            ["192.168.7.11:1", "192.168.7.12:1", "[fd7a::1]:1"],
        ];
        for order in orders {
            let addresses = order.map(|address| address.rsplit_once(':').unwrap().0);
            let addresses = addresses.map(|address| address.trim_matches(['[', ']']));
            assert_eq!(by_priority(&order), addresses);
        }
    }

    #[test]
    fn link_local_addresses_are_told() {
        let told = by_priority(&["169.254.7.1:1", "[fe80::1]:1"]);
        assert_eq!(told, ["fe80::1", "169.254.7.1"]);
    }
}
