//! `EXTERNAL_ADDRESS`: where our UDP ports are reached from outside, for routers and containers that forward
//! ports to us. No server has to tell it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address outside, and which of its ports lead to which of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalAddress {
    /// The address.
    pub address: IpAddr,
    /// Its first and last port; `None` if each leads to the same port of ours.
    pub ports: Option<(u16, u16)>,
}

impl ExternalAddress {
    /// Returns where `socket` is reached from outside, given the range of our own ports (`UDP_PORT`): the
    /// ports lead to them one to one. `None` if it is of the other family, or of a port without a
    /// counterpart.
    pub fn of(&self, socket: SocketAddr, own: Option<(u16, u16)>) -> Option<SocketAddr> {
        if self.address.is_ipv4() != socket.is_ipv4() {
            return None;
        }
        let port = match self.ports {
            None => socket.port(),
            Some((first, last)) => {
                let number = socket.port().checked_sub(own?.0)?;
                let port = first.checked_add(number)?;
                (port <= last).then_some(port)?
            }
        };
        Some(SocketAddr::new(self.address, port))
    }
}

/// Writes it as in the setting.
impl fmt::Display for ExternalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ports {
            None => self.address.fmt(f),
            Some((first, last)) => {
                SocketAddr::new(self.address, first).fmt(f)?;
                if first < last {
                    write!(f, "-{last}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ports_lead_to_ours_one_to_one() {
        let outside = ExternalAddress {
            address: "203.0.113.7".parse().unwrap(),
            ports: Some((50_000, 50_002)),
        };
        let own = Some((40_000, 40_002));
        let of = |port| outside.of(socket(&format!("172.17.0.2:{port}")), own);
        assert_eq!(of(40_000), Some(socket("203.0.113.7:50000")));
        assert_eq!(of(40_002), Some(socket("203.0.113.7:50002")));
        assert_eq!(of(40_003), None);
        assert_eq!(of(39_999), None);
        assert_eq!(outside.of(socket("[::1]:40000"), own), None);
        assert_eq!(outside.to_string(), "203.0.113.7:50000-50002");
    }

    #[test]
    fn an_address_alone_keeps_the_port() {
        let outside = ExternalAddress {
            address: "2001:db8::7".parse().unwrap(),
            ports: None,
        };
        let found = outside.of(socket("[fd00::2]:1234"), None);
        assert_eq!(found, Some(socket("[2001:db8::7]:1234")));
    }
}
