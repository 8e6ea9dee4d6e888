//! Probing for tail loss: frames on `mesh-control` that make the peer's transport report what is missing.

use std::time::Instant;

use super::connection::ConnectionId;
use super::link::Linker;
use super::{Mesh, TimerKey};

impl<K: Linker> Mesh<K> {
    /// Sees to it that a connection is looked at when what was written to it has not arrived by then.
    pub(super) fn watch_tail(&mut self, id: ConnectionId) {
        let key = TimerKey::Tail(id);
        // A look that comes too early costs less than moving it with every message.
        if self.timers.is_set(&key) {
            return;
        }
        let due = self.connections.get(&id).and_then(|found| found.tail_due());
        self.timers.set(key, due);
    }

    /// Sends a frame if one is due.
    pub(super) fn look_at_tail(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.look_at_acknowledgements(now);
        if !connection.is_beyond_doubt(now) {
            // It is more than a lost packet, and other paths are looked for.
            return;
        }
        if connection.tail_due().is_some_and(|due| due <= now) {
            let round_trip = connection.round_trip.unwrap_or_default();
            connection.tail.sends(now, round_trip);
            self.ping(now, id);
        }
        self.watch_tail(id);
    }
}
