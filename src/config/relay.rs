//! The settings of the registry that concern STUN and TURN: of its own relay, and of other servers.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use super::networks::Networks;
use super::settings::{self, Flags, Reader};
use super::values;
use crate::nat::url::{StunUrl, TurnUrl, list};
use crate::secret::Secret;

/// Bytes a second in one of the units of `RELAY_RATE`, a megabit a second.
const BYTES_PER_MEGABIT: u64 = 125_000;

/// The settings of `registry --relay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayConfig {
    /// `RELAY_LISTEN`, port 0 for a free one, or else `LISTEN` and the usual port.
    pub listen: SocketAddr,
    /// `EXTERNAL_ADDRESS`, one of a family at most: those under which this machine is reached from outside, if it does not
    /// have them itself.
    pub external: Vec<IpAddr>,
    /// `RELAY_HOST`, by which clients find it; `None`: that by which they found the registry.
    pub host: Option<String>,
    /// `RELAY_PORTS`: first and last, inclusive.
    pub ports: (u16, u16),
    /// `RELAY_ALLOW`: peers that are relayed to although they are private, or at our own addresses.
    pub opened: Networks,
    /// `RELAY_RATE`, for each peer, both ways together.
    pub bytes_per_second: u64,
}

/// The STUN and TURN servers that a registry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedServers {
    /// `--relay`
    pub relay: Option<RelayConfig>,
    /// `STUN_URL`
    pub stun: Vec<StunUrl>,
    /// `TURN_URL`
    pub turn: Vec<TurnUrl>,
    /// `TURN_SECRET`; given if there are TURN servers.
    pub secret: Option<Secret>,
}

impl NamedServers {
    /// Reads the settings. `listen` is the registry's own address.
    pub(super) fn read(
        reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>,
        flags: &Flags,
        listen: IpAddr,
    ) -> Self {
        let relay = relay(reader, listen);
        let named = NamedServers {
            relay: flags.has(&settings::RELAY).then_some(relay),
            stun: reader.read(&settings::STUN_URL, |text| list(text, StunUrl::parse)),
            turn: reader.read(&settings::TURN_URL, |text| list(text, TurnUrl::parse)),
            secret: reader.read(&settings::TURN_SECRET, values::turn_secret),
        };
        if !named.turn.is_empty() && named.secret.is_none() && reader.all_right() {
            reader.error("TURN_URL needs TURN_SECRET, of which logins are made".to_owned());
        }
        named
    }
}

fn relay(
    reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>,
    listen: IpAddr,
) -> RelayConfig {
    let outside = reader.read(&settings::EXTERNAL_ADDRESS, values::external_addresses);
    if let Some(outside) = outside.iter().find(|outside| outside.ports.is_some()) {
        reader.error(format!(
            "EXTERNAL_ADDRESS={outside}: give the address without ports; those of the relay are RELAY_PORTS"
        ));
    }
    let listens = |text: &str| relay_address(text, listen);
    let address = reader.read(&settings::RELAY_LISTEN, |text| listens(text).map(Some));
    let ports = reader.read(&settings::RELAY_PORTS, values::ports);
    let megabits = reader.read(&settings::RELAY_RATE, values::number(1..=100_000));
    RelayConfig {
        listen: address.unwrap_or(SocketAddr::new(listen, 0)),
        external: outside.iter().map(|outside| outside.address).collect(),
        host: reader.read(&settings::RELAY_HOST, host),
        ports: ports.unwrap_or((1, u16::MAX)),
        opened: reader.read(&settings::RELAY_ALLOW, str::parse::<Networks>),
        bytes_per_second: megabits as u64 * BYTES_PER_MEGABIT,
    }
}

/// Parses a port at the address `listen`, or an address and a port.
fn relay_address(text: &str, listen: IpAddr) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port| SocketAddr::new(listen, port));
    port.or_else(|_| text.parse())
        .map_err(|_| "give a UDP port, or an address and port as in 0.0.0.0:3478".to_owned())
}

/// Parses a host as URLs have it; `None` when empty.
fn host(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(address) = super::url::bare_host(text).parse::<IpAddr>() {
        return Ok(Some(match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        }));
    }
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    match text.bytes().all(is_of_name) {
        true => Ok(Some(text.to_owned())),
        false => Err("give a name or an address, without a port".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_at_the_registrys_address() {
        let listen = "198.51.100.1".parse().unwrap();
        let parsed = |text: &str| relay_address(text, listen).map(|address| address.to_string());
        assert_eq!(parsed("3478").unwrap(), "198.51.100.1:3478");
        assert_eq!(parsed("[::]:0").unwrap(), "[::]:0");
        assert!(parsed("").is_err());
        assert!(parsed("70000").is_err());
        assert!(parsed("0.0.0.0").is_err());
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        assert_eq!(host(""), Ok(None));
        assert_eq!(host("relay.example"), Ok(Some("relay.example".to_owned())));
        assert_eq!(host("2001:db8::1"), Ok(Some("[2001:db8::1]".to_owned())));
        assert_eq!(host("[2001:db8::1]"), Ok(Some("[2001:db8::1]".to_owned())));
        for wrong in ["a:1", "a/b", "turn:a", "a b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
