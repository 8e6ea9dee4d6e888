//! The end of the event loop: decides when it ends, and says goodbye to peers, registry and agent.

use std::time::{Duration, Instant};

use mio::Events;

use super::{End, EventLoop, Parts};
use crate::limits;

impl EventLoop {
    /// Returns whether the loop may end: every message of an agent has been delivered, or there is no
    /// more time for that. Many agents write their last messages and then signal us at once.
    pub(super) fn all_is_said(&mut self) -> bool {
        match &self.end {
            None => return false,
            Some(End::KeyRefused(_) | End::ThreadLost(_)) => return true,
            Some(End::Signal | End::AgentGone | End::Replaced) => {}
        }
        let now = self.clock.now();
        let until = *self.farewell_until.get_or_insert_with(|| {
            self.parts.ipc.shutdown();
            self.parts.mesh.refuse_messages();
            now + limits::FAREWELL_TIMEOUT
        });
        let all_is_read = self.is_settling || self.requests.ended() == self.agent.last();
        if all_is_read && !self.parts.mesh.has_unsettled() {
            return true;
        }
        let is_over = now >= until;
        if is_over && !self.is_settling {
            self.is_settling = true;
            self.farewell_until = Some(now + limits::SETTLING_TIMEOUT);
            self.parts.mesh.stop_sending(now);
            // This makes the loop take another turn at once.
            self.unheard = true;
            return false;
        }
        is_over
    }

    /// Says goodbye to the peers and the registry, and hands the agent its last events; all within
    /// [`limits::SHUTDOWN_TIMEOUT`].
    pub(super) fn shut_down(&mut self) {
        let now = self.clock.now();
        let deadline = now + limits::SHUTDOWN_TIMEOUT;
        self.parts.mesh.shut_down(now);
        self.transmit(now);
        self.parts.reaching.shut_down(now);
        self.transmit(now);
        self.parts.signaling.stop();
        // This comes before the agent's end: a program that sees the agent's end may start another
        // sidecar on the same path.
        self.parts.ipc.shutdown();
        self.answer_the_rest(deadline);
        let left = deadline.saturating_duration_since(self.clock.now());
        self.parts.signaling.wait(left);
    }

    /// Waits, until `deadline`, for the agent to have an answer to every request. Commands that waited
    /// for room in a queue get one too.
    fn answer_the_rest(&mut self, deadline: Instant) {
        let mut events = Events::with_capacity(64);
        loop {
            // The waker is cleared before its channels are drained, as in `run`.
            self.parts.waker.clear();
            self.unheard = false;
            self.hear_agent_threads();
            self.read_requests();
            let now = self.clock.now();
            self.agent
                .hand_on(now, &mut self.parts.mesh, self.requests.ended());
            let left = deadline.saturating_duration_since(self.clock.now());
            if !self.agent.is_connected() || left.is_zero() {
                return;
            }
            let wait = if self.unheard { Duration::ZERO } else { left };
            let Parts { poll, waker, .. } = &mut self.parts;
            if let Err(error) = waker.sleep(poll, &mut events, Some(wait)) {
                return log::error!("waiting for the agent: {error}");
            }
            self.clock.waited(Some(wait));
        }
    }
}
