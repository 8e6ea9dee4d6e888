//! The registry without its sockets: requests, their answers, WebSockets and the frames on them.

#![allow(dead_code, unreachable_pub)]

#[path = "../../src/registry/api/mod.rs"]
mod api;
#[path = "../../src/registry/directory.rs"]
mod directory;
#[path = "../../src/registry/error.rs"]
mod error;
#[path = "../../src/registry/frames.rs"]
mod frames;
#[path = "../../src/registry/http.rs"]
mod http;
#[path = "../../src/registry/limits.rs"]
mod limits;
#[path = "../../src/registry/relay/logins.rs"]
mod logins;
#[path = "../../src/registry/progress.rs"]
mod progress;
#[path = "../../src/registry/rates.rs"]
mod rates;
#[path = "../../src/registry/reports.rs"]
mod reports;
#[path = "../../src/registry/response.rs"]
mod response;
#[path = "../../src/registry/secrets.rs"]
mod secrets;
#[path = "../../src/registry/store/mod.rs"]
mod store;
#[path = "../../src/registry/unix_time.rs"]
mod unix_time;
#[path = "../../src/registry/websocket.rs"]
mod websocket;

/// What a registry hears of the store that it shares with others.
// Its files are named from this folder.
#[path = "."]
pub mod shared_store {
    #[path = "../../src/registry/shared/limits.rs"]
    mod limits;
    #[path = "../../src/registry/shared/resp.rs"]
    mod resp;

    /// The answers in the bytes, up to the first that is none, as commands of texts alone would ask for them.
    pub fn answers(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        while let Ok(answer) = resp::read(&mut bytes) {
            if let resp::Value::Text(text) = answer {
                answers.push(text);
            }
        }
        answers
    }

    /// A command of these texts.
    pub fn command(texts: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        resp::write_command(&mut bytes, texts);
        bytes
    }

    /// The texts of a command, as the store reads them.
    pub fn texts(mut command: &[u8]) -> Option<Vec<Vec<u8>>> {
        let Ok(resp::Value::List(values)) = resp::read(&mut command) else {
            return None;
        };
        let texts = values.into_iter().map(|value| match value {
            resp::Value::Text(text) => Some(text),
            _ => None,
        });
        texts.collect()
    }
}

/// Of its relay only the logins.
mod relay {
    pub(super) use super::logins::login;
}

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

pub use limits::TABLES as LIMITS;

use crate::limits::REQUEST_BODY_BYTES;
use crate::protocol::PeerId;
use crate::protocol::signaling::Incoming;
use crate::secret::Secret;
use api::ice_servers::IceServers;
use api::{Api, BeforeBody, Origin, Outcome};
use directory::{ConnectionId, Directory};
use frames::Reaction;
use http::{Request, RequestBuffer};
use progress::Next;
use response::Response;
use store::keys::{Identity, Keys};
use store::{Lasting, Store};
use unix_time::UnixTime;
use websocket::WebSocket;

/// What stands between the clients of an input.
const NEXT_CLIENT: &[u8] = b"\xff\xff";

/// Clients of one input.
const CLIENTS: usize = 32;

/// A registry with two keys, `ak_a` and `ak_b`.
struct Registry {
    api: Api,
    directory: Directory,
    now: UnixTime,
    /// The last token, and the last id of a task or device, that it has given out. Clients write `TOKEN` and `ID`
    /// for them, because a fuzzer can't guess them.
    token: String,
    id: String,
}

/// Serves clients one after the other; the bytes of each are what it sends. The first byte tells in how large pieces
/// they come, and how long after the one before.
///
/// # Panics
/// When an answer can't be read, or somebody speaks for another.
pub fn serve(clients: &[u8]) {
    let identity = |name: &str| Identity {
        peer_id: PeerId::new(name).unwrap(),
        role: "agent".to_owned(),
    };
    let keys = [("ak_a", "a-sidecar"), ("ak_b", "b-sidecar")];
    let keys = keys.map(|(key, name)| (key.to_owned(), identity(name)));
    let keys = match clients.first() {
        Some(b'o') => Keys::Open,
        _ => Keys::Listed(keys.into()),
    };
    let mut now = UnixTime::now();
    let store = Store::new(keys, limits::TOKEN_LIFETIME, Lasting::default());
    let ice_servers = IceServers {
        fixed: Vec::new(),
        stun: vec!["stun:stun.example:3478".to_owned()],
        turn: vec!["turn:turn.example:3478".to_owned()],
        relay: None,
        secret: Secret::new("secret".to_owned()),
    };
    let mut registry = Registry {
        api: Api::new(store, ice_servers, "/mesh".to_owned(), now),
        directory: Directory::default(),
        now,
        token: String::new(),
        id: String::new(),
    };
    let mut rest = clients;
    for number in 0..CLIENTS {
        let end = rest.windows(2).position(|bytes| bytes == NEXT_CLIENT);
        let (client, following) = match end {
            Some(end) => (&rest[..end], &rest[end + NEXT_CLIENT.len()..]),
            None => (rest, &[][..]),
        };
        let Some((first, bytes)) = client.split_first() else {
            break;
        };
        now = now + Duration::from_secs(u64::from(*first) * 2);
        registry.now = now;
        registry.client(number, usize::from(*first), bytes);
        rest = following;
    }
}

impl Registry {
    fn client(&mut self, number: usize, piece: usize, bytes: &[u8]) {
        let bytes = replaced(bytes, b"TOKEN", self.token.as_bytes());
        let bytes = replaced(&bytes, b"ID", self.id.as_bytes());
        let mut buffer = RequestBuffer::default();
        let mut pieces = bytes.chunks(piece.max(1));
        let origin = match number % 4 {
            3 => Origin::Owner,
            number => Origin::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number as u8))),
        };
        let request = loop {
            let Some(piece) = pieces.next() else {
                return;
            };
            match buffer.push(piece) {
                Ok(None) => {}
                Ok(Some(request)) => break request,
                Err(refusal) => return check(&refusal.into()),
            }
            if let Some((head, length)) = buffer.head() {
                assert!(length <= REQUEST_BODY_BYTES);
                match self.api.before_body(head, length, origin, self.now) {
                    BeforeBody::Needed => {}
                    BeforeBody::NotNeeded => break head.clone(),
                    BeforeBody::Refuse(refusal) => return check(&refusal),
                }
            }
        };
        assert!(request.body.len() <= REQUEST_BODY_BYTES);
        if let Err(refusal) = self.api.admit(&request, origin, self.now) {
            return check(&refusal);
        }
        let outcome = self.api.answer(&request, origin, &self.directory, self.now);
        self.settle();
        match outcome {
            Outcome::Answer(response) => {
                check(&response);
                self.learn(&response);
            }
            Outcome::WebSocket(response, peer) => {
                assert_eq!(response.status, 101);
                check(&response);
                let rest: Vec<u8> = pieces.flatten().copied().collect();
                self.websocket(ConnectionId(number), peer, request, &rest);
            }
        }
    }

    fn learn(&mut self, response: &Response) {
        let body = response.body.as_deref().unwrap_or("null");
        // The page and its files are none.
        let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else {
            return;
        };
        let text = |name: &str| body.get(name).and_then(|value| value.as_str());
        if let Some(token) = text("token") {
            token.clone_into(&mut self.token);
        }
        if let Some(id) = text("task_id").or(text("id")).or(text("code")) {
            id.clone_into(&mut self.id);
        }
    }

    fn websocket(&mut self, id: ConnectionId, peer: PeerId, request: Request, rest: &[u8]) {
        let mut websocket = WebSocket::new(peer.clone(), request.rest);
        let mut socket = Socket(rest);
        while let Ok(Next::Frame(text)) = websocket.next(&mut socket) {
            assert!(text.len() <= limits::FRAME_BYTES);
            match frames::read(&self.directory, &peer, &text) {
                Reaction::Register => {
                    let peer_list = self.directory.register(id, &peer).peer_list;
                    match Incoming::parse(&peer_list) {
                        Ok(Incoming::PeerList { peers, .. }) => assert!(!peers.contains(&peer)),
                        other => panic!("{peer_list} is read as {other:?}"),
                    }
                }
                Reaction::Report(report) => self.directory.report(id, &peer, report),
                Reaction::Relay { target, .. } => {
                    let frame: BTreeMap<String, serde_json::Value> =
                        serde_json::from_str(&text).expect("what is relayed is JSON");
                    assert_eq!(frame["peer_id"], peer.as_str());
                    assert_eq!(frame["target_id"], target.as_str());
                }
                Reaction::Nothing(_) => {}
            }
            self.settle();
        }
    }

    /// Takes the changes of the state for good.
    fn settle(&mut self) {
        for (_, table) in self.api.store.tables() {
            table.settle();
        }
        self.directory.table().settle();
    }
}

/// Checks that an answer is one, and as long as it says.
fn check(response: &Response) {
    let bytes = response.to_bytes(SystemTime::UNIX_EPOCH);
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let read = parsed.parse(&bytes).expect("an answer is HTTP");
    let httparse::Status::Complete(length) = read else {
        panic!("the head does not end");
    };
    assert_eq!(parsed.code, Some(response.status));
    let told = parsed
        .headers
        .iter()
        .find(|header| header.name == "Content-Length");
    let told = told.map_or("0", |header| std::str::from_utf8(header.value).unwrap());
    assert_eq!(told.parse(), Ok(bytes.len() - length));
    assert!(bytes.len() - length <= limits::LIST_BYTES + 1024);
}

fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(what.len()).position(|part| part == what) {
        replaced.extend([&rest[..at], by].concat());
        rest = &rest[at + what.len()..];
    }
    replaced.extend(rest);
    replaced
}

/// What the client still sends; what it is sent is dropped.
struct Socket<'a>(&'a [u8]);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
