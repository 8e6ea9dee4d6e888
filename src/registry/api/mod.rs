//! The registry's HTTP resources: decides, without I/O, what each request is answered.

mod agents;
mod call;
mod hub;
pub(super) mod ice_servers;
mod keys;
mod page;
mod pairing;
mod topology;

use serde::Serialize;
use serde_json::json;
use tungstenite::handshake::derive_accept_key;

use super::directory::Directory;
use super::http::Request;
use super::limits;
use super::rates::{Counted, Rates};
use super::response::Response;
use super::secrets::random;
use super::store::{Store, TOKEN_BYTES};
use super::unix_time::UnixTime;
use crate::protocol::PeerId;
#[cfg(feature = "redis")]
use crate::secret::Secret;
pub(super) use call::Origin;
use call::{Call, Caller, no_random_numbers};
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
    #[cfg(feature = "redis")]
    Store,
    /// Nowhere for now: that store can't be reached.
    #[cfg(feature = "redis")]
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
    #[cfg(feature = "redis")]
    pub(super) fn login_secret(&self) -> &Secret {
        &self.ice_servers.secret
    }

    /// Has logins to the relay made of this secret from now on.
    #[cfg(feature = "redis")]
    pub(super) fn set_login_secret(&mut self, secret: Secret) {
        self.ice_servers.secret = secret;
    }

    /// Returns whether a request is to be answered on the state that registries share as it is now.
    #[cfg(feature = "redis")]
    pub(super) fn needs_store(&self, request: &Request) -> bool {
        let path: Vec<&str> = self.path(request).split('/').skip(1).collect();
        match (path.as_slice(), request.method.as_str()) {
            (_, "OPTIONS") => false,
            (["ws"], "GET") | (["api", "token"], "POST") => true,
            (["api", "hub" | "registry" | "pairing" | "keys", ..], _) => true,
            _ => false,
        }
    }

    /// Counts a request, and refuses it if its sender asks too often.
    pub(super) fn admit(
        &mut self,
        request: &Request,
        origin: Origin,
        now: UnixTime,
    ) -> Result<(), Response> {
        let path: Vec<&str> = self.path(request).split('/').skip(1).collect();
        let method = request.method.as_str();
        let ["api", "hub" | "registry" | "pairing" | "keys", ..] = path.as_slice() else {
            return Ok(());
        };
        if method == "OPTIONS" {
            return Ok(());
        }
        let cost = match path.as_slice() {
            ["api", "registry", "agents"]
            | ["api", "hub", "tasks", "all"]
            | ["api", "hub", "network", ..]
                if method == "GET" =>
            {
                limits::LIST_COST
            }
            _ => 1,
        };
        let redeems = path == ["api", "pairing", "pair"] && method == "POST";
        let call = Call::new(request, origin, &self.store, now);
        let counted = match (&call.caller, call.origin) {
            (_, Origin::Owner) => return Ok(()),
            (Caller::Member(member), _) => Counted::Peer(member.peer_id.clone()),
            (_, Origin::Address(address)) => Counted::address(address),
        };
        if !self.rates.allow_call(now, counted, cost) {
            return Err(Response::error(429, "too many requests").with("Retry-After", "1"));
        }
        if let Origin::Address(address) = origin
            && redeems
            && !self.rates.allow_redeem(now, Counted::address(address))
        {
            let text = "too many codes were tried; try again in a minute";
            return Err(Response::error(429, text).with("Retry-After", "60"));
        }
        Ok(())
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
        let path: Vec<&str> = self.path(request).split('/').skip(1).collect();
        let response = match (path.as_slice(), request.method.as_str()) {
            (_, "OPTIONS") => Response::any_origin_may_ask(),
            (["ws"], "GET") => return self.websocket(request, now),
            (["api", "token"], "POST") => self.token(request, now),
            (["api", "config"], "GET") => self.config(request, now),
            (["health"], "GET") => self.health(online.len(), now),
            (["api", "hub" | "registry" | "pairing" | "keys", ..], _) => self
                .call(&path, request, origin, online, now)
                .unwrap_or_else(|refusal| refusal),
            (["api", "token"], _) => Response::only("POST"),
            (["ws"] | ["api", "config"] | ["health"], _) => Response::only("GET"),
            ([name], _) => page::answer(name, request).unwrap_or_else(Response::nothing_here),
            _ => Response::nothing_here(),
        };
        Outcome::Answer(response)
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

    /// Returns whether the body of a request is needed, which is still on its way and has this length in bytes: for
    /// those of callers that are known, and for the short ones that redeem a code.
    pub(super) fn before_body(
        &self,
        request: &Request,
        length: usize,
        origin: Origin,
        now: UnixTime,
    ) -> BeforeBody {
        let path = self.path(request);
        if path == "/api/pairing/pair" && request.method == "POST" {
            let most = limits::REDEEM_BYTES;
            return match length > most {
                true => BeforeBody::Refuse(Response::error(
                    413,
                    &format!("the body is over {most} bytes"),
                )),
                false => BeforeBody::Needed,
            };
        }
        let reads_body = ["/api/hub/", "/api/registry/", "/api/keys"];
        if reads_body.iter().any(|start| path.starts_with(start)) && request.method == "POST" {
            let call = Call::new(request, origin, &self.store, now);
            return match call.needs_key() {
                Ok(()) => BeforeBody::Needed,
                Err(refusal) => BeforeBody::Refuse(refusal),
            };
        }
        if path == "/ws" {
            let text = "a request for a WebSocket has no body";
            return BeforeBody::Refuse(Response::error(400, text));
        }
        BeforeBody::NotNeeded
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

    /// The server's side of the WebSocket handshake (RFC 6455, 4.2).
    fn websocket(&mut self, request: &Request, now: UnixTime) -> Outcome {
        let peer = request
            .parameter("token")
            .and_then(|token| self.store.peer_of_token(now, token));
        let Some(peer) = peer else {
            let text = "the token is missing, unknown or has expired; get one from /api/token";
            return Outcome::Answer(Response::error(401, text));
        };
        let upgrades =
            request.lists("connection", "upgrade") && request.lists("upgrade", "websocket");
        if !upgrades || request.header("sec-websocket-version") != Some("13") {
            let refusal = Response::error(426, "this path speaks WebSocket, version 13")
                .with("Upgrade", "websocket")
                .with("Sec-WebSocket-Version", "13");
            return Outcome::Answer(refusal);
        }
        let Some(key) = request.header("sec-websocket-key") else {
            return Outcome::Answer(Response::error(400, "Sec-WebSocket-Key is missing"));
        };
        let accept_key = derive_accept_key(key.as_bytes());
        Outcome::WebSocket(Response::switching_to_websocket(accept_key), peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::http::RequestBuffer;
    use crate::registry::store::Lasting;
    use crate::registry::store::keys::Keys;
    use serde_json::Value;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    const ORIGIN: Origin = Origin::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// The example of RFC 6455, 1.3.
    const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

    struct Subject {
        api: Api,
        now: UnixTime,
    }

    impl Subject {
        fn open() -> Self {
            let now = UnixTime::now();
            let stun = json!({"urls": ["stun:stun.example:3478"]});
            let ice_servers = IceServers::fixed(vec![stun]);
            Subject {
                api: Api::new(
                    Store::new(Keys::Open, Duration::from_secs(300), Lasting::default()),
                    ice_servers,
                    "/mesh".to_owned(),
                    now,
                ),
                now,
            }
        }

        fn ask(&mut self, line: &str, headers: &str) -> Outcome {
            let text = format!("{line} HTTP/1.1\r\n{headers}\r\n");
            let request = RequestBuffer::default().push(text.as_bytes());
            let request = request.unwrap().unwrap();
            let online = Directory::default();
            self.api.answer(&request, ORIGIN, &online, self.now)
        }

        fn status(&mut self, line: &str, headers: &str) -> u16 {
            match self.ask(line, headers) {
                Outcome::Answer(response) | Outcome::WebSocket(response, _) => response.status,
            }
        }

        fn json(&mut self, line: &str, headers: &str) -> Value {
            let Outcome::Answer(response) = self.ask(line, headers) else {
                panic!("a WebSocket");
            };
            serde_json::from_str(&response.body.unwrap()).unwrap()
        }

        fn token(&mut self, key: &str) -> String {
            let header = format!("x-api-key: {key}\r\n");
            let answer = self.json("POST /api/token", &header);
            answer["token"].as_str().unwrap().to_owned()
        }
    }

    #[cfg(feature = "redis")]
    #[test]
    fn only_what_reads_or_changes_the_shared_state_needs_the_store() {
        let subject = Subject::open();
        let needs = |line: &str| {
            let text = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
            let request = RequestBuffer::default().push(text.as_bytes());
            subject.api.needs_store(&request.unwrap().unwrap())
        };
        for line in [
            "GET /ws?token=x",
            "POST /api/token",
            "GET /api/hub/tasks/all",
            "POST /api/registry/agents",
            "POST /api/pairing/pair",
            "GET /api/keys",
        ] {
            assert!(needs(line), "{line}");
        }
        for line in [
            "GET /",
            "GET /page.js",
            "GET /nothing",
            "GET /api/nothing",
            "GET /api/token",
            "POST /ws",
            "GET /health",
            "GET /api/config",
            "OPTIONS /api/hub/tasks",
        ] {
            assert!(!needs(line), "{line}");
        }
    }

    #[test]
    fn a_key_or_device_token_gives_a_token() {
        let mut subject = Subject::open();
        let answer = subject.json("POST /api/token", "X-Api-Key: a\r\n");
        assert_eq!(answer["peer_id"], "a");
        assert_eq!(answer["role"], "agent");
        assert_eq!(answer["token"].as_str().unwrap().len(), 64);
        let device = subject.json("POST /api/token", "x-device-token: d\r\n");
        assert_eq!(device["peer_id"], "d");
        assert_ne!(device["token"], answer["token"]);
    }

    #[test]
    fn no_key_no_token() {
        let mut subject = Subject::open();
        assert_eq!(subject.status("POST /api/token", ""), 401);
        assert_eq!(subject.status("POST /api/token", "x-api-key:\r\n"), 401);
    }

    #[test]
    fn a_token_opens_a_websocket_for_its_peer() {
        let mut subject = Subject::open();
        let line = format!("GET /ws?x=1&token={}", subject.token("a"));
        let Outcome::WebSocket(response, peer) = subject.ask(&line, HANDSHAKE) else {
            panic!("refused");
        };
        assert_eq!(peer.as_str(), "a");
        let text = String::from_utf8(response.to_bytes(std::time::UNIX_EPOCH)).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
        assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!text.contains("Content-Length"));
    }

    #[test]
    fn no_websocket_without_a_valid_token_or_a_whole_handshake() {
        let mut subject = Subject::open();
        assert_eq!(subject.status("GET /ws", HANDSHAKE), 401);
        assert_eq!(subject.status("GET /ws?token=", HANDSHAKE), 401);
        assert_eq!(subject.status("GET /ws?token=00", HANDSHAKE), 401);
        let line = format!("GET /ws?token={}", subject.token("a"));
        assert_eq!(subject.status(&line, ""), 426);
        let version = HANDSHAKE.replace("13", "8");
        assert_eq!(subject.status(&line, &version), 426);
        let keyless = HANDSHAKE.replace("Sec-WebSocket-Key", "x");
        assert_eq!(subject.status(&line, &keyless), 400);

        subject.now = subject.now + Duration::from_secs(300);
        assert_eq!(subject.status(&line, HANDSHAKE), 401);
    }

    #[test]
    fn config_and_health() {
        let mut subject = Subject::open();
        let config = subject.json("GET /api/config", "");
        assert_eq!(config["iceServers"][0]["urls"][0], "stun:stun.example:3478");
        let health = subject.json("GET /health?verbose", "");
        assert_eq!(health["status"], "ok");
        assert_eq!(health["peers"], 0);
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        let mut subject = Subject::open();
        assert_eq!(subject.status("GET /elsewhere", ""), 404);
        assert_eq!(subject.status("GET /ws/", ""), 404);
        assert_eq!(subject.status("GET /api/token", ""), 405);
        assert_eq!(subject.status("DELETE /health", ""), 405);
    }

    #[test]
    fn a_page_of_any_origin_may_ask() {
        let mut subject = Subject::open();
        let Outcome::Answer(preflight) = subject.ask("OPTIONS /api/hub/tasks", "") else {
            panic!("a WebSocket");
        };
        let text = preflight.to_bytes(std::time::UNIX_EPOCH);
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("HTTP/1.1 204 No Content\r\n"), "{text}");
        for header in [
            "Access-Control-Allow-Origin: *",
            "Access-Control-Allow-Methods: GET, POST, DELETE",
            "Access-Control-Allow-Headers: content-type, x-api-key, x-device-token",
            "Connection: close",
        ] {
            assert!(text.contains(&format!("\r\n{header}\r\n")), "{text}");
        }
    }

    #[test]
    fn a_prefix_may_be_there_or_not() {
        let mut subject = Subject::open();
        assert_eq!(subject.status("GET /mesh/health", ""), 200);
        assert_eq!(subject.status("GET /health", ""), 200);
        assert_eq!(subject.status("GET /meshhealth", ""), 404);
        assert_eq!(subject.status("GET /mesh", ""), 404);
    }
}
