//! Decides which of a host's addresses is tried next (RFC 8305, "Happy Eyeballs").
//!
//! Addresses are tried side by side, one after the other, families in turn. Each is tried again every
//! second, because the system repeats an unanswered SYN only after 1, 3 and 7 s: after an outage that would
//! be long.

use std::net::SocketAddr;
use std::time::Instant;

use crate::limits;
use crate::runtime::names::families_in_turn;

/// The addresses, and when each is tried.
#[derive(Debug, Default)]
pub(super) struct Race {
    began: Option<Instant>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    address: SocketAddr,
    is_tried: bool,
    next: Instant,
}

impl Race {
    /// Adds addresses, in the resolver's order of preference. Those that are known, and those beyond
    /// [`limits::HOST_ADDRESSES`], are left out.
    pub(super) fn add(&mut self, now: Instant, addresses: &[SocketAddr]) {
        let untried = self.entries.iter().filter(|entry| !entry.is_tried);
        let after = untried.map(|entry| entry.next + limits::DIAL_STAGGER);
        let mut next = after.fold(now, Instant::max);
        for address in families_in_turn(addresses, SocketAddr::is_ipv4) {
            let is_known = self.entries.iter().any(|entry| entry.address == address);
            if is_known || self.entries.len() >= limits::HOST_ADDRESSES {
                continue;
            }
            self.began.get_or_insert(now);
            self.entries.push(Entry {
                address,
                is_tried: false,
                next,
            });
            next += limits::DIAL_STAGGER;
        }
    }

    /// Returns the next address if it is to be tried now.
    pub(super) fn take(&mut self, now: Instant) -> Option<SocketAddr> {
        let entry = self.entries.iter_mut().min_by_key(|entry| entry.next)?;
        if entry.next > now {
            return None;
        }
        entry.is_tried = true;
        entry.next = now + limits::DIAL_AGAIN;
        Some(entry.address)
    }

    /// Notes that a try has failed: the next address that was not tried yet need not wait.
    pub(super) fn failed(&mut self, now: Instant) {
        let untried = self.entries.iter_mut().filter(|entry| !entry.is_tried);
        let mut next = now;
        for entry in untried {
            entry.next = entry.next.min(next);
            next += limits::DIAL_STAGGER;
        }
    }

    /// Has all addresses tried again from now on, because the network has changed.
    pub(super) fn restart(&mut self, now: Instant) {
        let mut next = now;
        for entry in &mut self.entries {
            entry.next = next;
            next += limits::DIAL_STAGGER;
        }
    }

    /// Returns when the next address is to be tried.
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.next).min()
    }

    /// Returns when the first address came.
    pub(super) fn began(&self) -> Option<Instant> {
        self.began
    }

    /// Returns whether each address has been tried.
    pub(super) fn is_through(&self) -> bool {
        self.entries.iter().all(|entry| entry.is_tried)
    }

    /// Returns all addresses, `first` before the others.
    pub(super) fn led_by(&self, first: SocketAddr) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.entries.iter().map(|entry| entry.address).collect();
        addresses.sort_by_key(|address| *address != first);
        addresses
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn addresses() -> Vec<SocketAddr> {
        let texts = ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1"];
        texts.map(address).to_vec()
    }

    /// Returns the tries and their milliseconds; `fails` says at which milliseconds a try fails.
    fn run(race: &mut Race, start: Instant, until: u32, fails: &[u32]) -> Vec<(u32, SocketAddr)> {
        let mut tries = Vec::new();
        for millisecond in 0..until {
            let now = start + millisecond * Duration::from_millis(1);
            if fails.contains(&millisecond) {
                race.failed(now);
            }
            while let Some(address) = race.take(now) {
                tries.push((millisecond, address));
            }
        }
        tries
    }

    #[test]
    fn families_take_turns_and_the_whole_set_is_tried_each_second() {
        let start = Instant::now();
        let mut race = Race::default();
        race.add(start, &addresses());
        let [six, other, four] = addresses()[..] else {
            panic!("not three")
        };
        let expected: Vec<_> = (0..3)
            .flat_map(|second| {
                let at = second * 1000;
                [(at, six), (at + 250, four), (at + 500, other)]
            })
            .collect();
        assert_eq!(run(&mut race, start, 3000, &[]), expected);
        assert!(race.is_through());
    }

    #[test]
    fn after_a_failure_the_next_does_not_wait() {
        let start = Instant::now();
        let mut race = Race::default();
        race.add(start, &addresses());
        let tries = run(&mut race, start, 600, &[10]);
        let times: Vec<_> = tries.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [0, 10, 260]);
    }

    #[test]
    fn addresses_that_come_later_are_added_once() {
        let start = Instant::now();
        let mut race = Race::default();
        race.add(start, &[address("192.0.2.1:1")]);
        assert_eq!(run(&mut race, start, 300, &[]).len(), 1);
        let later = start + Duration::from_millis(300);
        race.add(later, &addresses());
        let tries = run(&mut race, later, 500, &[]);
        assert_eq!(tries[0], (0, address("[2001:db8::1]:1")));
        assert_eq!(tries[1], (250, address("[2001:db8::2]:1")));
        assert_eq!(race.led_by(address("192.0.2.1:1")).len(), 3);
    }

    #[test]
    fn a_change_of_the_network_begins_anew_and_a_host_has_a_bounded_number_of_addresses() {
        let start = Instant::now();
        let mut race = Race::default();
        let many: Vec<_> = (0..100)
            .map(|n| address(&format!("192.0.2.{n}:1")))
            .collect();
        race.add(start, &many);
        assert_eq!(race.entries.len(), limits::HOST_ADDRESSES);
        assert!(race.take(start).is_some());
        assert_eq!(race.take(start), None);
        race.restart(start);
        assert_eq!(race.take(start), Some(many[0]));
    }
}
