//! The peer's candidates for one connection: limits how many are taken, and keeps those that wait for the
//! description or for the address behind a name, and the kind of each address.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::limits;

use crate::mesh::introduction::token_bucket::TokenBucket;
use crate::mesh::link::description;

/// The candidates of a peer.
#[derive(Debug)]
pub(crate) struct RemoteCandidates {
    allowance: TokenBucket,
    /// How many candidates were ignored because they were too many.
    ignored: u64,
    /// Hashes of the latest candidates that came by themselves.
    latest: VecDeque<u64>,
    /// Candidates that came before the description.
    waiting: Vec<String>,
    /// Candidates with a name under `.local` in place of an address, each after that name. Oldest first.
    unresolved: VecDeque<(String, String)>,
    /// How many of the unresolved names have been asked for.
    asked_names: usize,
    /// Addresses, and the kind that the peer called each (RFC 8445). Oldest first.
    kinds: VecDeque<(SocketAddr, &'static str)>,
}

impl RemoteCandidates {
    pub(crate) fn new(now: Instant) -> Self {
        let burst = u32::try_from(limits::CANDIDATES_PER_CONNECTION).unwrap_or(u32::MAX);
        RemoteCandidates {
            allowance: TokenBucket::new((burst, limits::CANDIDATE_INTERVAL), now),
            ignored: 0,
            latest: VecDeque::new(),
            waiting: Vec::new(),
            unresolved: VecDeque::new(),
            asked_names: 0,
            kinds: VecDeque::new(),
        }
    }

    /// Notes a candidate. Returns whether it came before: it may come on several ways.
    pub(crate) fn note_repeated(&mut self, candidate: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        candidate.hash(&mut hasher);
        let hash = hasher.finish();
        let is_known = self.latest.contains(&hash);
        if !is_known {
            if self.latest.len() == limits::CANDIDATES_PER_CONNECTION {
                self.latest.pop_front();
            }
            self.latest.push_back(hash);
        }
        is_known
    }

    /// Counts a candidate against the limit; returns `false` when it is one too many.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let is_admitted = self.allowance.take(now);
        self.ignored += u64::from(!is_admitted);
        is_admitted
    }

    /// Returns the description with no more candidates than the limit admits.
    pub(crate) fn limit<'a>(&mut self, now: Instant, sdp: &'a str) -> Cow<'a, str> {
        let all = description::candidates(sdp);
        let admitted = all.filter(|_| self.admit(now)).count();
        description::limit_candidates(sdp, admitted)
    }

    /// Returns how many candidates were ignored since the last call.
    pub(crate) fn take_ignored(&mut self) -> u64 {
        std::mem::take(&mut self.ignored)
    }

    /// Keeps a candidate until the description is there.
    pub(crate) fn wait(&mut self, candidate: String) {
        self.waiting.push(candidate);
    }

    /// Takes out the candidates that have waited for the description.
    pub(crate) fn take_waiting(&mut self) -> Vec<String> {
        std::mem::take(&mut self.waiting)
    }

    /// Keeps a candidate until the address behind its name is known. If there are too many, the oldest is
    /// dropped.
    pub(crate) fn wait_for_name(&mut self, name: &str, candidate: &str) {
        if self.unresolved.len() == limits::LOCAL_NAMES_PER_CONNECTION {
            self.unresolved.pop_front();
            self.asked_names = self.asked_names.saturating_sub(1);
        }
        let name = name.to_ascii_lowercase();
        self.unresolved.push_back((name, candidate.to_owned()));
    }

    /// Returns the names that have not been asked for yet, and counts them as asked.
    pub(crate) fn names_to_ask(&mut self) -> impl Iterator<Item = &str> {
        let asked = std::mem::replace(&mut self.asked_names, self.unresolved.len());
        let unasked = self.unresolved.iter().skip(asked);
        unasked.map(|(name, _)| name.as_str())
    }

    /// Returns the candidates that hold this name, with the address in its place.
    pub(crate) fn with_address(&self, name: &str, address: IpAddr) -> Vec<String> {
        let address = address.to_string();
        let lines = self.unresolved.iter();
        lines
            .filter(|(unresolved, _)| unresolved == name)
            .filter_map(|(_, line)| {
                let (before, after) = line.split_once(description::candidate_name(line)?)?;
                Some([before, &address, after].concat())
            })
            .collect()
    }

    /// Remembers the kind of a candidate's address. If there are too many, the oldest is forgotten,
    /// except the one that is in use.
    pub(crate) fn note_kind(&mut self, candidate: &str, in_use: Option<SocketAddr>) {
        let Some((address, kind)) = description::candidate_address(candidate) else {
            return;
        };
        if self.told_kind(address).is_some() {
            return;
        }
        if self.kinds.len() >= limits::CANDIDATES_PER_CONNECTION {
            let mut known = self.kinds.iter();
            if let Some(oldest) = known.position(|(address, _)| Some(*address) != in_use) {
                self.kinds.remove(oldest);
            }
        }
        self.kinds.push_back((address, kind));
    }

    /// Returns the kind of an address, if it is known: what the peer called it, or `relay` if it called the same
    /// port that. A relay with several addresses may send from another one than it has lent.
    pub(crate) fn kind(&self, address: SocketAddr) -> Option<&'static str> {
        let is_of_relay = |(known, kind): &(SocketAddr, &'static str)| {
            *kind == "relay" && known.port() == address.port()
        };
        self.told_kind(address)
            .or_else(|| self.kinds.iter().any(is_of_relay).then_some("relay"))
    }

    fn told_kind(&self, address: SocketAddr) -> Option<&'static str> {
        let mut known = self.kinds.iter();
        known
            .find(|(known, _)| *known == address)
            .map(|(_, kind)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_names_the_latest_are_asked_for() {
        let mut candidates = RemoteCandidates::new(Instant::now());
        let names = |numbers: std::ops::Range<usize>| -> Vec<_> {
            numbers.map(|n| format!("name{n}.local")).collect()
        };
        let most = limits::LOCAL_NAMES_PER_CONNECTION;
        for name in names(0..most) {
            candidates.wait_for_name(&name, "");
        }
        let asked: Vec<_> = candidates.names_to_ask().map(str::to_owned).collect();
        assert_eq!(asked, names(0..most));
        for name in names(most..2 * most + 2) {
            candidates.wait_for_name(&name, "");
        }
        let asked: Vec<_> = candidates.names_to_ask().map(str::to_owned).collect();
        assert_eq!(asked, names(most + 2..2 * most + 2));
        assert_eq!(candidates.names_to_ask().count(), 0);
    }
    #[test]
    fn a_relay_may_send_from_another_of_its_addresses() {
        let mut candidates = RemoteCandidates::new(Instant::now());
        let address = |address: &str| address.parse().unwrap();
        for (at, kind) in [("10.0.2.1 50001", "relay"), ("10.0.2.7 50002", "host")] {
            let line = format!("candidate:1 1 udp 1 {at} typ {kind}");
            candidates.note_kind(&line, None);
        }
        assert_eq!(candidates.kind(address("10.0.2.1:50001")), Some("relay"));
        assert_eq!(candidates.kind(address("10.0.1.1:50001")), Some("relay"));
        assert_eq!(candidates.kind(address("10.0.1.1:50002")), None);
        // What the peer calls it itself goes first.
        candidates.note_kind("candidate:2 1 udp 1 10.0.1.1 50001 typ host", None);
        assert_eq!(candidates.kind(address("10.0.1.1:50001")), Some("host"));
    }
}
