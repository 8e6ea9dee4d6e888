//! Support for the registry's tests: a registry on a thread of the test, and a blocking client for it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chatixia_sidecar::protocol::PeerId;
use chatixia_sidecar::registry::{Identity, Keys, Options, Registry, StopHandle};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tungstenite::{Message, WebSocket};

/// Longer than anything here takes, so a test that waits in vain fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Options for a free port, any key, and the usual limits.
pub(crate) fn open_options() -> Options {
    Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), Keys::Open)
}

/// Options that let in these agents, whose keys are their names.
#[allow(dead_code, reason = "not every test that includes this file needs it")]
pub(crate) fn listed_options(agents: &[&str]) -> Options {
    let entry = |agent: &&str| {
        let identity = Identity {
            peer_id: PeerId::new(&format!("{agent}-sidecar")).unwrap(),
            role: "agent".to_owned(),
        };
        ((*agent).to_owned(), identity)
    };
    let mut options = open_options();
    options.keys = Keys::Listed(agents.iter().map(entry).collect());
    options
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

    /// The same from another address than that of other clients, 127.0.0.`last`.
    #[allow(dead_code, reason = "not every test that includes this file needs it")]
    pub(crate) fn connect_from(&self, last: u8) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let from = SocketAddr::from(([127, 0, 0, last], 0));
        socket.bind(&from.into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to the bytes of a request.
    pub(crate) fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        read_to_end(&mut stream)
    }

    /// A client of the HTTP resources with this key; an empty one is none.
    #[allow(dead_code, reason = "not every test that includes this file needs it")]
    pub(crate) fn asker(&self, key: &str) -> Asker<'_> {
        let header = (!key.is_empty()).then(|| format!("x-api-key: {key}\r\n"));
        Asker {
            registry: self,
            header: header.unwrap_or_default(),
        }
    }

    /// The same with the token of a device.
    #[allow(dead_code, reason = "not every test that includes this file needs it")]
    pub(crate) fn device(&self, token: &str) -> Asker<'_> {
        Asker {
            registry: self,
            header: format!("x-device-token: {token}\r\n"),
        }
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
        self.websocket(stream, &self.token(peer), peer)
    }

    /// The same with a token that was given out.
    #[allow(dead_code, reason = "not every test that includes this file needs it")]
    pub(crate) fn client_with(&self, token: &str, peer: &str) -> Client {
        self.websocket(self.connect(), token, peer)
    }

    /// The status with which a WebSocket is refused.
    #[allow(dead_code, reason = "not every test that includes this file needs it")]
    pub(crate) fn upgrade(&self, token: &str) -> u16 {
        let url = format!("ws://{}/ws?token={token}", self.address);
        match tungstenite::client(url, self.connect()) {
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                answer.status().as_u16()
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("a WebSocket"),
        }
    }

    fn websocket(&self, stream: TcpStream, token: &str, peer: &str) -> Client {
        let url = format!("ws://{}/ws?token={token}", self.address);
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

/// A client of the registry's HTTP resources.
pub(crate) struct Asker<'a> {
    registry: &'a RunningRegistry,
    /// The header that says who it is.
    header: String,
}

#[allow(dead_code, reason = "not every test that includes this file needs it")]
impl Asker<'_> {
    /// The status and the content of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (header, length) = (&self.header, body.len());
        let request =
            format!("{method} {path} HTTP/1.1\r\n{header}Content-Length: {length}\r\n\r\n{body}");
        let answer = self.registry.exchange(request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, content) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(content).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, content) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{path}: {content}");
        content
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, content) = self.ask("POST", path, Some(body));
        assert_eq!(status, 200, "{path}: {content}");
        content
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
            match self.socket.read() {
                Ok(Message::Text(text)) => return text.as_str().to_owned(),
                Ok(_) => {}
                // A read with a deadline is not begun anew by the system when a signal has come.
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
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
