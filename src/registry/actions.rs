//! What is done with the state, one after the other: requests are answered, peers come and go. Where registries
//! share their state (`shared`), an action has effect once the store has taken its changes;
//! until then it can be done again.

use std::time::{Instant, SystemTime};

use tungstenite::protocol::frame::coding::CloseCode;

use super::api::{Origin, Outcome};
use super::connection::AfterAnswer;
#[cfg(feature = "redis")]
use super::connection::Connection;
use super::directory::{ConnectionId, Registered, Reported};
use super::http::Request;
use super::response::Response;
use super::server::{REGISTRY, Server};
use super::unix_time::UnixTime;
use crate::protocol::PeerId;
use crate::protocol::signaling::CONNECTED_AGAIN;

/// Something that reads or changes the state.
pub(super) enum Action {
    /// A request is answered.
    Answer {
        id: ConnectionId,
        request: Box<Request>,
        origin: Origin,
    },
    /// A peer registers.
    Register { id: ConnectionId, peer: PeerId },
    /// A peer tells whom it is connected to.
    Report {
        id: ConnectionId,
        peer: PeerId,
        report: Vec<Reported>,
    },
    /// A peer's connection has ended.
    Left { id: ConnectionId, peer: PeerId },
    /// A peer's connection is still there, although the shared state does not have it.
    #[cfg(feature = "redis")]
    Stay { id: ConnectionId, peer: PeerId },
    /// The registry of this name is gone, and its connections with it.
    #[cfg(feature = "redis")]
    Gone(String),
    /// The registries need a secret of logins to their relays; this is one if there is none.
    #[cfg(feature = "redis")]
    MakeLoginSecret(String),
}

impl Action {
    /// Returns the connection that it is about.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Action::Answer { id, .. }
            | Action::Register { id, .. }
            | Action::Report { id, .. }
            | Action::Left { id, .. } => Some(*id),
            #[cfg(feature = "redis")]
            Action::Stay { id, .. } => Some(*id),
            #[cfg(feature = "redis")]
            Action::Gone(_) | Action::MakeLoginSecret(_) => None,
        }
    }
}

#[cfg(feature = "redis")]
impl Action {
    /// Returns how long the body of the request is.
    pub(super) fn body_bytes(&self) -> usize {
        match self {
            Action::Answer { request, .. } => request.body.len(),
            _ => 0,
        }
    }
}

/// What an action has outside of the state.
pub(super) enum Effect {
    /// The request is answered.
    Answer(Response, AfterAnswer),
    /// The peer is told who is online.
    Registered(PeerId, Registered),
    /// Nothing.
    Nothing,
}

#[cfg(feature = "redis")]
impl Effect {
    /// Returns how many bytes are to be sent.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Effect::Answer(response, _) => response.body.as_ref().map_or(0, |body| body.len()),
            Effect::Registered(_, registered) => registered.peer_list.len(),
            Effect::Nothing => 0,
        }
    }
}

impl Server {
    /// Does an action, or has it done together with others that wait for the store.
    pub(super) fn act(&mut self, action: Action, now: Instant) {
        #[cfg(feature = "redis")]
        if self.parts.shared.is_some() {
            return self.act_together(action, now);
        }
        self.act_alone(action, now);
        self.settle();
    }

    /// Does an action on the state as this registry has it, with its effect.
    pub(super) fn act_alone(&mut self, action: Action, now: Instant) {
        let effect = self.perform(&action);
        if let Some(id) = action.connection() {
            self.take_effect(id, effect, now);
        }
    }

    /// Does an action on the state, as often as it takes.
    pub(super) fn perform(&mut self, action: &Action) -> Effect {
        match action {
            Action::Answer {
                request, origin, ..
            } => {
                let api = &mut self.parts.api;
                match api.answer(request, *origin, &self.directory, UnixTime::now()) {
                    Outcome::Answer(response) => Effect::Answer(response, AfterAnswer::End),
                    Outcome::WebSocket(response, peer) => {
                        let received = request.rest.clone();
                        Effect::Answer(response, AfterAnswer::WebSocket { peer, received })
                    }
                }
            }
            Action::Register { id, peer } if self.connections.contains_key(id) => {
                Effect::Registered(peer.clone(), self.directory.register(*id, peer))
            }
            Action::Register { .. } => Effect::Nothing,
            Action::Report { id, peer, report } => {
                self.directory.report(*id, peer, report.clone());
                Effect::Nothing
            }
            Action::Left { id, peer } => {
                self.directory.closed(*id, peer);
                Effect::Nothing
            }
            #[cfg(feature = "redis")]
            Action::Stay { id, peer } => {
                let connection = self.connections.get(id);
                if connection.and_then(Connection::peer) == Some(peer) {
                    self.directory.enter(*id, peer);
                }
                Effect::Nothing
            }
            #[cfg(feature = "redis")]
            Action::Gone(registry) => {
                self.directory.registry_is_gone(registry);
                Effect::Nothing
            }
            #[cfg(feature = "redis")]
            Action::MakeLoginSecret(secret) => {
                let store = &mut self.parts.api.store;
                if store.login_secret().is_none() {
                    store.set_login_secret(secret.clone());
                }
                Effect::Nothing
            }
        }
    }

    /// Takes the changes of the state for good.
    pub(super) fn settle(&mut self) {
        for (_, table) in self.parts.api.store.tables() {
            table.settle();
        }
        self.directory.table().settle();
    }

    pub(super) fn take_effect(&mut self, id: ConnectionId, effect: Effect, now: Instant) {
        match effect {
            Effect::Answer(response, then) => {
                let (response, then) = match self.too_many_websockets(id, &then) {
                    Some(refusal) => (refusal, AfterAnswer::End),
                    None => (response, then),
                };
                if let AfterAnswer::WebSocket { peer, .. } = &then {
                    log::debug!("{peer} has opened a WebSocket");
                }
                self.send_answer(id, response, then, now);
            }
            Effect::Registered(peer, registered) => {
                self.show("register", peer.as_str(), REGISTRY);
                self.show("peer_list", REGISTRY, peer.as_str());
                self.send(id, registered.peer_list.into(), now);
                if let Some(replaced) = registered.replaced {
                    self.say_goodbye(replaced, CloseCode::Policy, CONNECTED_AGAIN, now);
                }
            }
            Effect::Nothing => {}
        }
    }

    /// Refuses a request without a look at the state.
    pub(super) fn refuse(&mut self, id: ConnectionId, response: &Response, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.answer(response, SystemTime::now(), AfterAnswer::End, now);
        }
    }
}
