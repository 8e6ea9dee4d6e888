//! Tells addresses at which something can be reached from those at which nothing can.

use std::net::{IpAddr, SocketAddr};

/// Returns whether packets can be sent to an address as to one socket of one machine.
pub fn is_endpoint(address: SocketAddr) -> bool {
    is_of_one_machine(address.ip()) && address.port() != 0
}

/// Returns whether an address may be that of one machine: neither unspecified nor multicast.
pub fn is_of_one_machine(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}

/// Returns whether an address means something on the internet: not those of private networks (RFC 1918),
/// carriers (RFC 6598), links, machines and unique local ones (RFC 4193).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_carriers = first == 100 && second & 0xc0 == 64;
            let is_local = v4.is_private() || v4.is_link_local() || v4.is_loopback();
            !is_carriers && !is_local && first != 0 && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            let is_local = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback();
            !is_local && !v6.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_networks_behind_routers_are_not_public() {
        for private in [
            "10.0.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.1",
            "169.254.1.1",
            "127.0.0.1",
            "0.0.0.0",
            "fd00::1",
            "fe80::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["198.51.100.1", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
