//! The roster: who is online, as far as the registry has told. It tells only when asked.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::ipc::RegistryState;

/// The registry's last list, and when to ask again.
#[derive(Debug)]
pub(crate) struct Roster {
    state: RegistryState,
    /// Why the registry is not connected, once connecting was tried.
    reason: Option<String>,
    listed: BTreeSet<PeerId>,
    /// All that were ever listed, as far as there is room.
    ever_listed: BTreeSet<PeerId>,
    /// When the last `register` was sent, as far as known.
    asked: Option<Instant>,
    unanswered: bool,
    /// When the next `register` is wanted.
    wanted: Option<Instant>,
    /// How many of the listed peers there was no room for, as it was told last.
    refused: usize,
    /// When that was told.
    refused_told: Option<Instant>,
    /// Whether any list was longer than what is kept.
    was_cut: bool,
    /// How long a round trip to the registry takes.
    round_trip: Option<Duration>,
}

impl Roster {
    /// Creates the roster of a registry that was not reached yet.
    pub(crate) fn new() -> Self {
        Roster {
            state: RegistryState::Disconnected,
            reason: None,
            listed: BTreeSet::new(),
            ever_listed: BTreeSet::new(),
            asked: None,
            unanswered: false,
            wanted: None,
            refused: 0,
            refused_told: None,
            was_cut: false,
            round_trip: None,
        }
    }

    /// Notes that the registry is connected, and that `register` was sent.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.state = RegistryState::Connected;
        self.reason = None;
        self.sent(now);
    }

    /// Notes that the registry is not connected, for this reason.
    pub(crate) fn disconnected(&mut self, state: RegistryState, reason: String) {
        self.state = state;
        self.reason = Some(reason);
        self.unanswered = false;
        self.wanted = None;
    }

    pub(crate) fn state(&self) -> RegistryState {
        self.state
    }

    /// Returns why the registry is not connected; `None` also when that is not known yet.
    pub(crate) fn reason(&self) -> Option<&String> {
        self.reason.as_ref()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state == RegistryState::Connected
    }

    pub(crate) fn lists(&self, peer: &PeerId) -> bool {
        self.listed.contains(peer)
    }

    /// Returns whether the registry has ever listed a peer. It may not list one that is connected to us, because
    /// the peer has lost the registry. That it has brought an offer of somebody does not count: some registries
    /// bring everybody's.
    pub(crate) fn has_listed(&self, peer: &PeerId) -> bool {
        self.ever_listed.contains(peer)
    }

    /// Notes how long a round trip to the registry takes.
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// Returns how long a round trip to the registry takes, if that is known.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Takes over a list that came in.
    pub(crate) fn update(&mut self, now: Instant, peers: Vec<PeerId>) {
        // A satellite's modem answers for those behind it when a connection is made, so this counts more.
        if let Some(asked) = self.asked.filter(|_| self.unanswered) {
            self.measured(now.saturating_duration_since(asked));
        }
        self.unanswered = false;
        self.listed = peers.into_iter().take(limits::LISTED_PEERS).collect();
        if self.ever_listed.len() + self.listed.len() > 2 * limits::LISTED_PEERS {
            self.ever_listed.clear();
        }
        self.ever_listed.extend(self.listed.iter().cloned());
    }

    pub(crate) fn listed(&self) -> impl Iterator<Item = &PeerId> {
        self.listed.iter()
    }

    /// Notes that there is no room for `count` of those listed. Returns whether that is to be told: it is news, and
    /// something like it was not told just now.
    pub(crate) fn refuses(&mut self, now: Instant, count: usize) -> bool {
        if count == 0 {
            self.refused = 0;
        }
        let is_early = |told| now < told + limits::LACK_OF_ROOM_TOLD;
        if count == self.refused || self.refused_told.is_some_and(is_early) {
            return false;
        }
        self.refused = count;
        self.refused_told = Some(now);
        true
    }

    /// Notes that the last list had `count` names more than are kept. Returns whether it is the first of
    /// which any are left out.
    pub(crate) fn leaves_out(&mut self, count: usize) -> bool {
        count > 0 && !std::mem::replace(&mut self.was_cut, true)
    }

    /// Adds a peer that was heard of through the registry, and so is online.
    pub(crate) fn heard_of(&mut self, peer: &PeerId) {
        if self.listed.len() < limits::LISTED_PEERS {
            self.listed.insert(peer.clone());
        }
    }

    /// Plans to ask for a fresh list. Questions are bundled: at most one each [`limits::LIST_INTERVAL`].
    pub(crate) fn want(&mut self, now: Instant) {
        if !self.is_connected() || self.unanswered || self.wanted.is_some() {
            return;
        }
        let soonest = self
            .asked
            .map_or(now, |asked| asked + limits::LIST_INTERVAL);
        self.wanted = Some(soonest.max(now));
    }

    /// Returns when to ask next: when somebody wants to know, when the last question went unanswered, and
    /// with `refresh` every now and then, because the registry does not tell who has come.
    pub(crate) fn next_question(&self, refresh: bool) -> Option<Instant> {
        if !self.is_connected() || self.wanted.is_some() {
            return self.wanted;
        }
        let patience = match self.unanswered {
            true => Some(limits::REGISTER_TIMEOUT),
            false => refresh.then_some(limits::LIST_REFRESH),
        };
        Some(self.asked? + patience?)
    }

    /// Notes that `register` was sent.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.asked = Some(now);
        self.unanswered = true;
        self.wanted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_room_is_news_when_it_changes() {
        let mut roster = Roster::new();
        let mut now = Instant::now();
        let news = [0, 5, 5, 6, 6, 0, 0, 6].map(|count| {
            now += limits::LACK_OF_ROOM_TOLD;
            roster.refuses(now, count)
        });
        assert_eq!(news, [false, true, false, true, false, false, false, true]);
    }

    #[test]
    fn a_lack_of_room_that_changes_all_the_time_is_told_now_and_then() {
        let mut roster = Roster::new();
        let mut now = Instant::now();
        let news = (0..1000).filter(|turn| {
            now += limits::LACK_OF_ROOM_TOLD / 100;
            roster.refuses(now, 100 + turn % 3)
        });
        assert!((5..=10).contains(&news.count()));
    }

    #[test]
    fn that_a_list_was_cut_is_news_once() {
        let mut roster = Roster::new();
        let news = [0, 5, 5, 7, 0].map(|count| roster.leaves_out(count));
        assert_eq!(news, [false, true, false, false, false]);
    }

    #[test]
    fn questions_to_the_registry_are_bundled() {
        let now = Instant::now();
        let mut roster = Roster::new();
        roster.want(now);
        assert_eq!(roster.next_question(true), None, "there is nobody to ask");
        roster.connected(now);
        roster.want(now);
        assert_eq!(
            roster.next_question(false),
            Some(now + limits::REGISTER_TIMEOUT),
            "one is on its way"
        );
        roster.update(now, Vec::new());
        assert_eq!(roster.next_question(false), None);
        assert_eq!(roster.next_question(true), Some(now + limits::LIST_REFRESH));
        roster.want(now);
        roster.want(now);
        let soon = Some(now + limits::LIST_INTERVAL);
        assert_eq!(roster.next_question(true), soon);
    }
}
