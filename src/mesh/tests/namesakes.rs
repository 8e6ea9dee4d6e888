//! Several processes under one name: a cloned machine, or one that lingers while another takes its place.

use std::time::Duration;

use super::network::Place;
use super::world::World;
use crate::mesh::connection::intervals::Intervals;
use crate::mesh::link::Linker;

/// Over the time allowed, in which what was decided reaches an agent that reads.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How long the transport may take to repeat an acknowledgement that was lost.
const RESENDING: Duration = Duration::from_secs(40);

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

    /// Every command that was accepted is answered in time: when the peer's agent takes the message, when
    /// the peer's process has ended, or when none under its name was heard for as long as a lost peer is
    /// waited for.
    pub(super) fn check_answers(&mut self) {
        let now = self.now;
        let settings = &self.settings;
        let patience = settings.recovery_timeout.max(settings.connect_timeout);
        // A silence may be an ordinary one for so long.
        let patience = patience.max(Intervals::NORMAL.silent) + GRACE;
        self.ledger.pass_settled();
        for (number, posted) in self.ledger.overdue(now, patience) {
            let from = posted.from.place;
            if posted.from.generation != self.nodes[from].agent.generation
                || !self.is_told_all(from)
            {
                continue;
            }
            // A broadcast is answered with the last of its peers.
            let mut bearers = (0..self.nodes.len() + self.foreign.len())
                .filter(|place| posted.fates.contains_key(self.name(*place)));
            assert!(
                bearers.any(|place| self.may_be_slow(from, place, patience)),
                "message {number} of {from} is not answered: {:?}; {}",
                posted.fates,
                self.report(),
            );
        }
        for place in 0..self.nodes.len() {
            let misses = self.is_told_all(place) && self.ledger.misses_answer(now, place);
            assert!(!misses, "a connect of {place} is not answered");
        }
    }

    /// Whether the agent at `place` has read all that its sidecar had for it.
    fn is_told_all(&self, place: Place) -> bool {
        let node = &self.nodes[place];
        node.agent.has_read_all() && node.mesh.agent.waiting().next().is_none()
    }

    /// Whether a message from one place to another need not be answered yet: the other was heard lately,
    /// and is not connected for long with an agent that has read all.
    fn may_be_slow(&self, from: Place, to: Place, patience: Duration) -> bool {
        let heard = self.nodes[from].heard.get(&to);
        if heard.is_none_or(|heard| *heard + patience < self.now) {
            return false;
        }
        let (Some(node), Some(own)) = (
            self.nodes.get(to),
            self.nodes[from].mesh.current_of(self.name(to)),
        ) else {
            return true;
        };
        let has_lasted = own
            .opened
            .is_some_and(|opened| opened + patience < self.now);
        let has_taken_all = node.agent.is_idle_for(self.now, RESENDING) && self.is_told_all(to);
        !(has_lasted && has_taken_all && self.are_connected(from, to))
    }
}
