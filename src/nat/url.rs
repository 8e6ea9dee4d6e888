//! Parses and prints the URLs of STUN and TURN servers (RFC 7064, RFC 7065).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::limits;

/// The port of a `stun:` or `turn:` URL that names none.
const PLAIN_PORT: u16 = 3478;
/// The port of a `turns:` URL that names none.
const TLS_PORT: u16 = 5349;

/// The host of a server: a name that is to be resolved, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name of the DNS or of `/etc/hosts`.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(address) => address.fmt(f),
        }
    }
}

/// The transport between us and a TURN server. It relays UDP in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams from one of our sockets.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS on a TCP connection.
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        })
    }
}

/// A STUN URL: `stun:host[:port]`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StunUrl {
    /// The server's host.
    pub host: Host,
    /// Its UDP port.
    pub port: u16,
}

/// A TURN URL: `turn:host[:port][?transport=udp|tcp]` or `turns:host[:port][?transport=tcp]`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnUrl {
    /// The server's host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The transport that the URL names. `None` means UDP, and TCP where UDP gets no answer.
    pub transport: Option<Transport>,
}

impl StunUrl {
    /// Parses one URL.
    ///
    /// # Errors
    /// Says what would be right, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || "give stun:host or stun:host:port".to_owned();
        let (scheme, rest) = text.split_once(':').ok_or_else(wanted)?;
        if scheme.eq_ignore_ascii_case("stuns") {
            return Err("STUN over TLS finds no address of UDP: give stun:host".to_owned());
        }
        if !scheme.eq_ignore_ascii_case("stun") {
            return Err(wanted());
        }
        let (host, port) = host_and_port(rest).ok_or_else(wanted)?;
        let port = port.unwrap_or(PLAIN_PORT);
        Ok(StunUrl { host, port })
    }
}

impl TurnUrl {
    /// Parses one URL.
    ///
    /// # Errors
    /// Says what would be right, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || {
            "give turn:host:port, turn:host:port?transport=udp, ...=tcp, or turns:host:port"
                .to_owned()
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(wanted)?;
        let secure = scheme.eq_ignore_ascii_case("turns");
        if !secure && !scheme.eq_ignore_ascii_case("turn") {
            return Err(wanted());
        }
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let asked = match query.map(str::to_ascii_lowercase).as_deref() {
            None => None,
            Some("transport=udp") => Some(Transport::Udp),
            Some("transport=tcp") => Some(Transport::Tcp),
            Some(_) => return Err(wanted()),
        };
        let transport = match (secure, asked) {
            (false, asked) => asked,
            (true, None | Some(Transport::Tcp)) => Some(Transport::Tls),
            (true, Some(_)) => return Err("TURN over DTLS is not supported".to_owned()),
        };
        let (host, port) = host_and_port(place).ok_or_else(wanted)?;
        let port = port.unwrap_or(if secure { TLS_PORT } else { PLAIN_PORT });
        Ok(TurnUrl {
            host,
            port,
            transport,
        })
    }

    /// Returns the transports to try, the best first.
    pub fn transports(&self) -> &'static [Transport] {
        match self.transport {
            None => &[Transport::Udp, Transport::Tcp],
            Some(Transport::Udp) => &[Transport::Udp],
            Some(Transport::Tcp) => &[Transport::Tcp],
            Some(Transport::Tls) => &[Transport::Tls],
        }
    }
}

/// Parses a comma-separated list with `parse`. `none` and an empty text give an empty list.
///
/// # Errors
/// The error of the first entry that is not right, or that there are too many.
pub fn list<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let entries = text.split(',').map(str::trim).filter(|e| !e.is_empty());
    let servers = entries.map(parse).collect::<Result<Vec<_>, _>>()?;
    if servers.len() > limits::ICE_SERVERS {
        return Err(format!("give at most {} servers", limits::ICE_SERVERS));
    }
    Ok(servers)
}

impl fmt::Display for StunUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stun:{}", Authority(&self.host, self.port))
    }
}

impl fmt::Display for TurnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = Authority(&self.host, self.port);
        match self.transport {
            None => write!(f, "turn:{place}"),
            Some(Transport::Udp) => write!(f, "turn:{place}?transport=udp"),
            Some(Transport::Tcp) => write!(f, "turn:{place}?transport=tcp"),
            Some(Transport::Tls) => write!(f, "turns:{place}"),
        }
    }
}

struct Authority<'a>(&'a Host, u16);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.1),
            host => write!(f, "{host}:{}", self.1),
        }
    }
}

/// Parses `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(text: &str) -> Option<(Host, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (Host::Address(IpAddr::V6(address)), rest)
        }
        None => {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            let host = match name.parse() {
                Ok(address) => Host::Address(address),
                Err(_) if is_name(name) => Host::Name(name.to_ascii_lowercase()),
                Err(_) => return None,
            };
            (host, rest)
        }
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some((host, port))
}

/// Returns whether the text can be the name of a host (RFC 1123, and the underscore that some use).
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.trim_end_matches('.').split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written_back_with_their_port() {
        for (text, whole) in [
            ("stun:host", "stun:host:3478"),
            ("STUN:Host.Example.:19302", "stun:host.example.:19302"),
            ("stun:192.0.2.1", "stun:192.0.2.1:3478"),
            ("stun:[2001:db8::1]:5", "stun:[2001:db8::1]:5"),
        ] {
            assert_eq!(StunUrl::parse(text).unwrap().to_string(), whole);
        }
        for (text, whole) in [
            ("turn:host", "turn:host:3478"),
            ("turn:host?transport=udp", "turn:host:3478?transport=udp"),
            ("turn:[::1]:99?transport=TCP", "turn:[::1]:99?transport=tcp"),
            ("turns:host", "turns:host:5349"),
            ("turns:host:443?transport=tcp", "turns:host:443"),
        ] {
            assert_eq!(TurnUrl::parse(text).unwrap().to_string(), whole);
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for bad in [
            "",
            "stun",
            "stun:",
            "host:3478",
            "turn:host",
            "stuns:host",
            "stun:host:0",
            "stun:host:x",
            "stun:ho st",
            "stun://host",
            "stun:[::1",
            "stun:::1",
            "stun:a..b",
            "stun:host:1:2",
            "stun:münchen",
        ] {
            assert!(StunUrl::parse(bad).is_err(), "{bad}");
        }
        for bad in [
            "turn:",
            "stun:host",
            "turn:host?transport=sctp",
            "turn:host?",
            "turn:user@host",
            "turns:host?transport=udp",
            "turn://host",
        ] {
            assert!(TurnUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_a_transport_tcp_is_the_second_choice() {
        let transports = |text| TurnUrl::parse(text).unwrap().transports().to_vec();
        assert_eq!(transports("turn:h"), [Transport::Udp, Transport::Tcp]);
        assert_eq!(transports("turn:h?transport=udp"), [Transport::Udp]);
        assert_eq!(transports("turns:h"), [Transport::Tls]);
    }

    #[test]
    fn lists_are_bounded_and_may_be_none() {
        assert_eq!(list("none", StunUrl::parse), Ok(vec![]));
        assert_eq!(list("", StunUrl::parse), Ok(vec![]));
        assert_eq!(list("stun:a, stun:b,", StunUrl::parse).unwrap().len(), 2);
        assert!(list("stun:a,b", StunUrl::parse).is_err());
        let many = ["stun:a"; limits::ICE_SERVERS + 1].join(",");
        assert_eq!(
            list(&many, StunUrl::parse).unwrap_err(),
            "give at most 8 servers"
        );
    }
}
