//! Answers to requests, as the event loop gives them: who has asked, what has to be on the disk before, and
//! how much may wait to be taken.

use std::io;
use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use tungstenite::protocol::frame::coding::CloseCode;

use super::actions::Action;
use super::api::{BeforeBody, Keeping, Origin};
use super::connection::{AfterAnswer, Connection};
use super::directory::ConnectionId;
use super::http::Request;
use super::limits;
use super::response::Response;
use super::server::Server;
use super::shared::Shared;
use super::store::Unsaved;
use super::unix_time::UnixTime;
use crate::config::networks::Networks;
use crate::protocol::PeerId;

impl Server {
    /// Has the body of a request read if the answer needs it and there is room; answers it otherwise.
    pub(super) fn let_in(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let Some((head, length)) = connection.head() else {
            return;
        };
        let origin = seen_through(&self.parts.trusted_proxies, connection.origin(), head);
        let api = &self.parts.api;
        match api.before_body(head, length, origin, UnixTime::now()) {
            BeforeBody::Refuse(response) => self.refuse(id, &response, now),
            BeforeBody::NotNeeded => {
                let request = head.clone();
                self.answer(id, request, now);
            }
            BeforeBody::Needed => {
                self.note_origin(id, origin);
                let most = limits::BODIES_BYTES;
                if self.is_over_share(id, length, most, Connection::body_length) {
                    self.refuse(id, &too_many_bodies(), now);
                } else if let Some(connection) = self.connections.get_mut(&id) {
                    connection.take_body();
                }
            }
        }
    }

    /// Notes where a request comes from: what it takes counts for that place.
    fn note_origin(&mut self, id: ConnectionId, origin: Origin) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.set_origin(origin);
        }
    }

    pub(super) fn answer(&mut self, id: ConnectionId, request: Request, now: Instant) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let origin = seen_through(&self.parts.trusted_proxies, connection.origin(), &request);
        self.note_origin(id, origin);
        let api = &mut self.parts.api;
        api.keeping = match &self.parts.saver {
            None => match self.parts.shared.as_ref().map(Shared::is_there) {
                Some(true) => Keeping::Store,
                Some(false) => Keeping::Away,
                None => Keeping::Memory,
            },
            Some(saver) if saver.has_failed() => Keeping::Failing,
            Some(_) => Keeping::Disk,
        };
        if let Err(refusal) = api.admit(&request, origin, UnixTime::now()) {
            return self.refuse(id, &refusal, now);
        }
        let request = Box::new(request);
        let action = Action::Answer {
            id,
            request,
            origin,
        };
        self.act(action, now);
    }

    /// Sends an answer. What it promises about keys and devices is on the disk before.
    pub(super) fn send_answer(
        &mut self,
        id: ConnectionId,
        mut response: Response,
        then: AfterAnswer,
        now: Instant,
    ) {
        if self.parts.api.store.unsaved() == Unsaved::Now
            && let Err(error) = self.save_now()
        {
            self.parts.api.store.save_later();
            // Who is no longer let in stays outside, come what may.
            response = match response.disconnected {
                Some(_) => {
                    let text = format!("this counts only until the registry ends: {error}");
                    Response::error(500, &text).disconnecting_as(&response)
                }
                None => {
                    self.undo_unsaved();
                    let text = format!("nothing has changed, as it cannot be written: {error}");
                    Response::error(503, &text).with("Retry-After", "10")
                }
            };
        }
        let length = response.body.as_ref().map_or(0, |body| body.len());
        if length > limits::SHORT_ANSWER_BYTES
            && self.is_over_share(id, length, limits::ANSWERS_BYTES, Connection::unsent)
        {
            response = too_many_bodies();
        }
        if let Some(peer) = &response.disconnected {
            self.disconnect(peer, now);
            if let Some(relay) = &self.parts.relay {
                relay.bar(peer, UnixTime::now());
            }
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.answer(&response, SystemTime::now(), then, now);
        }
    }

    /// Ends all WebSockets of a peer that is no longer let in.
    pub(super) fn disconnect(&mut self, peer: &PeerId, now: Instant) {
        let its = self.connections.iter();
        let its = its.filter(|(_, connection)| connection.peer() == Some(peer));
        let its: Vec<ConnectionId> = its.map(|(id, _)| *id).collect();
        for id in its {
            let reason = "its key or token is no longer taken";
            self.say_goodbye(id, CloseCode::Policy, reason, now);
        }
    }

    /// Writes the state, and waits until it is on the disk.
    pub(super) fn save_now(&mut self) -> io::Result<()> {
        let store = &mut self.parts.api.store;
        if let Some(saver) = &self.parts.saver {
            saver.save_now(store.lasting())?;
        }
        store.saved();
        Ok(())
    }

    /// Undoes the action that is being done.
    fn undo_unsaved(&mut self) {
        for (_, table) in self.parts.api.store.tables() {
            table.undo();
        }
    }

    /// Has the state written if it has changed, and was not written just before.
    pub(super) fn save_soon(&mut self, now: Instant) {
        let store = &mut self.parts.api.store;
        let Some(saver) = &self.parts.saver else {
            return store.saved();
        };
        let is_changed = store.unsaved() > Unsaved::Nothing || saver.has_failed();
        if is_changed && now >= self.next_save {
            self.next_save = now + limits::SAVE_INTERVAL;
            if saver.save_soon(store.lasting()) {
                store.saved();
            }
        }
    }
}

/// Returns the place that a request comes from, seen through the proxies that are trusted: the last address
/// in their notes that is none of them.
fn seen_through(trusted: &Networks, origin: Origin, request: &Request) -> Origin {
    let mut seen = origin;
    for note in request.forwarded_for().into_iter().rev() {
        match (seen, note.parse::<IpAddr>()) {
            (Origin::Address(address), Ok(next)) if trusted.contain(address) => {
                seen = Origin::Address(next.to_canonical());
            }
            _ => break,
        }
    }
    seen
}

pub(super) fn too_many_bodies() -> Response {
    let text = "too many requests are on their way; try again later";
    Response::error(503, text).with("Retry-After", "1")
}
