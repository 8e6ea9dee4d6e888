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
