//! Kinds of network interfaces: which are the machine's own links, and which are tunnels or lead to its
//! guests. It decides which addresses are used, and in which order they are preferred.

/// A kind of network interface, by what it leads to. The order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InterfaceKind {
    /// A link to a network: Ethernet, wireless, mobile, or what a container has in its place.
    Physical,
    /// The system tells no interfaces, only the address.
    Unknown,
    /// A tunnel, such as a VPN. Its packets go over another interface of the machine.
    Tunnel,
    /// A bridge to containers and virtual machines on this machine.
    Bridge,
    /// To this machine only.
    Loopback,
}

/// Prefixes of the names of bridges for containers and virtual machines. Their addresses are the
/// same on many machines and reach nobody but the guests of this one. They are used only when
/// `INTERFACES` names the bridge, or `BIND_ADDRESS` its address. [`is_bridge`] also knows the
/// bridges of networks made with Docker.
const BRIDGES: [&str; 7] = ["docker", "podman", "veth", "virbr", "lxcbr", "lxdbr", "cni"];

/// Prefixes of the names that VPNs give their interfaces. On Linux the system says it of most; of some,
/// such as those in a container that shares another's network, only the name is known.
const TUNNELS: [&str; 15] = [
    "wg",
    "tun",
    "tap",
    "utun",
    "tailscale",
    "zt",
    "nebula",
    "wt",
    "nordlynx",
    "proton",
    "ipsec",
    "vti",
    "gre",
    "sit",
    "ip6tnl",
];

impl InterfaceKind {
    /// Returns the kind of the interface of this name. `is_tunnel`, which is asked only where the name leaves
    /// that open, tells whether the system calls it a tunnel.
    pub fn of(name: &str, is_loopback: bool, is_tunnel: impl FnOnce() -> bool) -> Self {
        if is_loopback {
            InterfaceKind::Loopback
        } else if is_bridge(name) {
            InterfaceKind::Bridge
        } else if TUNNELS.iter().any(|stem| is_numbered(name, stem)) || is_tunnel() {
            InterfaceKind::Tunnel
        } else {
            InterfaceKind::Physical
        }
    }

    /// Returns its name in `stats`.
    pub fn name(self) -> &'static str {
        match self {
            InterfaceKind::Physical => "physical",
            InterfaceKind::Unknown => "unknown",
            InterfaceKind::Tunnel => "tunnel",
            InterfaceKind::Bridge => "bridge",
            InterfaceKind::Loopback => "loopback",
        }
    }
}

/// Returns whether the name is that of a bridge for guests. Docker names its bridges `br-` and 12
/// hexadecimal digits; `br-` alone would also match a router's `br-lan`.
fn is_bridge(interface: &str) -> bool {
    let is_id = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut known = BRIDGES.iter();
    interface.strip_prefix("br-").is_some_and(is_id)
        || known.any(|stem| interface.starts_with(stem))
}

/// Returns whether the name is the stem, alone or followed by what is no letter: `wg0`, `wg-home`, not
/// `wgpu`. ZeroTier's names are `zt` and letters.
fn is_numbered(name: &str, stem: &str) -> bool {
    let rest = name.strip_prefix(stem);
    rest.is_some_and(|rest| stem == "zt" || !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> InterfaceKind {
        InterfaceKind::of(name, false, || false)
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
            assert_eq!(kind(bridge), InterfaceKind::Physical, "{bridge}");
        }
        for guests in ["br-0123456789ab", "docker0", "podman1", "lxdbr0", "virbr0"] {
            assert_eq!(kind(guests), InterfaceKind::Bridge, "{guests}");
        }
    }

    #[test]
    fn tunnels_are_known_by_name_or_by_what_the_system_says() {
        for tunnel in [
            "wg0",
            "wg-home",
            "tun0",
            "utun3",
            "tailscale0",
            "ztabc123",
            "wt0",
        ] {
            assert_eq!(kind(tunnel), InterfaceKind::Tunnel, "{tunnel}");
        }
        for link in [
            "eth0",
            "wlan0",
            "wwan0",
            "ppp0",
            "usb0",
            "tunnelbear",
            "en0",
        ] {
            assert_eq!(kind(link), InterfaceKind::Physical, "{link}");
        }
        let named = InterfaceKind::of("office", false, || true);
        assert_eq!(named, InterfaceKind::Tunnel);
    }
}
