//! Plans the attempts of a round: which TURN servers to try, over which transport, and when.

use std::net::SocketAddr;
use std::time::Duration;

use crate::limits;
use crate::nat::credentials::Credentials;
use crate::nat::failure::{Failure, code};
use crate::nat::reachable::{is_endpoint, is_public};
use crate::nat::server::TurnServer;
use crate::nat::stun::reflexive::can_reach;
use crate::nat::url::{Transport, TurnUrl};

/// One way to one server: its address, the transport, and our socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The time from the beginning of the round to this attempt.
    pub(crate) offset: Duration,
    /// Of two ways that work, the one with the smaller rank is better.
    pub(crate) rank: usize,
    /// The URL of the server.
    pub url: TurnUrl,
    pub(crate) credentials: Credentials,
    /// The transport between us and the server.
    pub transport: Transport,
    /// The server's address, or the proxy's.
    pub server: SocketAddr,
    /// Whether that is an HTTP proxy, which is asked for the server.
    pub(crate) is_proxied: bool,
    /// The socket to use. `None` for streams, for which the system chooses.
    pub local: Option<SocketAddr>,
    /// The server that this one refers to.
    pub(crate) referred_to: Option<SocketAddr>,
    /// Ask for an IPv6 address, since the server has no IPv4 addresses.
    pub(crate) ipv6: bool,
}

impl Plan {
    /// Returns its name in the log.
    pub fn name(&self) -> String {
        format!("{} over {}", self.url, self.transport)
    }

    /// Returns how to ask once more after the server's answer, if that may help: for an IPv6 address where it
    /// has none of IPv4, or at the server that it refers to.
    pub(crate) fn after(&self, failure: &Failure) -> Option<Plan> {
        match failure {
            Failure::Refused(code::FAMILY_NOT_SUPPORTED, _) if !self.ipv6 => Some(Plan {
                ipv6: true,
                ..self.clone()
            }),
            Failure::Elsewhere(address) => self.referred(*address),
            _ => None,
        }
    }

    /// Returns the way to the server at `address`, to which this one refers. `None` if it cannot be used, or if
    /// a reference was followed before: servers could refer to each other without end. A server over TLS must
    /// prove the name of the first (RFC 8489 section 10).
    fn referred(&self, address: SocketAddr) -> Option<Plan> {
        let is_reached = self.is_proxied || address.is_ipv4() == self.server.is_ipv4();
        let is_other = address != self.server && self.referred_to.is_none();
        (is_endpoint(address) && is_reached && is_other).then(|| Plan {
            referred_to: Some(address),
            ..self.clone()
        })
    }

    /// Returns the address that is sent to: the server's, or that of the server that it refers to. A proxy is
    /// always the first.
    pub fn destination(&self) -> SocketAddr {
        let referred_to = self.referred_to.filter(|_| !self.is_proxied);
        referred_to.unwrap_or(self.server)
    }

    /// Returns the host and the port that the proxy is asked for; `None` without one.
    pub(crate) fn target(&self) -> Option<(String, u16)> {
        let named = || (self.url.host.to_string(), self.url.port);
        let target = self.referred_to.map(|to| (to.ip().to_string(), to.port()));
        self.is_proxied.then(|| target.unwrap_or_else(named))
    }

    /// Returns a warning if a relayed address of this server is a private one, though the server is reached at
    /// a public one.
    pub fn misgiving(&self, relayed: SocketAddr) -> Option<&'static str> {
        let is_odd = is_public(self.destination().ip()) && !is_public(relayed.ip());
        is_odd.then_some(
            "a private address, which peers elsewhere cannot reach; the server must be told its public one \
             (coturn: external-ip)",
        )
    }

    /// Returns whether it uses the same address of ours, the same server and the same login as `other`.
    pub(crate) fn is_same_way(&self, other: &Plan) -> bool {
        let local = |plan: &Plan| plan.local.map(|local| local.ip());
        self.url == other.url
            && self.credentials == other.credentials
            && self.transport == other.transport
            && self.server == other.server
            && local(self) == local(other)
    }
}

/// Returns the ways to try, by the time at which they are to be tried. Each server gets a short start
/// on the next one; UDP gets a longer one on TCP, which is the worse way and for closed networks only.
/// The ways to each server are bounded, those over UDP and those on streams apart, so that none takes
/// another's.
pub fn plans(servers: &[TurnServer], sockets: &[SocketAddr]) -> Vec<Plan> {
    let mut plans: Vec<Plan> = Vec::new();
    for (server, start) in servers.iter().zip(0..) {
        let start = limits::TURN_STAGGER * start;
        let mut has_datagrams = false;
        for transport in server.url.transports() {
            let ways = match transport {
                Transport::Udp => datagram_ways(&server.addresses, sockets),
                Transport::Tcp | Transport::Tls => {
                    let addresses = server.proxy.as_ref().unwrap_or(&server.addresses).iter();
                    let addresses = addresses.take(limits::ADDRESSES_PER_SERVER);
                    addresses.map(|address| (*address, None)).collect()
                }
            };
            let delay = if has_datagrams {
                limits::TURN_STREAM_DELAY
            } else {
                Duration::ZERO
            };
            has_datagrams |= *transport == Transport::Udp && !ways.is_empty();
            for ((address, local), number) in ways.into_iter().zip(0..) {
                plans.push(Plan {
                    offset: start + delay + limits::TURN_STAGGER * number,
                    rank: plans.len(),
                    url: server.url.clone(),
                    credentials: server.credentials.clone(),
                    transport: *transport,
                    server: address,
                    is_proxied: *transport != Transport::Udp && server.proxy.is_some(),
                    local,
                    referred_to: None,
                    ipv6: false,
                });
            }
        }
    }
    plans.sort_by_key(|plan| plan.offset);
    plans
}

/// Returns the ways over UDP: the first socket of each address of the server, then the second of each,
/// and so on.
fn datagram_ways(
    addresses: &[SocketAddr],
    sockets: &[SocketAddr],
) -> Vec<(SocketAddr, Option<SocketAddr>)> {
    let mut ways = Vec::new();
    for address in addresses {
        let fits = |socket: &&SocketAddr| can_reach(socket.ip(), address.ip());
        let fitting = sockets.iter().filter(fits).zip(0..);
        ways.extend(fitting.map(|(socket, turn)| (turn, *address, Some(*socket))));
    }
    ways.sort_by_key(|(turn, ..)| *turn);
    ways.truncate(limits::TURN_DATAGRAM_WAYS);
    let untold = |(_turn, address, socket)| (address, socket);
    ways.into_iter().map(untold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn server(url: &str, addresses: &[&str]) -> TurnServer {
        TurnServer {
            url: TurnUrl::parse(url).unwrap(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            proxy: None,
            credentials: Credentials::Shared(Secret::new("s".to_owned())),
        }
    }

    fn told(servers: &[TurnServer], sockets: &[&str]) -> Vec<String> {
        let sockets: Vec<_> = sockets.iter().map(|s| s.parse().unwrap()).collect();
        let tell = |plan: Plan| {
            let (ms, server) = (plan.offset.as_millis(), plan.server);
            format!("{ms} #{} {} {server}", plan.rank, plan.transport)
        };
        plans(servers, &sockets).into_iter().map(tell).collect()
    }

    #[test]
    fn udp_is_first_and_tcp_comes_when_it_had_time_to_answer() {
        let server = server("turn:h", &["192.0.2.1:3478", "[2001:db8::1]:3478"]);
        assert_eq!(
            told(&[server], &["10.0.0.1:1", "127.0.0.1:1"]),
            [
                "0 #0 UDP 192.0.2.1:3478",
                "1000 #1 TCP 192.0.2.1:3478",
                "1150 #2 TCP [2001:db8::1]:3478",
            ]
        );
    }

    #[test]
    fn without_a_socket_tcp_is_not_waited_with() {
        let server = server("turn:h", &["192.0.2.1:3478"]);
        assert_eq!(told(&[server], &[]), ["0 #0 TCP 192.0.2.1:3478"]);
    }

    #[test]
    fn a_proxy_takes_the_place_of_the_server_on_streams_even_if_its_name_is_unknown_here() {
        let mut server = server("turn:h", &["192.0.2.1:3478"]);
        server.proxy = Some(vec!["10.0.0.9:3128".parse().unwrap()]);
        let expected = ["0 #0 UDP 192.0.2.1:3478", "1000 #1 TCP 10.0.0.9:3128"];
        assert_eq!(told(&[server.clone()], &["10.0.0.1:1"]), expected);
        server.addresses.clear();
        assert_eq!(
            told(&[server.clone()], &["10.0.0.1:1"]),
            ["0 #0 TCP 10.0.0.9:3128"]
        );
        let plans = plans(&[server], &[]);
        assert!(plans.iter().all(|plan| plan.is_proxied));
        // What the server refers to is asked of the proxy, too, whatever its family.
        let elsewhere = Failure::Elsewhere("[2001:db8::9]:5".parse().unwrap());
        let referred = plans[0].after(&elsewhere).unwrap();
        assert_eq!(referred.destination(), "10.0.0.9:3128".parse().unwrap());
        assert_eq!(referred.target(), Some(("2001:db8::9".to_owned(), 5)));
        assert_eq!(plans[0].target(), Some(("h".to_owned(), 3478)));
        assert_eq!(referred.after(&elsewhere), None);
    }

    #[test]
    fn servers_are_tried_one_shortly_after_the_other() {
        let first = server("turn:a?transport=udp", &["192.0.2.1:1"]);
        let second = server("turns:b", &["192.0.2.2:2"]);
        assert_eq!(
            told(&[first, second], &["10.0.0.1:1"]),
            ["0 #0 UDP 192.0.2.1:1", "150 #1 TLS 192.0.2.2:2"]
        );
    }

    #[test]
    fn each_address_of_a_server_has_its_turn() {
        let server = server("turn:h?transport=udp", &["192.0.2.1:1", "[2001:db8::1]:1"]);
        assert_eq!(
            told(&[server], &["10.0.0.1:1", "10.0.0.2:1", "[2001:db8::2]:1"]),
            [
                "0 #0 UDP 192.0.2.1:1",
                "150 #1 UDP [2001:db8::1]:1",
                "300 #2 UDP 192.0.2.1:1",
            ]
        );
    }

    #[test]
    fn the_ways_to_one_server_take_none_from_another() {
        let sockets: Vec<_> = (1..=6).map(|n| format!("10.0.0.{n}:1")).collect();
        let sockets: Vec<_> = sockets.iter().map(String::as_str).collect();
        let mut servers: Vec<_> = (0..7)
            .map(|n| server(&format!("turn:h{n}"), &["192.0.2.1:1", "192.0.2.2:1"]))
            .collect();
        servers.push(server("turns:last:443", &["192.0.2.3:443"]));
        let plans = told(&servers, &sockets);
        assert!(plans.iter().any(|plan| plan.ends_with("TLS 192.0.2.3:443")));
        let streams = plans.iter().filter(|plan| plan.contains("TCP")).count();
        assert_eq!(streams, 7 * 2);
        assert_eq!(plans.len(), 7 * (limits::TURN_DATAGRAM_WAYS + 2) + 1);
    }

    #[test]
    fn a_private_relay_of_a_public_server_is_odd_and_that_of_a_private_server_is_not() {
        let relayed = "10.0.0.5:50000".parse().unwrap();
        for (address, is_odd) in [("198.51.100.1:1", true), ("192.168.1.1:1", false)] {
            let plan = plans(&[server("turn:h", &[address])], &[]).remove(0);
            let misgiving = plan.misgiving(relayed);
            assert_eq!(misgiving.is_some(), is_odd);
            assert_eq!(plan.misgiving("198.51.100.1:50000".parse().unwrap()), None);
        }
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let many: Vec<_> = (0..250).map(|n| format!("192.0.2.{n}:1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let plans = told(&[server("turn:h", &many)], &["10.0.0.1:1"]);
        let streams = limits::ADDRESSES_PER_SERVER;
        assert_eq!(plans.len(), limits::TURN_DATAGRAM_WAYS + streams);
    }
}
