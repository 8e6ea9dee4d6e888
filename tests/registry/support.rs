//! Support for the registry's tests: a registry on a thread of the test, and a blocking client for it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chatixia_sidecar::registry::{Keys, Options, Registry, StopHandle};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Longer than anything here takes, so a test that waits in vain fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Options for a free port, any key, and the usual limits.
pub(crate) fn open_options() -> Options {
    Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), Keys::Open)
}

/// A registry that ends with the test.
pub(crate) struct RunningRegistry {
    pub(crate) address: SocketAddr,
    stop: StopHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl RunningRegistry {
    pub(crate) fn open() -> Self {
        Self::start(open_options())
    }

    pub(crate) fn start(options: Options) -> Self {
        Self::run(Registry::bind(options).unwrap())
    }

    /// On an address where another has just ended: a process that is being spawned at this moment
    /// may still have its socket.
    #[allow(dead_code, reason = "not every test that includes this file needs it")]
    pub(crate) fn succeed(address: SocketAddr) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut options = open_options();
            options.listen = address;
            match Registry::bind(options) {
                Ok(registry) => return Self::run(registry),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::yield_now();
        }
    }

    fn run(registry: Registry) -> Self {
        RunningRegistry {
            address: registry.local_addr(),
            stop: registry.stop_handle(),
            thread: Some(std::thread::spawn(|| registry.run())),
        }
    }

    /// Ends it and waits for its end.
    pub(crate) fn stop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the registry panicked").unwrap();
        }
    }

    /// A raw connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to the bytes of a request.
    pub(crate) fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        read_to_end(&mut stream)
    }

    /// A token of the peer whose key is `key`.
    pub(crate) fn token(&self, key: &str) -> String {
        let request = format!("POST /api/token HTTP/1.1\r\nx-api-key: {key}\r\n\r\n");
        let answer = self.exchange(request.as_bytes());
        let (_, body) = answer.split_once("\r\n\r\n").expect(&answer);
        let body: Value = serde_json::from_str(body).expect(&answer);
        body["token"].as_str().expect(&answer).to_owned()
    }

    /// A WebSocket of `peer` that has not registered.
    pub(crate) fn client(&self, peer: &str) -> Client {
        self.client_on(self.connect(), peer)
    }

    /// The same on a connection that exists.
    pub(crate) fn client_on(&self, stream: TcpStream, peer: &str) -> Client {
        let url = format!("ws://{}/ws?token={}", self.address, self.token(peer));
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        Client {
            peer: peer.to_owned(),
            socket,
        }
    }

    /// A WebSocket of `peer` that has registered.
    pub(crate) fn registered(&self, peer: &str) -> Client {
        let mut client = self.client(peer);
        client.register();
        client
    }
}

impl Drop for RunningRegistry {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Reads all that comes until the other side ends the connection.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A peer's end of a WebSocket.
pub(crate) struct Client {
    pub(crate) peer: String,
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Client {
    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Sends an offer whose payload is recognized by `mark`, and gives its text.
    pub(crate) fn offer(&mut self, target: &str, mark: &str) -> String {
        let frame = json!({
            "type": "offer",
            "peer_id": self.peer,
            "target_id": target,
            "payload": {"sdp": mark},
        })
        .to_string();
        self.send(&frame);
        frame
    }

    /// The next text frame.
    pub(crate) fn receive(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                return text.as_str().to_owned();
            }
        }
    }

    /// Registers, and gives the names in the answer. It is the next frame that comes.
    pub(crate) fn register(&mut self) -> Vec<String> {
        let frame = json!({"type": "register", "peer_id": self.peer, "payload": null});
        self.send(&frame.to_string());
        let answer: Value = serde_json::from_str(&self.receive()).unwrap();
        assert_eq!(answer["type"], "peer_list");
        assert_eq!(answer["peer_id"], "registry");
        serde_json::from_value(answer["payload"]["peers"].clone()).unwrap()
    }

    /// Registers again until the others online are `expected`.
    pub(crate) fn await_others(&mut self, expected: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let others = self.register();
            if others == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{others:?} stay online");
            std::thread::yield_now();
        }
    }

    /// Reads on to the close frame and gives its code.
    pub(crate) fn await_close(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.socket.read().unwrap() {
                return frame.expect("a close frame with a code").code.into();
            }
        }
    }
}
