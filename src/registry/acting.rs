//! How actions are done, alone or together with others, and how they have their effects.

use std::time::{Instant, SystemTime};

use tungstenite::protocol::frame::coding::CloseCode;

use super::actions::{Action, Effect};
use super::api::Outcome;
use super::connection::{AfterAnswer, Connection};
use super::directory::ConnectionId;
use super::response::Response;
use super::server::{REGISTRY, Server};
use super::unix_time::UnixTime;
use crate::protocol::signaling::CONNECTED_AGAIN;

impl Server {
    /// Does an action, or has it done together with others that wait for the store.
    pub(super) fn act(&mut self, action: Action, now: Instant) {
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
            Action::Stay { id, peer } => {
                let connection = self.connections.get(id);
                if connection.and_then(Connection::peer) == Some(peer) {
                    self.directory.enter(*id, peer);
                }
                Effect::Nothing
            }
            Action::Gone(registry) => {
                self.directory.registry_is_gone(registry);
                Effect::Nothing
            }
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
