//! What one address, and one peer, may take of the room for connections.

use super::api::Origin;
use super::connection::{AfterAnswer, Connection};
use super::directory::ConnectionId;
use super::limits;
use super::rates::Counted;
use super::response::Response;
use super::server::Server;

impl Server {
    /// Returns the refusal of another connection from there; `None` if there is room for it. All clients of a proxy that is
    /// trusted come from its address.
    pub(super) fn no_room(&self, origin: Origin) -> Option<Response> {
        let Origin::Address(address) = origin else {
            return None;
        };
        let most = self.parts.max_connections;
        let refused = self.crowd.count(&Counted::Refused);
        if self.connections.len().saturating_sub(refused) >= most {
            log::debug!("a connection is refused: {most} are open");
            let text = "too many connections; try again later";
            return Some(Response::error(503, text));
        }
        let share = (most / limits::CONNECTION_SHARES).max(1);
        let is_over = self.crowd.count(&Counted::address(address)) >= share;
        if is_over && !self.parts.trusted_proxies.contain(address) {
            log::debug!("a connection is refused: {share} of {address} have no answer yet");
            let text = "too many requests of this address are on their way; try again later";
            return Some(Response::error(429, text).with("Retry-After", "1"));
        }
        None
    }

    /// Returns whether so many bytes for a connection, on top of what is `held` for each, are more than `most` for all, or more
    /// than their share for those of the same address.
    pub(super) fn is_over_share(
        &self,
        id: ConnectionId,
        bytes: usize,
        most: usize,
        held: impl Fn(&Connection) -> usize,
    ) -> bool {
        let holder = self.connections.get(&id).and_then(|own| self.holder(own));
        let (mut all, mut own) = (bytes, bytes);
        for connection in self.connections.values() {
            let bytes = held(connection);
            all += bytes;
            if bytes > 0 && holder.is_some() && self.holder(connection) == holder {
                own += bytes;
            }
        }
        let is_limited = holder.is_some();
        all > most || (is_limited && own > most / limits::CONNECTION_SHARES)
    }

    /// Returns who is counted for a connection: not the owner, nor a proxy that is trusted and says nothing of its clients.
    fn holder(&self, connection: &Connection) -> Option<Counted> {
        match connection.origin() {
            Origin::Address(address) if !self.parts.trusted_proxies.contain(address) => {
                Some(Counted::address(address))
            }
            Origin::Address(_) | Origin::Owner => None,
        }
    }

    /// Returns whether a refused connection is to be open until its refusal is taken. Closed at once, with a request that
    /// is not read, it would be reset, and the client might lose the refusal.
    pub(super) fn has_room_for_refused(&self) -> bool {
        self.crowd.count(&Counted::Refused) < limits::REFUSED_CONNECTIONS
    }

    /// Counts a connection whose request is refused unread.
    pub(super) fn count_refused(&mut self, id: ConnectionId) {
        self.crowd.enter(id, Counted::Refused);
    }

    /// Counts a connection whose request is awaited.
    pub(super) fn count_request(&mut self, id: ConnectionId, origin: Origin) {
        if let Origin::Address(address) = origin {
            self.crowd.enter(id, Counted::address(address));
        }
    }

    /// Counts a connection that becomes a WebSocket for its peer, unless that has too many: then it gets this refusal.
    pub(super) fn too_many_websockets(
        &mut self,
        id: ConnectionId,
        then: &AfterAnswer,
    ) -> Option<Response> {
        let AfterAnswer::WebSocket { peer, .. } = then else {
            return None;
        };
        let holder = Counted::Peer(peer.clone());
        if self.crowd.count(&holder) >= limits::WEBSOCKETS_OF_PEER {
            log::debug!("a WebSocket of {peer} is refused: it has too many");
            let text = "this peer has too many WebSockets; those that are silent are closed soon";
            return Some(Response::error(429, text).with("Retry-After", "10"));
        }
        if self.connections.contains_key(&id) {
            self.crowd.enter(id, holder);
        }
        None
    }
}
