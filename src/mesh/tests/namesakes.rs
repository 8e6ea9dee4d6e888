//! Several processes under one name: a cloned machine, or one that lingers while another takes its place.

use std::time::Duration;

use super::network::Place;
use super::world::World;
use crate::mesh::link::Linker;

/// Over the time allowed, in which what was decided reaches an agent that reads.
const GRACE: Duration = Duration::from_secs(2);

impl<K: Linker> World<K> {
    /// The first of those who bear the same name.
    pub(super) fn first_of_name(&self, place: Place) -> Place {
        self.places.get(self.name(place)).copied().unwrap_or(place)
    }

    /// Whether another place comes first that bears the same name.
    pub(super) fn is_namesake(&self, place: Place) -> bool {
        self.first_of_name(place) != place
    }

    /// Whether another process bears the same name now.
    pub(super) fn is_doubled(&self, place: Place) -> bool {
        let name = self.name(place);
        let bearers = self.nodes.iter().filter(|node| node.name == *name);
        bearers.filter(|node| node.is_running).count() > 1
    }

    /// Messages between the two names may be lost from here on, until both know each other's session.
    pub(super) fn excuse(&mut self, one: Place, other: Place) {
        let [one, other] = [one, other].map(|place| self.first_of_name(place));
        self.ledger.excuse(self.now, one, other);
    }

    /// While two bear one name, what is sent to one of them or by one of them may be lost: it takes the
    /// place of the other.
    pub(super) fn excuse_namesakes(&mut self, place: Place) {
        if self.is_doubled(place) {
            for other in 0..self.nodes.len() {
                self.excuse(place, other);
            }
        }
    }

    /// Every message that was accepted is answered in time: when the peer's agent takes it, when the
    /// peer's process has ended, or when none under its name was heard for as long as a lost peer is
    /// waited for.
    pub(super) fn check_answers(&mut self) {
        let now = self.now;
        let settings = &self.settings;
        let patience = settings.recovery_timeout.max(settings.connect_timeout) + GRACE;
        for (number, posted) in self.ledger.overdue(now, patience) {
            let node = &self.nodes[posted.from.place];
            let agent = &node.agent;
            let is_told = agent.has_read_all() && node.mesh.agent.waiting().next().is_none();
            if posted.from.generation != agent.generation || !is_told {
                continue;
            }
            // A broadcast is answered with the last of its peers.
            let is_target = |place: Place| match self.nodes.get(place) {
                Some(target) => posted.fates.contains_key(&target.name),
                None => true,
            };
            let heard = node.heard.iter().filter(|(place, _)| is_target(**place));
            let last = heard.map(|(_, at)| *at).max();
            assert!(
                last.is_some_and(|last| last + patience >= now),
                "message {number} of {} is not answered, its last peer was heard {:?} ago: {:?}",
                posted.from.place,
                last.map(|last| now - last),
                posted.fates,
            );
        }
    }
}
