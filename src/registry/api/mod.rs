//! The registry's HTTP resources: decides, without I/O, what each request is answered.

mod admission;
mod agents;
mod call;
mod hub;
pub(super) mod ice_servers;
mod keys;
mod page;
mod pairing;
mod topology;
mod websocket;

use serde::Serialize;
use serde_json::json;

use super::directory::Directory;
use super::http::Request;
use super::rates::Rates;
use super::response::Response;
use super::secrets::random;
use super::store::{Store, TOKEN_BYTES};
use super::unix_time::UnixTime;
use crate::protocol::PeerId;
use crate::secret::Secret;
pub(super) use call::Origin;
use call::{Call, no_random_numbers};
use ice_servers::IceServers;

/// The outcome of a request.
pub(super) enum Outcome {
    /// Send this answer and end the connection.
    Answer(Response),
    /// Send this answer; then the connection is the WebSocket of this peer.
    WebSocket(Response, PeerId),
}

/// Whether the body of a request that is still on its way is needed.
pub(super) enum BeforeBody {
    /// The answer depends on it.
    Needed,
    /// The answer does not depend on it.
    NotNeeded,
    /// The request is refused anyway.
    Refuse(Response),
}

/// Where the state is kept, for health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Keeping {
    /// In memory only.
    Memory,
    /// On the disk.
    Disk,
    /// In memory, because the disk can't be written.
    Failing,
    /// In the store that registries share.
    Store,
    /// Nowhere for now: that store can't be reached.
    Away,
}

/// The registry's resources and their state.
pub(super) struct Api {
    pub(super) store: Store,
    pub(super) keeping: Keeping,
    rates: Rates,
    ice_servers: IceServers,
    /// The path before all resources, without a slash at its end; may be empty. Some proxies leave it away.
    prefix: String,
    started: UnixTime,
}

impl Api {
    /// Makes an API over a store.
    pub(super) fn new(
        store: Store,
        ice_servers: IceServers,
        prefix: String,
        now: UnixTime,
    ) -> Self {
        Api {
            store,
            keeping: Keeping::Memory,
            rates: Rates::new(),
            ice_servers,
            prefix,
            started: now,
        }
    }

    /// Returns the secret that logins to the relay are made of.
    pub(super) fn login_secret(&self) -> &Secret {
        &self.ice_servers.secret
    }

    /// Has logins to the relay made of this secret from now on.
    pub(super) fn set_login_secret(&mut self, secret: Secret) {
        self.ice_servers.secret = secret;
    }

    /// Answers a request of `origin`; `online` are the peers that are registered. It may be called again for the
    /// same request, when what has come of it was undone.
    pub(super) fn answer(
        &mut self,
        request: &Request,
        origin: Origin,
        online: &Directory,
        now: UnixTime,
    ) -> Outcome {
        let response = match (self.parts(request).as_slice(), request.method.as_str()) {
            (_, "OPTIONS") => Response::any_origin_may_ask(),
            (["ws"], "GET") => return self.websocket(request, now),
            (["api", "token"], "POST") => self.token(request, now),
            (["api", "config"], "GET") => self.config(request, now),
            (["health"], "GET") => self.health(online.len(), now),
            (path, _) if is_call(path) => self
                .call(path, request, origin, online, now)
                .unwrap_or_else(|refusal| refusal),
            (["api", "token"], _) => Response::only("POST"),
            (["ws"] | ["api", "config"] | ["health"], _) => Response::only("GET"),
            ([name], _) => page::answer(name, request).unwrap_or_else(Response::nothing_here),
            _ => Response::nothing_here(),
        };
        Outcome::Answer(response)
    }

    /// Returns the parts of a request's path, without the prefix.
    fn parts<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        self.path(request).split('/').skip(1).collect()
    }

    /// Returns the path of a request without the prefix.
    fn path<'a>(&self, request: &'a Request) -> &'a str {
        let inside = request.path.strip_prefix(self.prefix.as_str());
        let inside = inside.filter(|rest| rest.starts_with('/'));
        inside.unwrap_or(&request.path)
    }

    /// Answers a request of an agent or a person.
    fn call(
        &mut self,
        path: &[&str],
        request: &Request,
        origin: Origin,
        online: &Directory,
        now: UnixTime,
    ) -> Result<Response, Response> {
        let call = Call::new(request, origin, &self.store, now);
        let store = &mut self.store;
        match path {
            ["api", "pairing", rest @ ..] => return pairing::answer(rest, &call, store),
            ["api", "keys", rest @ ..] => return keys::answer(rest, &call, store),
            _ => call.needs_key()?,
        }
        match path {
            ["api", "hub", "network", "topology"] if request.method == "GET" => {
                Ok(topology::show(store, online, now))
            }
            ["api", "hub", "network", "topology"] => Err(Response::only("GET")),
            ["api", "hub", rest @ ..] => hub::answer(rest, &call, store),
            ["api", "registry", rest @ ..] => agents::answer(rest, &call, store),
            _ => Err(Response::nothing_here()),
        }
    }

    fn token(&mut self, request: &Request, now: UnixTime) -> Response {
        let Some(key) = request.key() else {
            return Response::error(401, "send a key as x-api-key or x-device-token");
        };
        let Some(member) = self.store.member(key) else {
            return Response::error(401, "this key is not known");
        };
        let Some(random) = random::<TOKEN_BYTES>() else {
            return no_random_numbers();
        };
        let token = self.store.issue_token(now, member.peer_id.clone(), random);
        let Some(token) = token else {
            return Response::error(503, "too many tokens are valid; try again later")
                .with("Retry-After", "10");
        };
        log::debug!("{} has a token", member.peer_id);
        let body = json!({
            "token": token,
            "peer_id": member.peer_id,
            "role": member.role,
        });
        Response::ok(body.to_string())
    }

    /// Names the STUN and TURN servers. Who shows no key that is known gets no login to them.
    fn config(&self, request: &Request, now: UnixTime) -> Response {
        let member = request.key().and_then(|key| self.store.member(key));
        let peer = member.as_ref().map(|member| &member.peer_id);
        Response::ok(self.ice_servers.answer(request, peer, now))
    }

    fn health(&self, online: usize, now: UnixTime) -> Response {
        let body = json!({
            "status": "ok",
            "peers": online,
            "state": self.keeping,
            "uptime_seconds": now.since(self.started).as_secs(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        Response::ok(body.to_string())
    }

    /// Opens a WebSocket for the peer of a token.
    fn websocket(&mut self, request: &Request, now: UnixTime) -> Outcome {
        let peer = request
            .parameter("token")
            .and_then(|token| self.store.peer_of_token(now, token));
        let Some(peer) = peer else {
            let text = "the token is missing, unknown or has expired; get one from /api/token";
            return Outcome::Answer(Response::error(401, text));
        };
        match websocket::accept(request) {
            Ok(accepted) => Outcome::WebSocket(accepted, peer),
            Err(refusal) => Outcome::Answer(refusal),
        }
    }
}

/// Returns whether a path is one of those that agents and persons call.
fn is_call(path: &[&str]) -> bool {
    matches!(path, ["api", "hub" | "registry" | "pairing" | "keys", ..])
}

#[cfg(test)]
mod tests;
