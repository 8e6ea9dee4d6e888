//! The addresses that this machine has now, what their interfaces lead to, and what errors of receiving mean.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use if_addrs::Interface;

use crate::nat::host::{InterfaceAddress, Rules};
use crate::nat::interface_kind::InterfaceKind;

/// Addresses in the world, to see from which of ours the machine would send to them. They are those of
/// documents (RFC 5737 and RFC 3849), and nothing is sent.
const WORLD: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// Returns the addresses of interfaces that are up.
///
/// # Errors
/// The system does not list them; Linux lists them over netlink, which sandboxes may deny.
pub(crate) fn addresses() -> io::Result<Vec<InterfaceAddress>> {
    let up = up()?;
    let ways_out = sources(&WORLD.map(|address| SocketAddr::new(address, 9)));
    let mut kinds = BTreeMap::new();
    let addresses = up.map(|found| InterfaceAddress {
        address: found.ip(),
        kind: *kinds.entry(found.name.clone()).or_insert_with(|| {
            InterfaceKind::of(&found.name, found.is_loopback(), || is_tunnel(&found.name))
        }),
        index: found.index.unwrap_or(0),
        is_default: ways_out.contains(&found.ip()),
        interface: found.name,
    });
    Ok(addresses.collect())
}

/// Returns the mere addresses of interfaces that are up.
///
/// # Errors
/// The system does not list them.
pub(crate) fn bare_addresses() -> io::Result<Vec<IpAddr>> {
    Ok(up()?.map(|found| found.ip()).collect())
}

fn up() -> io::Result<impl Iterator<Item = Interface>> {
    let found = if_addrs::get_if_addrs()?.into_iter();
    Ok(found.filter(|found| found.is_oper_up() || found.is_loopback()))
}

/// Returns the addresses that can be told where the system does not list them: `BIND_ADDRESS`, or else
/// those from which the machine would send to the world and to `servers`.
pub(crate) fn unlisted_addresses(rules: &Rules, servers: &[SocketAddr]) -> Vec<InterfaceAddress> {
    let world = WORLD.map(|address| SocketAddr::new(address, 9));
    let found = match rules.bind_address {
        Some(address) => vec![address],
        None => sources(&[&world, servers].concat()),
    };
    let unlisted = |address: IpAddr| InterfaceAddress {
        interface: "unknown".to_owned(),
        address,
        kind: if address.is_loopback() {
            InterfaceKind::Loopback
        } else {
            InterfaceKind::Unknown
        },
        index: 0,
        is_default: false,
    };
    found.into_iter().map(unlisted).collect()
}

/// Returns a UDP socket that is connected to a place. Connecting it sends nothing: the system only chooses the
/// address to send from.
pub(crate) fn connected_to(place: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match place {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(place)?;
    Ok(socket)
}

/// Returns the address from which the machine would send to each of `places`, where there is a route.
fn sources(places: &[SocketAddr]) -> Vec<IpAddr> {
    let source = |place: &SocketAddr| connected_to(*place)?.local_addr();
    let mut sources = Vec::new();
    for address in places.iter().filter_map(|place| source(place).ok()) {
        if !sources.contains(&address.ip()) {
            sources.push(address.ip());
        }
    }
    sources
}

/// Returns whether Linux calls the interface a tunnel: WireGuard's, or that of a program such as OpenVPN.
fn is_tunnel(interface: &str) -> bool {
    let place = Path::new("/sys/class/net").join(interface);
    let is_wireguard = |text: String| text.lines().any(|line| line == "DEVTYPE=wireguard");
    place.join("tun_flags").exists()
        || std::fs::read_to_string(place.join("uevent")).is_ok_and(is_wireguard)
}

/// Returns all addresses of the machine, also those that peers are not told and those of interfaces that are
/// down.
pub(crate) fn all_addresses() -> io::Result<Vec<IpAddr>> {
    let found = if_addrs::get_if_addrs()?.into_iter();
    Ok(found.map(|found| found.ip()).collect())
}

/// Returns whether an error of receiving says nothing about the next datagram.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_address_towards_a_place_is_told_without_the_list_of_interfaces() {
        let rules = Rules {
            interfaces: Default::default(),
            ipv6: true,
            bind_address: None,
        };
        let here = SocketAddr::from(([127, 0, 0, 1], 9));
        let found = unlisted_addresses(&rules, &[here]);
        let found = found.iter().find(|found| found.address == here.ip());
        assert_eq!(found.unwrap().kind, InterfaceKind::Loopback);
        let bound = Rules {
            bind_address: Some(here.ip()),
            ..rules
        };
        let found = unlisted_addresses(&bound, &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, here.ip());
    }
}
