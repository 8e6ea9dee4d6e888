//! The registry's HTTP resources: decides, without I/O, what each request is answered.

use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::handshake::derive_accept_key;

use super::http::{Request, Response};
use super::hub::Hub;
use super::keys::Keys;
use super::limits;
use super::tokens::{TOKEN_BYTES, Tokens};
use crate::protocol::PeerId;

/// The outcome of a request.
pub(super) enum Outcome {
    /// Send this answer and end the connection.
    Answer(Response),
    /// Send this answer; then the connection is the WebSocket of this peer.
    WebSocket(Response, PeerId),
}

/// The registry's resources and their state.
pub(super) struct Api {
    keys: Keys,
    tokens: Tokens,
    hub: Hub,
    /// The whole body of `/api/config`.
    config: String,
    started: Instant,
}

impl Api {
    /// Makes an API for which no token has been given out yet.
    pub(super) fn new(
        keys: Keys,
        ice_servers: &[serde_json::Value],
        token_lifetime: Duration,
        now: Instant,
    ) -> Self {
        Api {
            keys,
            tokens: Tokens::new(token_lifetime, limits::TOKENS),
            hub: Hub::default(),
            config: json!({ "iceServers": ice_servers }).to_string(),
            started: now,
        }
    }

    /// Judges requests by other keys from now on. Tokens that were given out stay.
    pub(super) fn replace_keys(&mut self, keys: Keys) {
        self.keys = keys;
    }

    /// Answers a request; `online` is the number of peers that are registered.
    pub(super) fn answer(&mut self, request: &Request, online: usize, now: Instant) -> Outcome {
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        let response = match (path.as_slice(), request.method.as_str()) {
            (["ws"], "GET") => return self.websocket(request, now),
            (["api", "token"], "POST") => self.token(request, now),
            (["api", "config"], "GET") => Response::ok(self.config.clone()),
            (["health"], "GET") => self.health(online, now),
            (["api", "hub", rest @ ..], _) => self.hub.answer(rest, request, &self.keys, now),
            (["api", "token"], _) => Response::only("POST"),
            (["ws"] | ["api", "config"] | ["health"], _) => Response::only("GET"),
            _ => Response::nothing_here(),
        };
        Outcome::Answer(response)
    }

    /// Returns the answer to a request whose body is still on its way, or `None` if the answer depends on
    /// that body. Only the task queue reads bodies, and only those of callers that it knows.
    pub(super) fn answer_without_body(
        &mut self,
        request: &Request,
        online: usize,
        now: Instant,
    ) -> Option<Response> {
        if request.path.starts_with("/api/hub/") {
            return Hub::refusal(request, &self.keys);
        }
        match self.answer(request, online, now) {
            Outcome::Answer(response) => Some(response),
            Outcome::WebSocket(..) => {
                let text = "a request for a WebSocket has no body";
                Some(Response::error(400, text))
            }
        }
    }

    fn token(&mut self, request: &Request, now: Instant) -> Response {
        let Some(key) = request.key() else {
            return Response::error(401, "send a key as x-api-key or x-device-token");
        };
        let Some(identity) = self.keys.identity(key) else {
            return Response::error(401, "this key is not known");
        };
        let mut random = [0; TOKEN_BYTES];
        if let Err(error) = getrandom::fill(&mut random) {
            log::error!("the system gives no random numbers for a token: {error}");
            return Response::error(500, "no random numbers");
        }
        let Some(token) = self.tokens.issue(now, identity.peer_id.clone(), random) else {
            return Response::error(503, "too many tokens are valid; try again later")
                .with("Retry-After", "10");
        };
        log::debug!("{} has a token", identity.peer_id);
        let body = json!({
            "token": token,
            "peer_id": identity.peer_id,
            "role": identity.role,
        });
        Response::ok(body.to_string())
    }

    fn health(&self, online: usize, now: Instant) -> Response {
        let body = json!({
            "status": "ok",
            "peers": online,
            "uptime_seconds": now.duration_since(self.started).as_secs(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        Response::ok(body.to_string())
    }

    /// The server's side of the WebSocket handshake (RFC 6455, 4.2).
    fn websocket(&mut self, request: &Request, now: Instant) -> Outcome {
        let peer = request
            .parameter("token")
            .and_then(|token| self.tokens.peer(now, token));
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
    use super::super::http::RequestBuffer;
    use super::*;
    use serde_json::Value;

    /// The example of RFC 6455, 1.3.
    const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

    struct Subject {
        api: Api,
        now: Instant,
    }

    impl Subject {
        fn open() -> Self {
            let now = Instant::now();
            let servers = [json!({"urls": ["stun:stun.example:3478"]})];
            Subject {
                api: Api::new(Keys::Open, &servers, Duration::from_secs(300), now),
                now,
            }
        }

        fn ask(&mut self, line: &str, headers: &str) -> Outcome {
            let text = format!("{line} HTTP/1.1\r\n{headers}\r\n");
            let request = RequestBuffer::default().push(text.as_bytes());
            self.api.answer(&request.unwrap().unwrap(), 3, self.now)
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

        subject.now += Duration::from_secs(300);
        assert_eq!(subject.status(&line, HANDSHAKE), 401);
    }

    #[test]
    fn config_and_health() {
        let mut subject = Subject::open();
        let config = subject.json("GET /api/config", "");
        assert_eq!(config["iceServers"][0]["urls"][0], "stun:stun.example:3478");
        let health = subject.json("GET /health?verbose", "");
        assert_eq!(health["status"], "ok");
        assert_eq!(health["peers"], 3);
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        let mut subject = Subject::open();
        assert_eq!(subject.status("GET /", ""), 404);
        assert_eq!(subject.status("GET /ws/", ""), 404);
        assert_eq!(subject.status("OPTIONS *", ""), 404);
        assert_eq!(subject.status("GET /api/token", ""), 405);
        assert_eq!(subject.status("DELETE /health", ""), 405);
    }
}
