//! Reports to the registry, with whom we are connected and how, for its picture of the topology. Other
//! registries take them for the heartbeats that they are.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::signaling::{Outgoing, Reported};

use super::link::Linker;
use super::{Mesh, TimerKey};

impl<K: Linker> Mesh<K> {
    /// Plans a report, because it may differ from the last. Changes that follow soon are in the same one.
    pub(super) fn plan_report(&mut self, now: Instant) {
        let soonest = Some(now + limits::REPORT_DELAY);
        let is_wanted = self.settings.report_topology && self.roster.is_connected();
        if is_wanted && !self.timers.is_set_before(&TimerKey::Report, soonest) {
            self.timers.set(TimerKey::Report, soonest);
        }
    }

    /// Sends the report that was planned, if it tells anything new. If the registry has gone meanwhile,
    /// another follows when it is back.
    pub(super) fn report(&mut self, now: Instant) {
        if !self.roster.is_connected() {
            return;
        }
        let connections = self.connections_to_report();
        // A line that is paid for by the byte is not used for round-trip times alone.
        if !connections.is_empty() && !self.settings.metered {
            let next = now + limits::REPORT_INTERVAL;
            self.timers.set(TimerKey::Report, Some(next));
        }
        let told = self.reported.as_ref();
        if told.is_none_or(|told| is_news(told, &connections)) {
            self.reported = Some(connections.clone());
            self.frames.push_back(Outgoing::Report { connections });
        }
    }

    fn connections_to_report(&self) -> Vec<Reported> {
        let reachable = self.peers.values().filter(|peer| peer.reachable);
        let reported = reachable.map(|peer| {
            let current = self.current_of(&peer.id);
            Reported {
                peer: peer.id.clone(),
                path: current.and_then(|current| current.path_kind()),
                round_trip: current.and_then(|current| current.round_trip),
            }
        });
        reported.collect()
    }
}

/// Returns whether connections have changed, their paths, or one of their round-trip times by much.
fn is_news(told: &[Reported], now: &[Reported]) -> bool {
    told.len() != now.len()
        || told.iter().zip(now).any(|(told, now)| {
            told.peer != now.peer
                || told.path != now.path
                || differ_much(told.round_trip, now.round_trip)
        })
}

fn differ_much(told: Option<Duration>, now: Option<Duration>) -> bool {
    match (told, now) {
        (Some(told), Some(now)) => {
            let difference = told.abs_diff(now);
            difference >= limits::REPORT_DIFFERENCE && difference > told.min(now) / 2
        }
        (told, now) => told.is_some() != now.is_some(),
    }
}
