//! Looks up names under `.local`, which peers' candidates may hold, by multicast DNS (RFC 6762). It
//! works in the background: no connection waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::multicast_dns;

/// Pauses from each question for a name to the next; the last one is the time from the last question to
/// giving up.
const WAITS: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The names that are being asked for.
#[derive(Debug, Default)]
pub struct LocalNames {
    asked: BTreeMap<String, Asked>,
}

#[derive(Debug)]
struct Asked {
    /// How many questions were sent.
    questions: usize,
    /// When the next question is due.
    next: Instant,
}

impl LocalNames {
    /// Asks for a name, for which [`multicast_dns::is_local_name`] must hold. Ignores it if
    /// [`limits::LOCAL_NAMES`] are being asked for already.
    pub fn ask(&mut self, now: Instant, name: &str) {
        let name = name.to_ascii_lowercase();
        if self.asked.len() < limits::LOCAL_NAMES || self.asked.contains_key(&name) {
            let first = Asked {
                questions: 0,
                next: now,
            };
            self.asked.entry(name).or_insert(first);
        } else {
            log::debug!("too many .local names are being asked for");
        }
    }

    /// Takes a datagram that came to the multicast group. Returns the addresses in it of names that
    /// were asked for, at most one of each family for each name, and stops asking for those names.
    pub fn handle_datagram(&mut self, bytes: &[u8]) -> Vec<(String, IpAddr)> {
        if self.asked.is_empty() {
            return Vec::new();
        }
        let mut found = multicast_dns::addresses(bytes);
        let mut seen = BTreeSet::new();
        found.retain(|(name, address)| {
            self.asked.contains_key(name) && seen.insert((name.clone(), address.is_ipv4()))
        });
        for (name, _) in &found {
            self.asked.remove(name);
        }
        found
    }

    /// Returns the questions that are due.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut questions = Vec::new();
        self.asked.retain(|name, asked| {
            if asked.next > now {
                return true;
            }
            let Some(wait) = WAITS.get(asked.questions) else {
                log::debug!("nobody here knows a .local name of a peer");
                return false;
            };
            asked.questions += 1;
            asked.next = now + *wait;
            questions.push(multicast_dns::question(name));
            true
        });
        questions
    }

    /// Returns when [`LocalNames::handle_timeout`] has something to do; `None` while no name is asked
    /// for.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.asked.values().map(|asked| asked.next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds an answer that gives `name` as many addresses, the first of them 192.0.2.7.
    fn answer_of(name: &str, addresses: u8) -> Vec<u8> {
        let mut packet = multicast_dns::question(name);
        let question = packet.split_off(12);
        let name_bytes = name.len() + 2;
        packet.splice(2..8, [0x84, 0, 0, 0, 0, addresses]);
        for number in 0..addresses {
            packet.extend(&question[..name_bytes]);
            packet.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 192, 0, 2, 7 + number]);
        }
        packet
    }

    fn answer(name: &str) -> Vec<u8> {
        answer_of(name, 1)
    }

    #[test]
    fn a_name_is_asked_for_until_it_is_answered() {
        let now = Instant::now();
        let mut names = LocalNames::default();
        assert_eq!(names.next_timeout(), None);
        names.ask(now, "A.local");
        names.ask(now, "b.local");
        assert_eq!(names.next_timeout(), Some(now));
        assert_eq!(names.handle_timeout(now).len(), 2);
        assert_eq!(names.handle_datagram(&answer("c.local")), []);
        let expected = [("a.local".to_owned(), IpAddr::from([192, 0, 2, 7]))];
        assert_eq!(names.handle_datagram(&answer("a.local")), expected);
        assert_eq!(names.handle_datagram(&answer("a.local")), []);
        let questions = names.handle_timeout(now + WAITS[0]);
        assert_eq!(questions, [multicast_dns::question("b.local")]);
    }

    #[test]
    fn of_many_addresses_of_a_name_one_is_taken() {
        let now = Instant::now();
        let mut names = LocalNames::default();
        names.ask(now, "a.local");
        let expected = [("a.local".to_owned(), IpAddr::from([192, 0, 2, 7]))];
        assert_eq!(names.handle_datagram(&answer_of("a.local", 60)), expected);
    }

    #[test]
    fn a_name_that_nobody_knows_is_given_up() {
        let start = Instant::now();
        let mut now = start;
        let mut names = LocalNames::default();
        names.ask(now, "a.local");
        let mut questions = 0;
        while let Some(next) = names.next_timeout() {
            now = next;
            questions += names.handle_timeout(now).len();
        }
        assert_eq!(questions, WAITS.len());
        assert_eq!(now - start, WAITS.iter().sum::<Duration>());
    }

    #[test]
    fn no_more_names_than_the_limit_are_asked_for_at_a_time() {
        let now = Instant::now();
        let mut names = LocalNames::default();
        for number in 0..2 * limits::LOCAL_NAMES {
            names.ask(now, &format!("name{number}.local"));
        }
        assert_eq!(names.handle_timeout(now).len(), limits::LOCAL_NAMES);
    }
}
