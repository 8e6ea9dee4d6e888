//! Deadlines of the agent's commands: gives up what has waited for too long, so that each accepted command
//! is answered.
//!
//! A message is answered when the peer's agent has taken it, or when the peer's process is known to have
//! ended. If neither happens, it is given up `RECOVERY_TIMEOUT` after that process was last heard, or
//! `CONNECT_TIMEOUT` and some round trips after the wish to reach one that was never met. A peer that is
//! heard and takes nothing has a slow agent; that alone loses nothing. What was written to a peer of another
//! make ends with its connection, and so with the same deadline.
//!
//! The deadline is computed from what waits and from when the peer was heard. The timer that looks at it
//! renews itself for as long as anything waits, whatever happens to connections meanwhile.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::ipc::ErrorCode;

use super::commands::{ENDING, report};
use super::connection::intervals::Intervals;
use super::link::Linker;
use super::peer::Peer;
use super::{Mesh, Settings, TimerKey};

/// Returns when everything that waits for the peer is given up, unless the peer is heard before; `None`
/// when nothing waits for it. Of a peer that rests the session alone is given up. `connect_time`: how long
/// connecting to one that was never met may take.
fn gives_up_at(
    peer: &Peer,
    is_resting: bool,
    connect_time: Duration,
    settings: &Settings,
) -> Option<Instant> {
    if !peer.met {
        return Some(peer.wanted? + connect_time);
    }
    // As long as it counts as reachable, a silence may be an ordinary one, on a metered line a long one.
    let patience = if peer.reachable {
        settings.recovery_timeout.max(Intervals::METERED.silent)
    } else {
        settings.recovery_timeout
    };
    let has_accepted = !peer.session.is_idle();
    (has_accepted || peer.wanted.is_some() || is_resting).then(|| peer.heard + patience)
}

impl<K: Linker> Mesh<K> {
    /// Plans the look at the deadlines of a peer. To be called when something of the agent's waits for
    /// the peer, or the peer can't be reached.
    pub(super) fn watch_deadlines(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get(peer_id) else {
            return;
        };
        let connect_time = self.connect_time(peer_id);
        let first_connect = peer.waiting.front().map(|first| first.since + connect_time);
        let is_resting = self.resting.contains(peer_id);
        let next = gives_up_at(peer, is_resting, connect_time, &self.settings)
            .into_iter()
            .chain(first_connect)
            .min()
            .map(|at| at.max(now));
        // A look that comes too early costs little; moving it with every message would cost more.
        let key = TimerKey::Deadlines(peer_id.clone());
        if !self.timers.is_set_before(&key, next) {
            self.timers.set(key, next);
        }
    }

    /// Gives up what has waited long enough.
    pub(super) fn look_at_deadlines(&mut self, now: Instant, peer_id: &PeerId) {
        let Some(peer) = self.peers.get(peer_id) else {
            return;
        };
        let current = peer.current;
        debug_assert!(peer.met || peer.wanted.is_some() || peer.session.is_idle());
        let is_resting = self.resting.contains(peer_id);
        let connect_time = self.connect_time(peer_id);
        let is_over =
            gives_up_at(peer, is_resting, connect_time, &self.settings).is_some_and(|at| now >= at);
        // Told of the peer as it was: the end of the session forgets that it was met.
        let since_connect = peer.waiting.front().map(|first| first.since);
        let code = self.failure_to_reach(peer_id, peer.wanted);
        let connect_code = self.failure_to_reach(peer_id, since_connect);
        if is_over {
            if let Some(current) = current {
                self.retire(now, current);
            }
            self.end_session(now, peer_id, code);
        }
        self.fail_overdue_connects(now, peer_id, connect_code);
        self.watch_deadlines(now, peer_id);
        self.arm_peer(now, peer_id);
        self.forget_if_idle(peer_id);
    }

    /// Returns how long connecting to a peer may take, from the wish. `CONNECT_TIMEOUT` is for what takes time
    /// anywhere; the round trips, of the registry and of the path, come on top.
    fn connect_time(&self, peer_id: &PeerId) -> Duration {
        let round_trips = limits::ROUND_TRIPS_TO_CONNECT * self.longest_round_trip(peer_id);
        self.settings.connect_timeout + round_trips
    }

    /// Fails the `connect` commands whose time is over.
    fn fail_overdue_connects(&mut self, now: Instant, peer_id: &PeerId, code: ErrorCode) {
        let longest = self.connect_time(peer_id);
        while let Some(peer) = self.peers.get_mut(peer_id)
            && let Some(origin) = peer.next_overdue(now, longest)
        {
            let text = self.why_not_reached(peer_id, code);
            self.agent.fail(&origin, report(code, text, peer_id, None));
        }
    }

    /// Returns why a peer was not reached that was wanted since then. That somebody was not trusted before says nothing
    /// about it.
    fn failure_to_reach(&self, peer_id: &PeerId, wanted: Option<Instant>) -> ErrorCode {
        let peer = self.peers.get(peer_id);
        let distrusted = peer.and_then(|peer| peer.distrusted.as_ref());
        if distrusted.is_some_and(|distrusted| wanted.is_some_and(|since| since <= distrusted.at)) {
            ErrorCode::UntrustedPeer
        } else if self.roster.lists(peer_id) || self.peers.get(peer_id).is_some_and(|peer| peer.met)
        {
            ErrorCode::ConnectFailed
        } else {
            ErrorCode::UnknownPeer
        }
    }

    fn why_not_reached(&self, peer_id: &PeerId, code: ErrorCode) -> String {
        let peer = self.peers.get(peer_id);
        let distrusted = peer.and_then(|peer| peer.distrusted.as_ref());
        if let (ErrorCode::UntrustedPeer, Some(distrusted)) = (code, distrusted) {
            distrusted.why.clone()
        } else if code == ErrorCode::UnknownPeer && self.roster.is_connected() {
            format!("the registry does not know {peer_id}, or does not show it to us")
        } else if code == ErrorCode::UnknownPeer {
            format!("{peer_id} is not known, and the registry cannot be asked")
        } else if code == ErrorCode::TooManyPeers {
            format!("{peer_id} has no room for another peer: MAX_PEERS is reached there")
        } else if code == ErrorCode::ShuttingDown {
            ENDING.to_owned()
        } else {
            format!("no connection to {peer_id} within the time allowed")
        }
    }

    /// Gives up all that is kept for the peer. What was written fails with `connection_lost`; the rest
    /// and the waiting `connect` commands fail with `code`.
    pub(super) fn abandon(&mut self, now: Instant, peer_id: &PeerId, code: ErrorCode) {
        self.end_session(now, peer_id, code);
        let why = self.why_not_reached(peer_id, code);
        if let Some(peer) = self.peers.get_mut(peer_id) {
            for waiting in std::mem::take(&mut peer.waiting) {
                let error = report(code, why.clone(), peer_id, None);
                self.agent.fail(&waiting.origin, error);
            }
        }
        self.forget_if_idle(peer_id);
    }

    fn has_session(&self, peer_id: &PeerId) -> bool {
        let peer = self.peers.get(peer_id);
        peer.is_some_and(|peer| peer.session.has_begun())
    }

    /// Ends the session. What was written fails with `connection_lost`, what was not written with `code`.
    pub(super) fn end_session(&mut self, now: Instant, peer_id: &PeerId, code: ErrorCode) {
        // Our hellos on these attempts spoke of the session that ends here.
        self.drop_attempts(now, peer_id, |connection| connection.handshake.sent);
        // A session that has not begun has no numbers and keeps its id: the peer may have received our hello
        // and count under that id, though its own hello did not arrive.
        if self.has_session(peer_id) {
            self.restart_session(now, peer_id);
        }
        let why = self.why_not_reached(peer_id, code);
        let Some(peer) = self.peers.get_mut(peer_id) else {
            return;
        };
        peer.wanted = None;
        peer.met = false;
        for outgoing in peer.session.take_unwritten() {
            self.settle_failed(peer_id, outgoing, code, why.clone());
        }
        self.watch_queue(now, peer_id);
    }
}
