//! Tests of the server without processes, in simulated time.

mod allowed_tools;
mod asking;
mod bounds;
mod news;
mod peers_words;
mod revisions;
mod sending;
mod sidecar;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

const SETTINGS: Settings = Settings {
    allowed: Vec::new(),
    has_channel: false,
    line_bytes: 1000,
    seed: 7,
};

/// A server, and what it has said that was not looked at yet.
struct World {
    server: Server,
    now: Instant,
    host: Vec<Value>,
    sidecar: Vec<Value>,
    orders: Vec<Output>,
    last_id: u64,
}

impl World {
    fn with(settings: Settings) -> World {
        let now = Instant::now();
        let allowed = if settings.allowed.is_empty() {
            Tool::ALL.to_vec()
        } else {
            settings.allowed.clone()
        };
        let mut world = World {
            server: Server::new(
                Settings {
                    allowed,
                    ..settings
                },
                &[9; 64],
                now,
            ),
            now,
            host: Vec::new(),
            sidecar: Vec::new(),
            orders: Vec::new(),
            last_id: 100,
        };
        // To find out what we speak needs no sidecar; all else does.
        world.request("server/discover", json!({}));
        assert_eq!(world.orders, []);
        world.plain_request("ping", json!({}));
        assert_eq!(world.orders, [Output::StartSidecar]);
        world.orders.clear();
        world.host.clear();
        world
    }

    /// The registry is connected, and so is the peer `bob`.
    fn new() -> World {
        let mut world = World::with(SETTINGS);
        world.meets_bob();
        world
    }

    fn meets_bob(&mut self) {
        self.tells(json!({"type": "ready", "payload": {"peer_id": "me", "registry": "connected"}}));
        self.tells(json!({"type": "peer_connected", "payload": {"peer_id": "bob"}}));
    }

    fn collect(&mut self) {
        while let Some(output) = self.server.poll_output() {
            let parse = |line: &str| {
                assert_eq!(line.matches('\n').count(), 1, "{line}");
                serde_json::from_str(line).unwrap()
            };
            match output {
                Output::Host(line) => self.host.push(parse(&line)),
                Output::Sidecar(line) => self.sidecar.push(parse(&line)),
                order => self.orders.push(order),
            }
        }
    }

    fn line(&mut self, line: &str) {
        self.server.host_line(line.as_bytes(), self.now);
        self.collect();
    }

    /// The host begins a session of a revision.
    fn initialize(&mut self, revision: &str) -> Value {
        let params = json!({"protocolVersion": revision, "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"}});
        self.line(
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
                .to_string(),
        );
        self.host.pop().unwrap()
    }

    /// A request of a stateless host; its id.
    fn request(&mut self, method: &str, mut params: Value) -> u64 {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        self.plain_request(method, params)
    }

    fn plain_request(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.line(
            &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string(),
        );
        id
    }

    fn call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    fn tells(&mut self, line: Value) {
        self.server
            .sidecar_line(line.to_string().as_bytes(), self.now);
        self.collect();
    }

    /// A message of a peer comes in.
    fn comes(&mut self, peer: &str, kind: &str, request_id: &str, payload: Value) {
        self.tells(
            json!({"type": "message", "payload": {"from_peer": peer, "message":
            {"type": kind, "request_id": request_id, "payload": payload}}}),
        );
    }

    /// The sidecar has done the last command.
    fn done(&mut self, payload: Value) {
        let command = self.sidecar.last().unwrap();
        self.tells(json!({"type": "ok", "id": command["id"], "payload": payload}));
    }

    fn passes(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.server.next_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.server.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// The answer to a request, if it has come.
    fn answer(&mut self, id: u64) -> Option<Value> {
        let at = self.host.iter().position(|line| line["id"] == id)?;
        Some(self.host.remove(at))
    }

    /// The result of a call that has ended.
    fn result(&mut self, id: u64) -> Value {
        let answer = self.answer(id).expect("the call has not ended");
        answer["result"].clone()
    }

    /// The text of a call that has failed.
    fn failure(&mut self, id: u64) -> String {
        let result = self.result(id);
        assert_eq!(result["isError"], true, "{result}");
        assert_eq!(result["structuredContent"], Value::Null);
        text(&result)
    }
}

fn text(result: &Value) -> String {
    result["content"][0]["text"].as_str().unwrap().to_owned()
}
