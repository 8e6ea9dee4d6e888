//! Logs about the addresses of this machine, each thing once.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits;
use crate::nat::host::{InterfaceAddress, Rules};

/// The things that were logged so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Whether there is no address to use.
    none: bool,
    /// Whether there are too many.
    excess: bool,
    /// Whether the system does not list them.
    is_unlisted: bool,
    /// Since when there is no socket on an address, and whether that was logged.
    refused: BTreeMap<IpAddr, (Instant, bool)>,
}

impl Told {
    /// Warns if no address can be used, since no peer can be reached then, and tells if there are too many.
    pub(super) fn addresses(&mut self, used: &[InterfaceAddress], excess: usize) {
        if used.is_empty() && !self.none {
            log::warn!(
                "this machine has no address that may be used, so no peer can be reached; look at \
                 INTERFACES, BIND_ADDRESS and IPV6 if it should have one"
            );
        }
        self.none = used.is_empty();
        if excess > 0 && !self.excess {
            let used = used.iter().map(|found| found.address.to_string());
            log::info!(
                "this machine has {excess} addresses more than are used, which are {}; INTERFACES and \
                 BIND_ADDRESS choose others",
                used.collect::<Vec<_>>().join(", ")
            );
        }
        self.excess = excess > 0;
        self.refused
            .retain(|address, _| used.iter().any(|found| found.address == *address));
    }

    /// Warns that the system does not list the addresses.
    pub(super) fn unlisted(&mut self, rules: &Rules, error: &io::Error) {
        if !std::mem::replace(&mut self.is_unlisted, true) {
            log::warn!("{}", unlisted(rules, error));
        }
    }

    /// Notes that there are sockets on an address.
    pub(super) fn bound(&mut self, address: IpAddr) {
        self.refused.remove(&address);
    }

    /// Warns that a socket on an address is missing.
    pub(super) fn refused(&mut self, now: Instant, address: IpAddr, error: &io::Error) {
        if self.is_news(now, address, error.kind()) {
            log::warn!("no UDP socket on {address}: {error}");
        }
    }

    /// Returns whether it is to be said that there is no socket. An IPv6 address is there before it can be
    /// used: whether another machine has it is found out first (RFC 4862 section 5.4), so that is said only
    /// if it lasts.
    fn is_news(&mut self, now: Instant, address: IpAddr, kind: io::ErrorKind) -> bool {
        let patience = match kind {
            io::ErrorKind::AddrNotAvailable => limits::TENTATIVE_ADDRESS,
            _ => Duration::ZERO,
        };
        let (since, is_told) = self.refused.entry(address).or_insert((now, false));
        let lasts = now.saturating_duration_since(*since) >= patience;
        lasts && !std::mem::replace(is_told, true)
    }
}

/// Returns what is said where the system does not list the machine's addresses.
pub(crate) fn unlisted(rules: &Rules, error: &io::Error) -> String {
    let instead = match rules.bind_address {
        Some(address) => format!("BIND_ADDRESS={address} is used unseen"),
        None => {
            "what is used is the address that the machine sends from; BIND_ADDRESS names another"
                .to_owned()
        }
    };
    let unknown = if rules.interfaces.allow.is_empty() {
        ""
    } else {
        ", and INTERFACES allows none, because no names are known"
    };
    format!("the network interfaces cannot be listed ({error}): {instead}{unknown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn an_address_that_is_tentative_is_no_news_unless_it_stays_so() {
        let (mut told, start) = (Told::default(), Instant::now());
        let mut news = |seconds, kind| {
            let now = start + Duration::from_secs(seconds);
            told.is_news(now, ADDRESS, kind)
        };
        assert!(!news(0, io::ErrorKind::AddrNotAvailable));
        assert!(!news(5, io::ErrorKind::AddrNotAvailable));
        assert!(news(10, io::ErrorKind::AddrNotAvailable));
        assert!(!news(15, io::ErrorKind::AddrNotAvailable), "a second time");
    }

    #[test]
    fn a_port_that_is_taken_is_said_at_once_and_again_when_it_happens_again() {
        let (mut told, now) = (Told::default(), Instant::now());
        for _ in 0..2 {
            assert!(told.is_news(now, ADDRESS, io::ErrorKind::AddrInUse));
            assert!(!told.is_news(now, ADDRESS, io::ErrorKind::AddrInUse));
            told.bound(ADDRESS);
        }
    }
}
