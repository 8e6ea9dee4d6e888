//! Which of this machine's addresses is lent, without I/O. The socket is bound to the address that is lent, so what it
//! sends comes from there: a router or firewall at a peer lets nothing in from another.

use std::net::IpAddr;

use crate::nat::reachable::is_public;

/// What is known about this machine's addresses of the family that a client wants one of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// The one that clients are awaited at, if it is one.
    pub(super) listening: Option<IpAddr>,
    /// The one under which the machine is reached from outside, if it does not have it itself (`EXTERNAL_ADDRESS`).
    pub(super) external: Option<IpAddr>,
    /// The one to which the client has come.
    pub(super) reached: Option<IpAddr>,
    /// The one that leads to the internet.
    pub(super) default: Option<IpAddr>,
}

/// An address to lend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lent {
    /// Where the socket is bound; `None`: at all addresses, from which the way to each peer chooses.
    pub(super) bound: Option<IpAddr>,
    /// The address as peers know it.
    pub(super) address: IpAddr,
}

/// Returns the address to lend: one that all peers can reach, if there is one. A client on this machine or in a private
/// network beside it may have come to one that only it can reach.
pub(super) fn choose(known: Known) -> Option<Lent> {
    if let Some(address) = known.external {
        let bound = known.listening;
        return Some(Lent { bound, address });
    }
    let is_of_network = |address: &IpAddr| !is_of_this_machine_alone(*address);
    let is_of_internet = |address: &IpAddr| is_public(*address);
    let reached = known.reached;
    let address = known
        .listening
        .or(reached.filter(is_of_internet))
        .or(known.default.filter(is_of_internet))
        .or(reached.filter(is_of_network))
        .or(known.default)
        .or(reached)?;
    Some(Lent {
        bound: Some(address),
        address,
    })
}

/// Returns whether an address means something on one machine or one link alone.
pub(super) fn is_of_this_machine_alone(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known([listening, external, reached, default]: [&str; 4]) -> Known {
        let parsed = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        Known {
            listening: parsed(listening),
            external: parsed(external),
            reached: parsed(reached),
            default: parsed(default),
        }
    }

    /// What is lent, as the address, and after it where the socket is bound if that is elsewhere.
    fn lent(addresses: [&str; 4]) -> String {
        match choose(known(addresses)) {
            None => "nothing".to_owned(),
            Some(Lent {
                bound: None,
                address,
            }) => format!("{address} at all"),
            Some(Lent {
                bound: Some(bound),
                address,
            }) if bound == address => address.to_string(),
            Some(Lent {
                bound: Some(bound),
                address,
            }) => format!("{address} at {bound}"),
        }
    }

    #[test]
    fn the_address_that_a_client_has_reached_is_lent() {
        assert_eq!(
            lent(["", "", "198.51.100.2", "198.51.100.1"]),
            "198.51.100.2"
        );
        assert_eq!(lent(["", "", "10.0.2.1", "10.0.1.1"]), "10.0.2.1");
        assert_eq!(lent(["", "", "2001:db8::2", ""]), "2001:db8::2");
    }

    #[test]
    fn one_that_peers_can_reach_is_lent_before_one_that_only_the_client_can() {
        assert_eq!(lent(["", "", "10.0.1.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(lent(["", "", "127.0.0.1", "10.0.1.1"]), "10.0.1.1");
        assert_eq!(lent(["", "", "", "10.0.1.1"]), "10.0.1.1");
        assert_eq!(lent(["", "", "127.0.0.1", ""]), "127.0.0.1");
        assert_eq!(lent(["", "", "", ""]), "nothing");
    }

    #[test]
    fn what_is_set_decides() {
        assert_eq!(
            lent(["10.0.3.1", "", "10.0.3.1", "198.51.100.1"]),
            "10.0.3.1"
        );
        let behind = ["10.0.3.1", "198.51.100.9", "10.0.3.1", "10.0.3.1"];
        assert_eq!(lent(behind), "198.51.100.9 at 10.0.3.1");
        assert_eq!(
            lent(["", "198.51.100.9", "10.0.3.1", ""]),
            "198.51.100.9 at all"
        );
    }
}
