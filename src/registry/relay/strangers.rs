//! A limit on the requests of clients that have no allocation, which may come from anybody.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::registry::limits::{ALL_STRANGERS_REQUESTS, STRANGERS_REQUESTS};
use crate::registry::rates::Counted;

/// What was counted within the second that goes on.
#[derive(Debug)]
pub(super) struct Strangers {
    since: Instant,
    all: u32,
    each: HashMap<Counted, u32>,
}

impl Strangers {
    pub(super) fn new(now: Instant) -> Self {
        Strangers {
            since: now,
            all: 0,
            each: HashMap::new(),
        }
    }

    /// Counts a request. Returns whether it is within the limits.
    pub(super) fn allow(&mut self, now: Instant, client: Counted) -> bool {
        const SECOND: Duration = Duration::from_secs(1);
        if now.saturating_duration_since(self.since) >= SECOND {
            self.since = now;
            self.all = 0;
            self.each.clear();
        }
        if self.all >= ALL_STRANGERS_REQUESTS {
            return false;
        }
        let own = self.each.entry(client).or_default();
        if *own >= STRANGERS_REQUESTS {
            return false;
        }
        *own += 1;
        self.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn client(number: u32) -> Counted {
        Counted::address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn so_many_a_second_of_each_address_and_of_all() {
        let now = Instant::now();
        let mut strangers = Strangers::new(now);
        let allowed = (0..1000).filter(|_| strangers.allow(now, client(1)));
        assert_eq!(allowed.count(), STRANGERS_REQUESTS as usize);
        let others = (2..1_000_000).filter(|number| strangers.allow(now, client(*number)));
        let left = ALL_STRANGERS_REQUESTS - STRANGERS_REQUESTS;
        assert_eq!(others.count(), left as usize);
        assert!(strangers.each.len() <= ALL_STRANGERS_REQUESTS as usize);
        assert!(strangers.allow(now + Duration::from_secs(1), client(1)));
    }
}
