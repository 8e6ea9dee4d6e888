//! Notices of the system that interfaces, addresses or routes have changed (rtnetlink(7)), and when to look
//! at them. Where the system gives no such notices, the event loop looks at the addresses now and then.

use std::time::Instant;

use mio::{Registry, Token};

use crate::limits;
use crate::mesh::introduction::token_bucket::TokenBucket;

/// The notices of the system, if it gives them.
pub(crate) struct Changes {
    source: Option<source::Source>,
    pace: Pace,
}

/// A look at the addresses that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether a way out of this machine has changed, too.
    pub(crate) has_new_routes: bool,
}

impl Changes {
    /// Asks the system for its notices. They make `token` ready in the poll of `registry`.
    pub(crate) fn new(registry: &Registry, token: Token, now: Instant) -> Self {
        let source = source::Source::open(registry, token);
        if let Err(error) = &source {
            let seconds = limits::ADDRESS_INTERVAL.as_secs();
            log::info!(
                "the system does not tell when the network changes ({error}); it is looked at every \
                 {seconds} s"
            );
        }
        Changes {
            source: source.ok(),
            pace: Pace::new(now),
        }
    }

    /// Takes the notices that have come.
    pub(crate) fn ready(&mut self, now: Instant) {
        if let Some(source) = &mut self.source {
            source.read(&mut |notice| self.pace.noticed(now, notice));
        }
    }

    /// Returns the look that is due now, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Look> {
        self.pace.take(now)
    }

    /// Returns when a look will be due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.pace.next
    }
}

/// A notice of the system, by its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
enum Notice {
    /// An interface or an address; what it means is seen by looking at the addresses.
    Address,
    /// A route to other networks.
    Route,
}

/// Decides when to look at the addresses. Changes come in bursts, and on some machines interfaces come and go all the time.
#[derive(Debug)]
struct Pace {
    looks: TokenBucket,
    routes: TokenBucket,
    has_new_routes: bool,
    next: Option<Instant>,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Pace {
            looks: TokenBucket::new(limits::NETWORK_LOOKS, now),
            routes: TokenBucket::new(limits::ROUTE_CHANGES, now),
            has_new_routes: false,
            next: None,
        }
    }

    /// Plans a look after a notice, when the rest of the burst will have come.
    fn noticed(&mut self, now: Instant, notice: Notice) {
        self.has_new_routes |= notice == Notice::Route;
        let soon = now + limits::NETWORK_SETTLING;
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }

    fn take(&mut self, now: Instant) -> Option<Look> {
        self.next.filter(|next| *next <= now)?;
        if !self.looks.take(now) {
            self.next = Some(self.looks.next());
            return None;
        }
        self.next = None;
        let is_told = self.has_new_routes && self.routes.take(now);
        if self.has_new_routes && !is_told {
            self.next = Some(self.routes.next());
        }
        self.has_new_routes &= !is_told;
        Some(Look {
            has_new_routes: is_told,
        })
    }
}

#[cfg(target_os = "linux")]
mod source {
    use std::io;
    use std::os::fd::{AsRawFd as _, OwnedFd};

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

    use super::Notice;
    use crate::limits;

    /// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR` and
    /// `RTMGRP_IPV6_ROUTE` of `linux/rtnetlink.h`.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

    /// A netlink socket.
    pub(super) struct Source {
        socket: OwnedFd,
        buffer: Vec<u8>,
    }

    impl Source {
        pub(super) fn open(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
            let descriptor = socket.as_raw_fd();
            registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
            Ok(Source {
                socket,
                buffer: vec![0; limits::NETLINK_BYTES],
            })
        }

        /// Reads all that has come.
        pub(super) fn read(&mut self, tell: &mut dyn FnMut(Notice)) {
            loop {
                match recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                    Ok((length, _)) => {
                        let bytes = self.buffer.get(..length).unwrap_or_default();
                        super::message::notices(bytes).for_each(&mut *tell);
                    }
                    Err(Errno::INTR) => {}
                    // Some notices were lost, of which kind is not known.
                    Err(Errno::NOBUFS) => tell(Notice::Route),
                    Err(Errno::WOULDBLOCK) => return,
                    Err(error) => {
                        log::debug!("notices of network changes: {error}");
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod source {
    use std::io;

    use mio::{Registry, Token};

    use super::Notice;

    /// Nothing: only Linux has netlink.
    pub(super) struct Source;

    impl Source {
        pub(super) fn open(_: &Registry, _: Token) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn read(&mut self, _: &mut dyn FnMut(Notice)) {}
    }
}

#[cfg(any(target_os = "linux", test))]
mod message {
    use super::Notice;

    // `linux/netlink.h` and `linux/rtnetlink.h`.
    const HEADER_BYTES: usize = 16;
    const LINKS_AND_ADDRESSES: [u16; 4] = [16, 17, 20, 21];
    const ROUTES: [u16; 2] = [24, 25];
    const TABLE_LOCAL: u8 = 255;
    const PROTOCOL_KERNEL: u8 = 2;
    const SCOPE_LINK: u8 = 253;
    const FAMILY_IPV4: u8 = 2;
    const FLAG_CLONED: u32 = 0x200;
    /// Unicast, blackhole, unreachable and prohibit.
    const TYPES: [u8; 4] = [1, 6, 7, 8];

    /// Returns what the messages of a datagram are about; those that cannot matter are left out.
    pub(super) fn notices(mut bytes: &[u8]) -> impl Iterator<Item = Notice> {
        std::iter::from_fn(move || {
            loop {
                let (length, kind) = header(bytes)?;
                let message = bytes.get(HEADER_BYTES..length)?;
                // Messages begin at multiples of four bytes.
                let next = length.next_multiple_of(4);
                bytes = bytes.get(next..).unwrap_or_default();
                if LINKS_AND_ADDRESSES.contains(&kind) {
                    return Some(Notice::Address);
                }
                if ROUTES.contains(&kind) && leads_out(message) == Some(true) {
                    return Some(Notice::Route);
                }
            }
        })
    }

    /// Returns length and type of the first message.
    fn header(bytes: &[u8]) -> Option<(usize, u16)> {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?);
        let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
        Some((usize::try_from(length).ok()?, kind))
    }

    /// Returns whether a route (`struct rtmsg`) may lead to other machines' networks. Those that come and go
    /// with an address do not count, since the address is seen, nor those to one guest of this machine.
    fn leads_out(message: &[u8]) -> Option<bool> {
        let [family, prefix, _, _, table, protocol, scope, kind] = *message.first_chunk()?;
        let flags = u32::from_ne_bytes(*message.get(8..)?.first_chunk()?);
        let whole_address = if family == FAMILY_IPV4 { 32 } else { 128 };
        let is_to_guest = scope == SCOPE_LINK && prefix == whole_address;
        Some(
            TYPES.contains(&kind)
                && table != TABLE_LOCAL
                && protocol != PROTOCOL_KERNEL
                && flags & FLAG_CLONED == 0
                && !is_to_guest,
        )
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn message(kind: u16, content: &[u8]) -> Vec<u8> {
            let length = u32::try_from(HEADER_BYTES + content.len()).unwrap();
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        }

        /// A route message: family, length of the prefix, table, protocol, scope, type.
        fn route([family, prefix, table, protocol, scope, kind]: [u8; 6]) -> Vec<u8> {
            let content = [
                family, prefix, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0,
            ];
            message(24, &content)
        }

        fn of(bytes: &[u8]) -> Vec<Notice> {
            notices(bytes).collect()
        }

        #[test]
        fn links_and_addresses_are_noticed() {
            let bytes = [message(16, &[0; 15]), message(21, &[0; 8])].concat();
            assert_eq!(of(&bytes), [Notice::Address, Notice::Address]);
        }

        #[test]
        fn only_routes_to_other_networks_are_noticed() {
            let default = [2, 0, 254, 3, 0, 1];
            let vpn_without_gateway = [2, 8, 254, 3, 253, 1];
            let unreachable = [10, 0, 254, 3, 0, 7];
            for route_out in [default, vpn_without_gateway, unreachable] {
                assert_eq!(of(&route(route_out)), [Notice::Route], "{route_out:?}");
            }
            let own_address = [2, 32, 255, 2, 254, 2];
            let multicast = [10, 8, 255, 2, 0, 5];
            let connected_network = [10, 64, 254, 2, 0, 1];
            let one_container = [2, 32, 254, 3, 253, 1];
            for other in [own_address, multicast, connected_network, one_container] {
                assert_eq!(of(&route(other)), [], "{other:?}");
            }
        }

        #[test]
        fn messages_that_are_cut_or_lie_about_their_length_end_it() {
            let whole = route([2, 0, 254, 3, 0, 1]);
            for length in 0..whole.len() {
                assert_eq!(of(whole.get(..length).unwrap()), []);
            }
            for length in [0_u32, 15, 16, u32::MAX] {
                let mut bytes = message(24, &[0; 12]);
                bytes.splice(..4, length.to_ne_bytes());
                assert_eq!(of(&bytes), []);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);
    const ADDRESSES: Look = Look {
        has_new_routes: false,
    };
    const ROUTES: Look = Look {
        has_new_routes: true,
    };

    /// Returns the looks and their milliseconds, given the notices of each millisecond.
    fn run(until: u32, notices: impl Fn(u32) -> Option<Notice>) -> Vec<(u32, Look)> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut looks = Vec::new();
        for millisecond in 0..until {
            let now = start + millisecond * MILLISECOND;
            if let Some(notice) = notices(millisecond) {
                pace.noticed(now, notice);
            }
            assert!(pace.next.is_none_or(|next| next > start));
            looks.extend(pace.take(now).map(|look| (millisecond, look)));
        }
        looks
    }

    #[test]
    fn a_burst_of_notices_is_one_look_within_a_tenth_of_a_second() {
        let looks = run(1000, |at| (at < 20).then_some(Notice::Address));
        let settling = u32::try_from(limits::NETWORK_SETTLING.as_millis()).unwrap();
        assert_eq!(looks, [(settling, ADDRESSES)]);
        assert!(settling < 100);
    }

    #[test]
    fn notices_without_end_are_looked_at_at_a_bounded_rate() {
        let looks = run(60_000, |_| Some(Notice::Address));
        assert!((200..=400).contains(&looks.len()), "{}", looks.len());
    }

    #[test]
    fn routes_that_change_without_end_are_told_seldom_and_the_last_is_not_forgotten() {
        let looks = run(60_000, |at| (at < 50_000).then_some(Notice::Route));
        let told: Vec<_> = looks.iter().filter(|(_, look)| *look == ROUTES).collect();
        assert!((20..=35).contains(&told.len()), "{}", told.len());
        assert!(told.iter().any(|(at, _)| *at > 49_999), "{told:?}");
    }

    #[test]
    fn the_routes_of_one_change_of_network_are_all_told_at_once() {
        // The network goes, another comes, and it gets its default route.
        let looks = run(1000, |at| match at {
            0 | 100 => Some(Notice::Address),
            1 | 150 | 300 => Some(Notice::Route),
            _ => None,
        });
        let told: Vec<_> = looks.iter().filter(|(_, look)| *look == ROUTES).collect();
        assert!(
            told.len() >= 2 && told.last().unwrap().0 <= 400,
            "{looks:?}"
        );
    }
}
