//! `METRICS`: where a sidecar tells its numbers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::values;

/// An address at which a sidecar tells its numbers over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAddress {
    /// An address and TCP port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl MetricsAddress {
    /// Parses an address; `None` when the text is empty.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.contains('/') {
            return values::socket_path(text).map(|path| Some(MetricsAddress::Unix(path)));
        }
        let on_loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let port = text.strip_prefix("localhost:").unwrap_or(text);
        let address = text.parse().or_else(|_| port.parse().map(on_loopback));
        address
            .map(|address| Some(MetricsAddress::Tcp(address)))
            .map_err(|_| {
                "give IP:PORT, as in 127.0.0.1:9464, or the path of a Unix socket, as in \
                 /run/sidecar/metrics.sock"
                    .to_owned()
            })
    }

    /// Returns the address if others than this machine may reach it.
    pub(super) fn public(&self) -> Option<SocketAddr> {
        match self {
            MetricsAddress::Tcp(address) if !address.ip().to_canonical().is_loopback() => {
                Some(*address)
            }
            MetricsAddress::Tcp(_) | MetricsAddress::Unix(_) => None,
        }
    }

    /// Returns whether it is a port that only this machine reaches.
    pub fn is_local_port(&self) -> bool {
        matches!(self, MetricsAddress::Tcp(_)) && self.public().is_none()
    }

    /// Returns the address at which a client on this machine reaches it.
    pub fn reachable(&self) -> Self {
        match self {
            MetricsAddress::Tcp(address) => MetricsAddress::Tcp(of_this_machine(*address)),
            MetricsAddress::Unix(_) => self.clone(),
        }
    }
}

/// Returns an address of this machine at which a server can be reached that listens on any address.
pub(crate) fn of_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricsAddress::Tcp(address) => address.fmt(f),
            MetricsAddress::Unix(path) => fmt::Debug::fmt(path, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        let address = MetricsAddress::parse(text).ok()?;
        Some(address.map_or("none".to_owned(), |address| address.to_string()))
    }

    #[test]
    fn takes_addresses_ports_and_paths() {
        for (text, told) in [
            ("", "none"),
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("9464", "127.0.0.1:9464"),
            ("localhost:9464", "127.0.0.1:9464"),
            ("[::1]:0", "[::1]:0"),
            ("/run/m.sock", "\"/run/m.sock\""),
            ("./m", "\"./m\""),
        ] {
            assert_eq!(parse(text).as_deref(), Some(told), "{text}");
        }
        for text in ["host:9464", "127.0.0.1", "99999", "127.0.0.1:x", "/x\n"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&format!("/{}", "x".repeat(107))), None);
    }

    #[test]
    fn an_address_that_others_reach_is_told_apart() {
        let public = |text| MetricsAddress::parse(text).unwrap().unwrap().public();
        for text in [
            "127.0.0.1:1",
            "127.1.2.3:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "/a",
        ] {
            assert_eq!(public(text), None, "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "192.0.2.1:1"] {
            assert!(public(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_server_on_any_address_is_reached_on_the_loopback_interface() {
        let reached = |text| {
            let address = MetricsAddress::parse(text).unwrap().unwrap();
            address.reachable().to_string()
        };
        assert_eq!(reached("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reached("[::]:1"), "[::1]:1");
        assert_eq!(reached("192.0.2.1:1"), "192.0.2.1:1");
    }
}
