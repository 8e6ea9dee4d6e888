//! The registry behind nginx, configured as docs/registry.md says.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::Message;

use super::process::Place;
use super::support::{PATIENCE, RunningRegistry, listed_options};
use super::tools;

/// The document's `location`, which leads to a registry on its usual port.
fn location(registry: SocketAddr) -> String {
    let document = include_str!("../../docs/registry.md");
    let (_, rest) = document.split_once("```nginx\n").unwrap();
    let (location, _) = rest.split_once("```").unwrap();
    assert!(location.contains("127.0.0.1:8080"), "{location}");
    location.replace("127.0.0.1:8080", &registry.to_string())
}

/// A running nginx, ended when it is dropped.
struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    /// `None` where there is no nginx.
    fn start(place: &Place, location: &str) -> Option<Self> {
        tools::is_installed("nginx").then_some(())?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let directory = place.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|kind| format!("{kind}_temp_path {directory}/{kind};\n"));
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log {directory}/error.log;\n\
             events {{}}\nhttp {{\naccess_log off;\n{}proxy_read_timeout 1s;\n\
             server {{\nlisten {address};\n{location}\n}}\n}}\n",
            temporary.concat()
        );
        let file = place.file("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new("nginx")
            .args(["-c", &file, "-e", &place.file("error.log")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Nginx { child, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let log = std::fs::read_to_string(place.file("error.log"));
            assert!(Instant::now() < deadline, "nginx does not listen: {log:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    /// The status and the content of the answer to a request with this key.
    fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, serde_json::Value) {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: {key}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, content) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(content).unwrap_or_default())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_websocket_stays_open_behind_a_proxy_that_closes_what_is_idle() {
    let place = Place::new("nginx");
    let mut options = listed_options(&["alice"]);
    options.path_prefix = "/mesh".to_owned();
    options.ping_interval = Duration::from_millis(300);
    let registry = RunningRegistry::start(options);
    let Some(nginx) = Nginx::start(&place, &location(registry.address)) else {
        return;
    };
    let (status, answer) = nginx.ask("POST", "/mesh/api/token", "alice", "");
    assert_eq!(status, 200);
    let token = answer["token"].as_str().unwrap();
    let url = format!("ws://{}/mesh/ws?token={token}", nginx.address);
    let stream = TcpStream::connect(nginx.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    let frame = r#"{"type":"register","peer_id":"alice-sidecar"}"#;
    let opened = Instant::now();
    // Three times as long as the proxy lets a connection be idle. Reading answers the pings.
    while opened.elapsed() < Duration::from_secs(3) {
        socket.read().unwrap();
    }
    socket.send(Message::text(frame)).unwrap();
    while !socket.read().unwrap().is_text() {}
}

#[test]
fn limits_count_the_clients_of_a_proxy_that_is_trusted() {
    let place = Place::new("nginx-clients");
    let mut options = listed_options(&["alice"]);
    options.path_prefix = "/mesh".to_owned();
    options.trusted_proxies = "127.0.0.1".parse().unwrap();
    let registry = RunningRegistry::start(options);
    let Some(nginx) = Nginx::start(&place, &location(registry.address)) else {
        return;
    };
    let redeem = json!({"code": "none", "agent_name": "x"}).to_string();
    let status = || nginx.ask("POST", "/mesh/api/pairing/pair", "", &redeem).0;
    let statuses: Vec<u16> = std::iter::repeat_with(status).take(6).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    // Here the proxy's clients have the same address as those who come directly.
    let own = registry.asker("").ask("POST", "/api/pairing/pair", None);
    assert_eq!(own.0, 429);
}
