//! Networks of addresses, as in `10.0.0.0/8`.

use std::net::IpAddr;
use std::str::FromStr;

use super::url::bare_host;
use crate::limits;

/// An address and how many bits of it count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Parses an address, or an address and the bits that count; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok()),
            None => (text, None),
        };
        let address = bare_host(address).parse::<IpAddr>().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all).min(all);
        Some(Network { address, bits })
    }

    /// Returns whether the address is one of the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = match (address.to_canonical(), self.address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
            _ => return false,
        };
        differ.leading_zeros() >= u32::from(self.bits)
    }
}

/// A list of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// Parses networks between commas.
impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        let networks = entries.map(|entry| {
            let network = Network::parse(entry);
            network
                .ok_or_else(|| "give addresses or networks, as in 127.0.0.1,10.0.0.0/8".to_owned())
        });
        let networks = networks.take(limits::PROXY_EXEMPTIONS);
        networks.collect::<Result<_, _>>().map(Networks)
    }
}

impl Networks {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_told_apart_from_other_texts() {
        let networks = "127.0.0.1, 10.0.0.0/8,fd00::/8"
            .parse::<Networks>()
            .unwrap();
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.9.8.7", true),
            ("fdff::1", true),
            ("fe80::1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(networks.contain(address), expected, "{address}");
        }
        assert_eq!("".parse(), Ok(Networks::default()));
        assert!("localhost".parse::<Networks>().is_err());
        assert!("10.0.0.0/8,x".parse::<Networks>().is_err());
    }
}
