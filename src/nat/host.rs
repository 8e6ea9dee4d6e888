//! Host candidates: selects the addresses of this machine that are worth telling a peer (RFC 8445
//! section 5.1.1.1).

use std::fmt;
use std::net::IpAddr;

/// An address of a network interface that is up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceAddress {
    /// The name of the interface, such as `eth0`.
    pub interface: String,
    /// Its address.
    pub address: IpAddr,
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

/// Prefixes of the names of bridges for containers and virtual machines. Their addresses are the
/// same on many machines and reach nobody but the guests of this one. They are used only when
/// `INTERFACES` names the bridge, or `BIND_ADDRESS` its address. [`is_virtual_bridge`] also knows the
/// bridges of networks made with Docker.
const VIRTUAL_BRIDGES: [&str; 7] = ["docker", "podman", "veth", "virbr", "lxcbr", "lxdbr", "cni"];

/// The reason why an address is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    /// `IPV6` is off.
    Ipv6,
    /// `BIND_ADDRESS` is another one.
    NotBindAddress,
    /// It is link-local, unspecified or multicast.
    LinkLocal,
    /// `INTERFACES` leaves its interface out.
    Interface,
    /// It belongs to a bridge for guests of this machine.
    Bridge,
    /// It is loopback, and there are others.
    Loopback,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unused::Ipv6 => "IPV6=off",
            Unused::NotBindAddress => "not BIND_ADDRESS",
            Unused::LinkLocal => "link-local",
            Unused::Interface => "left out by INTERFACES",
            Unused::Bridge => "a bridge for containers, not named by INTERFACES",
            Unused::Loopback => "loopback",
        })
    }
}

/// Returns the addresses to use, sorted. Loopback is among them only when `INTERFACES` or
/// `BIND_ADDRESS` asks for it, or when there is nothing else.
pub fn addresses(found: &[InterfaceAddress], rules: &Rules) -> Vec<IpAddr> {
    let used = judge(found, rules).filter(|(_, unused)| unused.is_none());
    let mut addresses: Vec<_> = used.map(|(found, _)| found.address).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Returns each address that was found with the reason why it is not used; `None` if it is used.
pub fn judge<'a>(
    found: &'a [InterfaceAddress],
    rules: &Rules,
) -> impl Iterator<Item = (&'a InterfaceAddress, Option<Unused>)> {
    let is_beyond = |found: &InterfaceAddress| {
        !found.address.is_loopback() && unpermitted(found, rules).is_none()
    };
    let beyond_loopback = found.iter().any(is_beyond);
    found.iter().map(move |found| {
        let asked_for = rules.bind_address.is_some() || rules.interfaces.names(&found.interface);
        let is_needless = found.address.is_loopback() && beyond_loopback && !asked_for;
        let unused = unpermitted(found, rules).or(is_needless.then_some(Unused::Loopback));
        (found, unused)
    })
}

/// Returns why an address may not be used, whatever other addresses there are.
fn unpermitted(found: &InterfaceAddress, rules: &Rules) -> Option<Unused> {
    let is_named = rules.interfaces.names(&found.interface) || rules.bind_address.is_some();
    if !rules.ipv6 && found.address.is_ipv6() {
        Some(Unused::Ipv6)
    } else if rules.bind_address.is_some_and(|only| found.address != only) {
        Some(Unused::NotBindAddress)
    } else if !is_usable(found.address) {
        Some(Unused::LinkLocal)
    } else if !rules.interfaces.permits(&found.interface) {
        Some(Unused::Interface)
    } else if is_virtual_bridge(&found.interface) && !is_named {
        Some(Unused::Bridge)
    } else {
        None
    }
}

/// Returns whether the name is that of a bridge for guests. Docker names its bridges `br-` and 12
/// hexadecimal digits; `br-` alone would also match a router's `br-lan`.
fn is_virtual_bridge(interface: &str) -> bool {
    let is_id = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut known = VIRTUAL_BRIDGES.iter();
    interface.strip_prefix("br-").is_some_and(is_id)
        || known.any(|stem| interface.starts_with(stem))
}

/// Returns whether an address can be told to a peer. Link-local addresses mean nothing without their
/// link.
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified() && !v6.is_multicast(),
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
            })
            .collect()
    }

    fn chosen(list: &[(&str, &str)], rules: &Rules) -> Vec<String> {
        let chosen = addresses(&found(list), rules);
        chosen.iter().map(ToString::to_string).collect()
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
        assert_eq!(chosen(&MACHINE, &rules()), ["192.0.2.7", "2001:db8::7"]);
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
        assert_eq!(chosen(&MACHINE[..2], &rules()), ["127.0.0.1", "::1"]);
        let link_local = [("lo", "127.0.0.1"), ("eth0", "169.254.1.1")];
        assert_eq!(chosen(&link_local, &rules()), ["127.0.0.1"]);
    }

    #[test]
    fn what_is_asked_for_by_name_is_used() {
        let mut only = rules();
        only.interfaces.allow = vec!["lo".into(), "docker0".into()];
        only.ipv6 = false;
        assert_eq!(chosen(&MACHINE, &only), ["127.0.0.1", "172.17.0.1"]);
    }

    #[test]
    fn a_bridge_of_a_router_or_of_a_person_is_a_network_like_any_other() {
        for bridge in [
            "br-lan",
            "br-0123456789a",
            "br-0123456789xy",
            "br0",
            "bridge0",
        ] {
            let machine = [("lo", "127.0.0.1"), (bridge, "192.168.1.1")];
            assert_eq!(chosen(&machine, &rules()), ["192.168.1.1"], "{bridge}");
        }
        for guests in ["br-0123456789ab", "docker0", "podman1", "lxdbr0", "virbr0"] {
            let machine = [("lo", "127.0.0.1"), (guests, "172.18.0.1")];
            assert_eq!(chosen(&machine, &rules()), ["127.0.0.1"], "{guests}");
        }
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
