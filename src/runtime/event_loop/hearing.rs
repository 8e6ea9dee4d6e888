//! Takes what other threads have sent: notices of the agent, of the registry and of `KNOWN_PEERS`, the agent's requests,
//! and questions for numbers.

use crossbeam_channel::TryRecvError;

use super::{End, EventLoop, known_peers};
use crate::limits;
use crate::protocol::ipc::RegistryState;
use crate::runtime::{ipc, signaling};

impl EventLoop {
    pub(super) fn hear_agent_threads(&mut self) {
        let now = self.clock.now();
        for _ in 0..limits::SOURCE_BUDGET {
            match self.parts.ipc_notices.try_recv() {
                Ok(ipc::Notice::SocketLost) => {
                    log::info!("the IPC socket is gone or another's, and no agent is here");
                    self.end.get_or_insert(End::Replaced);
                }
                Ok(notice) => self.agent.hear(now, &mut self.parts.mesh, notice),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.lost_thread("IPC"),
            }
        }
        self.unheard = true;
    }

    pub(super) fn hear_signaling_thread(&mut self) {
        let now = self.clock.now();
        let mesh = &mut self.parts.mesh;
        for _ in 0..limits::SOURCE_BUDGET {
            match self.parts.signaling_notices.try_recv() {
                Ok(signaling::Notice::Connected { peer_id }) => {
                    mesh.registry_connected(now, peer_id);
                    self.parts.reaching.registry_connected(now);
                }
                Ok(signaling::Notice::Measured { round_trip }) => {
                    mesh.registry_measured(round_trip);
                }
                Ok(signaling::Notice::Frame(frame)) => mesh.handle_frame(now, frame),
                Ok(signaling::Notice::Disconnected { reason }) => {
                    mesh.registry_disconnected(RegistryState::Disconnected, reason);
                }
                Ok(signaling::Notice::NameTaken { reason }) => {
                    mesh.registry_disconnected(RegistryState::Disconnected, reason);
                    // Its agent has probably been started anew, with a sidecar of its own.
                    let has_lost_agent = !self.agent.is_connected() && self.agent.last().is_some();
                    if has_lost_agent && self.end.is_none() {
                        log::info!("another sidecar has our name, and our agent has gone");
                        self.end = Some(End::Replaced);
                    }
                }
                Ok(signaling::Notice::Refused { reason, fatal }) => {
                    mesh.registry_disconnected(RegistryState::Refused, reason.clone());
                    if fatal {
                        self.end.get_or_insert(End::KeyRefused(reason));
                    }
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.lost_thread("signaling"),
            }
        }
        self.unheard = true;
    }

    /// Parts from the peers for which another process has written another certificate into `KNOWN_PEERS`.
    pub(super) fn hear_known_peers_thread(&mut self) {
        let now = self.clock.now();
        let Some((_, writer)) = &self.parts.known_peers else {
            return;
        };
        while let Some(known_peers::Refused { known, file }) = writer.next_refused() {
            self.parts.mesh.certificate_differs(now, &known, &file);
        }
    }

    /// Gives the core's numbers to those who ask for them.
    pub(super) fn tell_numbers(&mut self) {
        let now = self.clock.now();
        while let Some(question) = self.parts.metrics.next_question() {
            // Whoever asked may have given up.
            let _ = question.try_send(self.parts.mesh.statistics(now));
        }
    }

    /// Ends the loop because a thread has ended that never ends by itself. Without it we would hear
    /// nothing of the agent or the registry any more.
    fn lost_thread(&mut self, name: &'static str) {
        self.end.get_or_insert(End::ThreadLost(name));
    }

    pub(super) fn read_requests(&mut self) {
        let now = self.clock.now();
        let mut budget = limits::SOURCE_BUDGET * limits::SOURCE_BUDGET;
        while self.parts.mesh.wants_requests()
            && let Some(request) = self.requests.next(&self.parts.requests)
        {
            self.hear_arrival(request.generation);
            let mesh = &mut self.parts.mesh;
            mesh.handle_request(now, request.generation, request.line);
            budget -= 1;
            if budget == 0 {
                self.unheard = true;
                break;
            }
        }
        self.parts.mesh.flush(now);
    }

    /// Takes notices until this agent has connected. The notice was sent before the agent's first
    /// request, but on another channel, which may have been looked at for the last time before both
    /// came.
    fn hear_arrival(&mut self, generation: ipc::Generation) {
        while self.agent.last() < Some(generation) && !self.parts.ipc_notices.is_empty() {
            self.hear_agent_threads();
        }
    }
}
