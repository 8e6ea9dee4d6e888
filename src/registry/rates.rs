//! Limits on how often a caller may ask, without I/O.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use super::limits;
use super::unix_time::UnixTime;
use crate::protocol::PeerId;

/// The one whose requests or connections are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    /// The peer of a key.
    Peer(PeerId),
    /// A client that shows no key. The host part of an IPv6 address does not count.
    Address(IpAddr),
    /// All whose connections are refused.
    Refused,
}

impl Counted {
    /// Returns the one who is counted for requests of this address.
    pub(super) fn address(address: IpAddr) -> Self {
        /// The bits of an IPv6 address that a network has, as opposed to its hosts.
        const NETWORK: u128 = !0 << 64;
        Counted::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & NETWORK).into()),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// What is left of a burst, and since when it comes back.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    since: UnixTime,
}

/// A limit for each of many: a burst, and a rate at which it comes back.
struct Buckets<K> {
    burst: f64,
    per_second: f64,
    most: usize,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(burst: u32, period: Duration, most: usize) -> Self {
        Buckets {
            burst: f64::from(burst),
            per_second: f64::from(burst) / period.as_secs_f64(),
            most,
            buckets: HashMap::new(),
        }
    }

    /// Counts one, or what is worth as many as `cost`. Returns whether it is within the limit.
    fn take(&mut self, now: UnixTime, key: K, cost: u32) -> bool {
        let (burst, per_second) = (self.burst, self.per_second);
        let level = |bucket: &Bucket| {
            let gained = now.since(bucket.since).as_secs_f64() * per_second;
            (bucket.left + gained).min(burst)
        };
        if self.buckets.len() >= self.most && !self.buckets.contains_key(&key) {
            self.buckets.retain(|_, bucket| level(bucket) < burst);
            let quietest = self.buckets.iter().min_by_key(|(_, bucket)| bucket.since);
            let quietest = quietest.map(|(key, _)| key.clone());
            if self.buckets.len() >= self.most
                && let Some(quietest) = quietest
            {
                self.buckets.remove(&quietest);
            }
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            left: burst,
            since: now,
        });
        bucket.left = level(bucket);
        bucket.since = now;
        let is_allowed = bucket.left >= f64::from(cost);
        if is_allowed {
            bucket.left -= f64::from(cost);
        }
        is_allowed
    }
}

/// All limits on how often.
pub(super) struct Rates {
    calls: Buckets<Counted>,
    redeems: Buckets<Counted>,
    all_redeems: Buckets<()>,
}

impl Rates {
    /// Makes limits of which nothing is used up.
    pub(super) fn new() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        let refill = Duration::from_secs(1) * limits::CALLS_AT_ONCE / limits::CALLS_PER_SECOND;
        Rates {
            calls: Buckets::new(limits::CALLS_AT_ONCE, refill, limits::CALLERS),
            redeems: Buckets::new(limits::REDEEMS_PER_MINUTE, MINUTE, limits::CALLERS),
            all_redeems: Buckets::new(limits::ALL_REDEEMS_PER_MINUTE, MINUTE, 1),
        }
    }

    /// Counts a request that is worth as many as `cost`. Returns whether it is within the limits.
    pub(super) fn allow_call(&mut self, now: UnixTime, counted: Counted, cost: u32) -> bool {
        self.calls.take(now, counted, cost)
    }

    /// Counts a try to redeem a code. Returns whether it is within the limits.
    pub(super) fn allow_redeem(&mut self, now: UnixTime, counted: Counted) -> bool {
        self.redeems.take(now, counted, 1) && self.all_redeems.take(now, (), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn host(number: u32) -> Counted {
        Counted::address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn five_codes_a_minute_of_each_address_and_sixty_of_all() {
        let (now, mut rates) = (UnixTime::now(), Rates::new());
        for _ in 0..limits::REDEEMS_PER_MINUTE {
            assert!(rates.allow_redeem(now, host(1)));
        }
        assert!(!rates.allow_redeem(now, host(1)));
        let later = now + Duration::from_secs(12);
        assert!(rates.allow_redeem(later, host(1)));
        assert!(!rates.allow_redeem(later, host(1)));
        let others = (2..1000).filter(|number| rates.allow_redeem(later, host(*number)));
        // All that were taken have come back, and one was taken since.
        let left = limits::ALL_REDEEMS_PER_MINUTE - 1;
        assert_eq!(others.count(), left as usize);
    }

    #[test]
    fn hosts_of_one_ipv6_network_count_as_one() {
        let address = |low: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, low));
        assert_eq!(Counted::address(address(1)), Counted::address(address(2)));
        let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        let plain = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(Counted::address(mapped), Counted::address(plain));
    }

    #[test]
    fn those_who_are_counted_are_bounded() {
        let (now, mut buckets) = (UnixTime::now(), Buckets::new(1, Duration::from_secs(60), 3));
        for number in 0..3 {
            let at = now + Duration::from_secs(number);
            assert!(buckets.take(at, number, 1));
        }
        let at = now + Duration::from_secs(4);
        assert!(buckets.take(at, 9, 1), "the first makes room");
        assert!(!buckets.take(at, 1, 1) && !buckets.take(at, 2, 1));
        assert_eq!(buckets.buckets.len(), 3);
    }
}
