//! Host candidates: selects the addresses of this machine that are worth telling a peer (RFC 8445
//! section 5.1.1.1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::interface_kind::InterfaceKind;
use super::reachable::is_of_one_machine;
use crate::limits;

/// An address of a network interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The name of the interface, such as `eth0`.
    pub interface: String,
    /// Its address.
    pub address: IpAddr,
    /// What the interface leads to.
    pub kind: InterfaceKind,
    /// The system's number of the interface, which sockets on link-local IPv6 addresses need (RFC 4007
    /// section 11); 0 if it is not known.
    pub index: u32,
    /// Whether the machine sends from this address to the world.
    pub is_default: bool,
}

impl InterfaceAddress {
    /// Returns where a socket is bound for it, on any port.
    pub fn socket_address(&self) -> SocketAddr {
        match self.address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                SocketAddrV6::new(v6, 0, 0, self.index).into()
            }
            address => SocketAddr::new(address, 0),
        }
    }
}

/// `INTERFACES`: which network interfaces are used. A name may end in `*`, which stands for any rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceFilter {
    /// The interfaces to use. If empty, all are used.
    pub allow: Vec<String>,
    /// Interfaces never used, even if they are in `allow`.
    pub deny: Vec<String>,
}

impl InterfaceFilter {
    /// Returns whether the interface of this name may be used.
    pub fn permits(&self, interface: &str) -> bool {
        (self.allow.is_empty() || self.names(interface)) && !is_listed(&self.deny, interface)
    }

    /// Returns whether `allow` lists the interface.
    pub fn names(&self, interface: &str) -> bool {
        is_listed(&self.allow, interface)
    }
}

fn is_listed(list: &[String], interface: &str) -> bool {
    list.iter().any(|name| match name.strip_suffix('*') {
        Some(stem) => interface.starts_with(stem),
        None => interface == name,
    })
}

/// The user's settings for local addresses.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `INTERFACES`
    pub interfaces: InterfaceFilter,
    /// `IPV6`
    pub ipv6: bool,
    /// `BIND_ADDRESS`: if set, only this address is used.
    pub bind_address: Option<IpAddr>,
}

impl Rules {
    /// Returns whether the user asks for addresses of this interface, which would not be used otherwise.
    fn ask_for(&self, interface: &str) -> bool {
        self.bind_address.is_some() || self.interfaces.names(interface)
    }
}

/// The reason why an address is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    /// `IPV6` is off.
    Ipv6,
    /// `BIND_ADDRESS` is another one.
    NotBindAddress,
    /// It is unspecified or multicast.
    NoPlace,
    /// It is link-local, and there are others.
    LinkLocal,
    /// `INTERFACES` leaves its interface out.
    Interface,
    /// It belongs to a bridge for guests of this machine.
    Bridge,
    /// It is loopback, and there are others.
    Loopback,
    /// It is one of too many.
    TooMany,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unused::Ipv6 => "IPV6=off",
            Unused::NotBindAddress => "not BIND_ADDRESS",
            Unused::NoPlace => "no address of one machine",
            Unused::LinkLocal => "link-local, not named by INTERFACES",
            Unused::Interface => "left out by INTERFACES",
            Unused::Bridge => "a bridge for containers, not named by INTERFACES",
            Unused::Loopback => "loopback",
            Unused::TooMany => "one of too many, INTERFACES chooses",
        })
    }
}

/// Returns the addresses to use, the preferred ones first: those of the machine's own links, on which the
/// one that it sends from to the world comes first, then those of tunnels, then those of bridges.
pub fn addresses(found: &[InterfaceAddress], rules: &Rules) -> Vec<InterfaceAddress> {
    let used = judge(found, rules).filter(|(_, unused)| unused.is_none());
    let mut used: Vec<_> = used.map(|(found, _)| found.clone()).collect();
    used.sort_by_key(preference);
    let mut seen = BTreeSet::new();
    used.retain(|used| seen.insert(used.address));
    used
}

/// Returns a key that is smaller for addresses that are preferred.
fn preference(found: &InterfaceAddress) -> (InterfaceKind, bool, Scope, bool, IpAddr) {
    let address = found.address;
    let (is_other, is_ipv4) = (!found.is_default, address.is_ipv4());
    (found.kind, is_other, Scope::of(address), is_ipv4, address)
}

/// Returns each address that was found with the reason why it is not used; `None` if it is used.
///
/// Loopback and link-local addresses are used when `INTERFACES` or `BIND_ADDRESS` asks for them, or when
/// there is nothing else. Of more than [`limits::LOCAL_ADDRESSES`] those from which the machine sends to
/// the world are used, then one of each interface, then a second one of each.
pub fn judge<'a>(
    found: &'a [InterfaceAddress],
    rules: &Rules,
) -> impl Iterator<Item = (&'a InterfaceAddress, Option<Unused>)> {
    let mut permitted = found
        .iter()
        .filter(|found| unpermitted(found, rules).is_none());
    let has_wide = permitted.any(|found| Scope::of(found.address) == Scope::Wide);
    let mut judged: Vec<_> = found
        .iter()
        .map(|found| {
            let scope = Scope::of(found.address);
            let needless = scope.needless();
            let needless = needless.filter(|_| has_wide && !rules.ask_for(&found.interface));
            (found, unpermitted(found, rules).or(needless))
        })
        .collect();
    leave_out_excess(&mut judged);
    judged.into_iter()
}

/// The distance within which an address is known. The order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Wide,
    /// On one link, without a router or a server that gives addresses: a cable, or a USB gadget.
    Link,
    Machine,
}

impl Scope {
    fn of(address: IpAddr) -> Self {
        let is_link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        match (address.is_loopback(), is_link_local) {
            (true, _) => Scope::Machine,
            (false, true) => Scope::Link,
            (false, false) => Scope::Wide,
        }
    }

    /// Returns why an address is not needed if there are others that are known further.
    fn needless(self) -> Option<Unused> {
        match self {
            Scope::Wide => None,
            Scope::Link => Some(Unused::LinkLocal),
            Scope::Machine => Some(Unused::Loopback),
        }
    }
}

fn leave_out_excess(judged: &mut [(&InterfaceAddress, Option<Unused>)]) {
    let mut used: Vec<_> = judged
        .iter_mut()
        .filter(|(_, unused)| unused.is_none())
        .collect();
    used.sort_by_key(|(found, _)| preference(found));
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    let mut ranked: Vec<_> = used
        .into_iter()
        .map(|entry| {
            let count = counts.entry((&entry.0.interface, entry.0.address.is_ipv4()));
            let turn = count.and_modify(|count| *count += 1).or_default();
            ((!entry.0.is_default, *turn), entry)
        })
        .collect();
    // The sort is stable, so that among equals the preferred come first.
    ranked.sort_by_key(|(rank, _)| *rank);
    for (_, (_, unused)) in ranked.into_iter().skip(limits::LOCAL_ADDRESSES) {
        *unused = Some(Unused::TooMany);
    }
}

/// Returns why an address may not be used, whatever other addresses there are.
fn unpermitted(found: &InterfaceAddress, rules: &Rules) -> Option<Unused> {
    if !rules.ipv6 && found.address.is_ipv6() {
        Some(Unused::Ipv6)
    } else if rules.bind_address.is_some_and(|only| found.address != only) {
        Some(Unused::NotBindAddress)
    } else if !is_of_one_machine(found.address) {
        Some(Unused::NoPlace)
    } else if !rules.interfaces.permits(&found.interface) {
        Some(Unused::Interface)
    } else if found.kind == InterfaceKind::Bridge && !rules.ask_for(&found.interface) {
        Some(Unused::Bridge)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            interfaces: InterfaceFilter::default(),
            ipv6: true,
            bind_address: None,
        }
    }

    fn found(list: &[(&str, &str)]) -> Vec<InterfaceAddress> {
        list.iter()
            .map(|(interface, address)| InterfaceAddress {
                interface: (*interface).to_owned(),
                address: address.parse().unwrap(),
                kind: InterfaceKind::of(interface, *interface == "lo", || false),
                index: 2,
                is_default: false,
            })
            .collect()
    }

    fn chosen(list: &[(&str, &str)], rules: &Rules) -> Vec<String> {
        told(&addresses(&found(list), rules))
    }

    fn told(chosen: &[InterfaceAddress]) -> Vec<String> {
        let chosen = chosen.iter().map(|chosen| chosen.address.to_string());
        chosen.collect()
    }

    const MACHINE: [(&str, &str); 6] = [
        ("lo", "127.0.0.1"),
        ("lo", "::1"),
        ("eth0", "192.0.2.7"),
        ("eth0", "fe80::1"),
        ("eth0", "2001:db8::7"),
        ("docker0", "172.17.0.1"),
    ];

    #[test]
    fn a_machine_with_a_network_leaves_loopback_link_local_and_bridges_out() {
        assert_eq!(chosen(&MACHINE, &rules()), ["2001:db8::7", "192.0.2.7"]);
    }

    #[test]
    fn it_is_said_why_an_address_is_not_used() {
        let mut rules = rules();
        rules.interfaces.deny = vec!["wlan*".into()];
        rules.ipv6 = false;
        let mut machine = found(&MACHINE);
        machine.extend(found(&[("wlan0", "192.0.2.8")]));
        let why: Vec<_> = judge(&machine, &rules).map(|(_, unused)| unused).collect();
        assert_eq!(
            why,
            [
                Some(Unused::Loopback),
                Some(Unused::Ipv6),
                None,
                Some(Unused::Ipv6),
                Some(Unused::Ipv6),
                Some(Unused::Bridge),
                Some(Unused::Interface),
            ]
        );
    }

    #[test]
    fn loopback_is_used_when_there_is_nothing_else() {
        assert_eq!(chosen(&MACHINE[..2], &rules()), ["::1", "127.0.0.1"]);
    }

    #[test]
    fn what_is_asked_for_by_name_is_used() {
        let mut only = rules();
        only.interfaces.allow = vec!["lo".into(), "docker0".into()];
        only.ipv6 = false;
        assert_eq!(chosen(&MACHINE, &only), ["172.17.0.1", "127.0.0.1"]);
    }

    #[test]
    fn link_local_addresses_are_used_when_there_is_nothing_better_or_by_name() {
        let cable = [
            ("lo", "127.0.0.1"),
            ("usb0", "169.254.1.1"),
            ("usb0", "fe80::1"),
        ];
        assert_eq!(
            chosen(&cable, &rules()),
            ["fe80::1", "169.254.1.1", "127.0.0.1"]
        );
        let beside: Vec<_> = cable.into_iter().chain([("wlan0", "192.0.2.8")]).collect();
        assert_eq!(chosen(&beside, &rules()), ["192.0.2.8"]);
        let mut named = rules();
        named.interfaces.allow = vec!["usb*".into(), "wlan0".into()];
        assert_eq!(
            chosen(&beside, &named),
            ["192.0.2.8", "fe80::1", "169.254.1.1"]
        );
        let mut bound = rules();
        bound.bind_address = Some("169.254.1.1".parse().unwrap());
        assert_eq!(chosen(&beside, &bound), ["169.254.1.1"]);
        let of_link = &found(&cable[2..])[0];
        assert_eq!(of_link.socket_address().to_string(), "[fe80::1%2]:0");
    }

    #[test]
    fn links_come_before_tunnels_and_the_one_to_the_world_comes_first() {
        let machine = [
            ("tailscale0", "100.64.0.1"),
            ("tailscale0", "fd7a:115c:a1e0::1"),
            ("eth1", "10.0.0.1"),
            ("wlan0", "192.168.7.11"),
        ];
        let mut machine = found(&machine);
        machine[3].is_default = true;
        let chosen = addresses(&machine, &rules());
        assert_eq!(
            told(&chosen),
            [
                "192.168.7.11",
                "10.0.0.1",
                "fd7a:115c:a1e0::1",
                "100.64.0.1"
            ]
        );
        // A VPN for everything changes nothing between two machines on one link.
        machine[3].is_default = false;
        machine[0].is_default = true;
        assert_eq!(told(&addresses(&machine, &rules()))[0], "10.0.0.1");
    }

    #[test]
    fn of_too_many_addresses_the_way_out_and_one_of_each_interface_stay() {
        let mut machine: Vec<_> = (1..=70)
            .map(|number| found(&[("eth0", &format!("10.0.0.{number}"))]).remove(0))
            .collect();
        machine[69].is_default = true;
        machine.extend(found(&[("eth1", "10.9.0.1"), ("wg0", "10.8.0.1")]));
        let chosen = told(&addresses(&machine, &rules()));
        assert_eq!(chosen.len(), limits::LOCAL_ADDRESSES);
        assert_eq!(chosen.first().map(String::as_str), Some("10.0.0.70"));
        assert_eq!(chosen.last().map(String::as_str), Some("10.8.0.1"));
        assert!(chosen.iter().any(|address| address == "10.9.0.1"));
        let rules = rules();
        let judged = judge(&machine, &rules);
        let left_out = judged.filter(|(_, why)| *why == Some(Unused::TooMany));
        assert_eq!(left_out.count(), 72 - limits::LOCAL_ADDRESSES);
    }

    #[test]
    fn a_bind_address_may_be_that_of_a_bridge() {
        let mut only = rules();
        only.bind_address = Some("172.17.0.1".parse().unwrap());
        assert_eq!(chosen(&MACHINE, &only), ["172.17.0.1"]);
        only.interfaces.deny = vec!["docker0".into()];
        assert_eq!(chosen(&MACHINE, &only), [""; 0]);
    }

    #[test]
    fn a_bind_address_is_the_only_one() {
        let mut only = rules();
        only.bind_address = Some("127.0.0.1".parse().unwrap());
        assert_eq!(chosen(&MACHINE, &only), ["127.0.0.1"]);
    }
}
