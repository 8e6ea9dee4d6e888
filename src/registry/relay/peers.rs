//! Which peers are relayed to. A relay that forwards to anywhere lets strangers into the network behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::networks::Networks;
use crate::nat::reachable::{is_of_one_machine, is_public};

/// The answer to whether a peer's address is relayed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Any port of it.
    All,
    /// Only the relayed addresses there: the address is our own.
    Relayed,
    /// Nothing.
    Nothing,
}

/// The rules.
#[derive(Debug)]
pub(super) struct Peers {
    /// `RELAY_ALLOW`: what is opened although it is private, or our own.
    opened: Networks,
    own: Vec<IpAddr>,
}

impl Peers {
    pub(super) fn new(opened: Networks) -> Self {
        Peers {
            opened,
            own: Vec::new(),
        }
    }

    /// Sets the addresses at which this machine is reached.
    pub(super) fn set_own(&mut self, own: Vec<IpAddr>) {
        self.own = own;
    }

    /// Returns what of an address is relayed to.
    pub(super) fn reach(&self, address: IpAddr) -> Reach {
        let address = embedded(address);
        if !is_of_one_machine(address) {
            Reach::Nothing
        } else if self.opened.contain(address) {
            Reach::All
        } else if self.own.contains(&address) {
            Reach::Relayed
        } else if is_public(address) && !is_reserved(address) {
            Reach::All
        } else {
            Reach::Nothing
        }
    }
}

/// Returns the IPv4 address to which an IPv6 address leads through a translator or a tunnel: mapped and
/// compatible ones, NAT64 (RFC 6052), translated ones (RFC 7915), 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    let low = |octets: &[u8; 16]| {
        let [.., a, b, c, d] = *octets;
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, ..] if v6 != Ipv6Addr::LOCALHOST && !v6.is_unspecified() => {
            low(&v6.octets())
        }
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => low(&v6.octets()),
        [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => address,
    }
}

/// Returns whether nobody on the internet has the address: protocol assignments (RFC 6890), benchmarks (RFC
/// 2544), class E, local NAT64 (RFC 8215), discarded (RFC 6666) and site-local ones (RFC 3879).
fn is_reserved(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [192, 0, 0, _] => true,
            [198, second, ..] => second & 0xfe == 18,
            [first, ..] => first >= 240,
        },
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..] => true,
            [first, ..] => first & 0xffc0 == 0xfec0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(peers: &Peers, address: &str) -> Reach {
        peers.reach(address.parse().unwrap())
    }

    #[test]
    fn only_the_internet_is_relayed_to() {
        let peers = Peers::new(Networks::default());
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.251",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2002:a00:1::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::fb",
        ] {
            assert_eq!(reach(&peers, address), Reach::Nothing, "{address}");
        }
        for address in [
            "8.8.8.8",
            "198.51.100.1",
            "::ffff:8.8.8.8",
            "2001:db8::1",
            "64:ff9b::808:808",
        ] {
            assert_eq!(reach(&peers, address), Reach::All, "{address}");
        }
    }

    #[test]
    fn our_own_addresses_only_as_relayed_ones() {
        let mut peers = Peers::new(Networks::default());
        peers.set_own(vec![
            "198.51.100.1".parse().unwrap(),
            "10.0.0.1".parse().unwrap(),
        ]);
        assert_eq!(reach(&peers, "198.51.100.1"), Reach::Relayed);
        assert_eq!(reach(&peers, "10.0.0.1"), Reach::Relayed);
        assert_eq!(reach(&peers, "198.51.100.2"), Reach::All);
    }

    #[test]
    fn what_is_opened_is_relayed_to() {
        let mut peers = Peers::new("10.0.0.0/8,127.0.0.0/8,0.0.0.0/0".parse().unwrap());
        peers.set_own(vec!["127.0.0.1".parse().unwrap()]);
        assert_eq!(reach(&peers, "10.9.9.9"), Reach::All);
        assert_eq!(reach(&peers, "127.0.0.1"), Reach::All);
        assert_eq!(reach(&peers, "224.0.0.1"), Reach::Nothing);
    }
}
