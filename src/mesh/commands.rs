//! The agent's commands: carries out each request that the agent sends, or refuses it.

use std::time::{Duration, Instant};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::ipc::{
    Command, CommandId, ErrorCode, ErrorReport, Event, Rejection, Request, Success,
};
use crate::protocol::message::Message;

use super::Mesh;
use super::agent::origin::{Generation, Origin};
use super::link::Linker;
use super::peer::session::Outgoing;
use super::peer::{Peer, WaitingConnect};

/// The error text for a command that comes too late.
pub(super) const ENDING: &str = "the sidecar is ending";

impl<K: Linker> Mesh<K> {
    /// Returns whether the next request may be read. If not, the agent is to be held back: the overflow is
    /// full, or too many answers wait.
    pub fn wants_requests(&self) -> bool {
        self.agent.has_room()
            && self.broadcasts.deliveries() < limits::BROADCAST_DELIVERIES
            && !self.overflow.is_full()
    }

    /// Takes one request of the agent. Messages go out with the next [`Mesh::flush`], so that those of
    /// many requests share datagrams.
    pub fn handle_request(
        &mut self,
        now: Instant,
        generation: Generation,
        request: Result<Request, Box<Rejection>>,
    ) {
        let Request { id, command } = match request {
            Ok(request) => request,
            Err(rejection) => {
                self.owe(generation, rejection.id.is_some());
                let origin = Origin::Command {
                    generation,
                    id: rejection.id,
                };
                return self.agent.fail(&origin, rejection.error);
            }
        };
        let owed = id.is_some();
        self.owe(generation, owed);
        match command {
            Command::Send {
                target_peer,
                message,
            } => {
                let origin = Origin::Command { generation, id };
                let outgoing = Outgoing {
                    message,
                    accepted: now,
                    origin,
                };
                self.send(now, target_peer, outgoing);
            }
            Command::Broadcast { message } => self.broadcast(now, generation, id, &message),
            Command::ListPeers => {
                let peers = self.reachable().cloned().collect();
                let event = Event::PeerList { id, peers };
                self.agent.inform(generation, owed, event);
            }
            Command::Connect { target_peer_id } => {
                self.connect(now, target_peer_id, Origin::Command { generation, id });
            }
            Command::Stats => {
                let payload = self.statistics(now).to_json();
                let event = Event::Stats { id, payload };
                self.agent.inform(generation, owed, event);
            }
        }
    }

    fn owe(&mut self, generation: Generation, owed: bool) {
        if owed {
            self.agent.owe_answer(generation);
        }
    }

    pub(super) fn reachable(&self) -> impl Iterator<Item = &PeerId> {
        self.peers
            .values()
            .filter(|peer| peer.reachable)
            .map(|peer| &peer.id)
    }

    fn send(&mut self, now: Instant, target: PeerId, outgoing: Outgoing) {
        if let Err((code, text)) = self.admit(now, &target) {
            return self.settle_failed(&target, outgoing, code, text);
        }
        let limit = self.message_limit_of(&target);
        if outgoing.message.size() > limit {
            return self.settle_too_large(&target, outgoing, limit);
        }
        let is_waited_for = self.peers.get(&target).is_some_and(Peer::is_waited_for);
        if self.queue(now, &target, outgoing) {
            self.reach(now, &target, !is_waited_for);
        }
    }

    fn connect(&mut self, now: Instant, target: PeerId, origin: Origin) {
        if let Err((code, text)) = self.admit(now, &target) {
            return self.agent.fail(&origin, report(code, text, &target, None));
        }
        let Some(peer) = self.peers.get_mut(&target) else {
            return;
        };
        if peer.reachable {
            let connected = Success::Connected {
                target_peer_id: target,
            };
            return self.agent.succeed(&origin, connected);
        }
        if peer.waiting.len() >= limits::WAITING_CONNECTS {
            let text = format!("too many connect commands wait for {target}");
            let error = report(ErrorCode::ConnectFailed, text, &target, None);
            return self.agent.fail(&origin, error);
        }
        peer.waiting
            .push_back(WaitingConnect { origin, since: now });
        self.reach(now, &target, true);
    }

    fn broadcast(
        &mut self,
        now: Instant,
        generation: Generation,
        id: Option<CommandId>,
        message: &Message,
    ) {
        let origin = Origin::Command { generation, id };
        if self.shutting_down {
            let error = ErrorReport {
                code: ErrorCode::ShuttingDown,
                message: ENDING.to_owned(),
                target_peer: None,
                request_id: message.request_id(),
                limit: None,
            };
            return self.agent.fail_message(&origin, error);
        }
        let targets: Vec<_> = self.reachable().cloned().collect();
        if targets.is_empty() {
            let nobody = Success::Broadcast {
                delivered: Vec::new(),
                failed: Vec::new(),
            };
            return self.agent.succeed(&origin, nobody);
        }
        // Without an id there is no answer to collect: each message is a command by itself.
        let origin = match &origin {
            Origin::Command { id: Some(_), .. } => {
                Origin::Broadcast(self.broadcasts.open(origin, targets.len()))
            }
            Origin::Command { id: None, .. } | Origin::Broadcast(_) => origin,
        };
        for target in targets {
            let outgoing = Outgoing {
                message: message.clone(),
                accepted: now,
                origin: origin.clone(),
            };
            self.send(now, target, outgoing);
        }
    }

    /// Checks whether something may be queued for the peer; makes an entry for it if need be.
    fn admit(&mut self, now: Instant, target: &PeerId) -> Result<(), (ErrorCode, String)> {
        if self.shutting_down {
            return Err((ErrorCode::ShuttingDown, ENDING.to_owned()));
        }
        if self.own.as_ref() == Some(target) {
            let text = format!("{target} is this sidecar itself");
            return Err((ErrorCode::UnknownPeer, text));
        }
        if !self.is_allowed(target) {
            let text = format!("ALLOW_PEERS does not allow {target}");
            return Err((ErrorCode::UntrustedPeer, text));
        }
        let max_peers = self.settings.max_peers;
        if self.ensure_room(now, target, Duration::ZERO).is_none() {
            let text = format!("no room for {target}: MAX_PEERS is {max_peers}");
            return Err((ErrorCode::TooManyPeers, text));
        }
        Ok(())
    }

    /// Returns the size of the largest message that the peer is known to take.
    fn message_limit_of(&self, target: &PeerId) -> usize {
        self.peers
            .get(target)
            .and_then(|peer| self.connections.get(&peer.current?))
            .map_or(usize::MAX, |connection| connection.max_message_bytes)
    }

    /// Hands what waits for the peer to the connection, or sees to it that there is one. A new wish does
    /// not wait for the backoff of earlier ones.
    fn reach(&mut self, now: Instant, target: &PeerId, is_new_wish: bool) {
        let Some(peer) = self.peers.get_mut(target) else {
            return;
        };
        self.unflushed.extend(peer.current);
        if !peer.reachable {
            peer.wanted.get_or_insert(now);
            if is_new_wish {
                peer.retry.at = None;
                self.consider_offer(now, target);
            }
            self.arm_peer(now, target);
        }
        self.watch_deadlines(now, target);
    }
}

/// Returns the payload of an error about a peer.
pub(super) fn report(
    code: ErrorCode,
    message: String,
    target: &PeerId,
    request_id: Option<String>,
) -> ErrorReport {
    ErrorReport {
        code,
        message,
        target_peer: Some(target.clone()),
        request_id,
        limit: None,
    }
}
