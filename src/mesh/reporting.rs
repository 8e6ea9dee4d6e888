//! Reports to the registry, with whom we are connected, for its picture of the topology. Other registries
//! take them for the heartbeats that they are.

use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::signaling::Outgoing;

use super::link::Linker;
use super::{Mesh, TimerKey};

impl<K: Linker> Mesh<K> {
    /// Plans a report, because it may differ from the last. Changes that follow soon are in the same one.
    pub(super) fn plan_report(&mut self, now: Instant) {
        let is_wanted = self.settings.report_topology && self.roster.is_connected();
        let soonest = now + limits::REPORT_DELAY;
        if is_wanted && !self.timers.is_set_before(&TimerKey::Report, None) {
            self.timers.set(TimerKey::Report, Some(soonest));
        }
    }

    /// Sends the report that was planned. If the registry has gone meanwhile, another follows when it is back.
    pub(super) fn report(&mut self) {
        if !self.roster.is_connected() {
            return;
        }
        let reachable = self.peers.values().filter(|peer| peer.reachable);
        let peers: Vec<PeerId> = reachable.map(|peer| peer.id.clone()).collect();
        self.frames.push_back(Outgoing::Report { peers });
    }
}
