//! Tests of the registry with TLS.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::Message;

use super::process::{Place, Process, complaint, printed};
use super::support::PATIENCE;

const RUN: &str = "exec \"$0\" \"$@\"";

/// Writes a new certificate for `localhost` and its key; returns the certificate.
fn certify(place: &Place) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let write = |name: &str, kind: &str, der: &[u8]| {
        let text = BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n");
        std::fs::write(place.file(name), pem).unwrap();
    };
    write("cert.pem", "CERTIFICATE", made.cert.der());
    write("key.pem", "PRIVATE KEY", &made.signing_key.serialize_der());
    made.cert.der().clone()
}

fn start(place: &Place) -> Process {
    let (certificate, key) = (place.file("cert.pem"), place.file("key.pem"));
    let files = [
        "--registry-tls-cert",
        &certificate,
        "--registry-tls-key",
        &key,
    ];
    Process::start(RUN, &[&["--open"][..], &files].concat())
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A connection that trusts this certificate alone.
fn connect(address: SocketAddr, trusted: &CertificateDer<'static>) -> Secured {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(client, stream)
}

/// The whole answer to a request, or why there is none.
fn exchange(mut stream: Secured, request: &str) -> Result<String, std::io::Error> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    // The registry says goodbye in TLS, too, so that nobody can cut an answer short.
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn token(registry: &Process, trusted: &CertificateDer<'static>, key: &str) -> String {
    let request = format!("POST /api/token HTTP/1.1\r\nx-api-key: {key}\r\n\r\n");
    let answer = exchange(connect(registry.address, trusted), &request).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (_, content) = answer.split_once("\r\n\r\n").unwrap();
    let content: serde_json::Value = serde_json::from_str(content).unwrap();
    content["token"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_and_websockets_go_over_tls() {
    let place = Place::new("tls");
    let certificate = certify(&place);
    let registry = start(&place);
    let open = |peer: &str| {
        let token = token(&registry, &certificate, peer);
        let url = format!("wss://localhost/ws?token={token}");
        let stream = connect(registry.address, &certificate);
        let (mut socket, _) = tungstenite::client(url, stream).unwrap();
        let frame = format!(r#"{{"type":"register","peer_id":"{peer}"}}"#);
        socket.send(Message::text(frame)).unwrap();
        let list = socket.read().unwrap().into_text().unwrap();
        assert!(list.contains("peer_list"), "{list}");
        socket
    };
    let (mut a, mut b) = (open("a"), open("b"));
    // As long as a frame may be: it does not fit into one record, nor into the kernel's buffer.
    let large = "x".repeat(250 * 1024);
    for round in 0..20 {
        let offer = format!(
            r#"{{"type":"offer","peer_id":"a","target_id":"b","payload":{{"sdp":"{round}{large}"}}}}"#
        );
        a.send(Message::text(offer.as_str())).unwrap();
        assert_eq!(b.read().unwrap().into_text().unwrap().as_str(), offer);
    }
}

#[test]
fn what_is_no_tls_harms_nobody() {
    let place = Place::new("no-tls");
    let certificate = certify(&place);
    let registry = start(&place);
    let mut plain = TcpStream::connect(registry.address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It may be reset before its end is read.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let _half = TcpStream::connect(registry.address).unwrap();
    token(&registry, &certificate, "a");
}

#[test]
fn sighup_reads_the_certificate_again() {
    let place = Place::new("tls-again");
    let old = certify(&place);
    let mut registry = start(&place);
    token(&registry, &old, "a");
    let new = certify(&place);
    registry.signal(Signal::HUP);
    registry.await_log("cert.pem was read again");
    token(&registry, &new, "a");
    let health = "GET /health HTTP/1.1\r\n\r\n";
    assert!(exchange(connect(registry.address, &old), health).is_err());

    std::fs::write(place.file("key.pem"), "nonsense").unwrap();
    registry.signal(Signal::HUP);
    registry.await_log("the certificate read before still counts");
    token(&registry, &new, "a");
    let (code, log) = registry.end();
    assert_eq!(code, Some(0));
    assert!(!log.contains("PRIVATE"), "{log}");
}

#[test]
fn a_health_check_asks_over_tls() {
    let place = Place::new("tls-health");
    certify(&place);
    let registry = start(&place);
    let port = registry.address.port().to_string();
    let (certificate, key) = (place.file("cert.pem"), place.file("key.pem"));
    let mut arguments = vec!["health", "--of-registry", "--port", &port];
    assert!(complaint(&arguments, 1).contains("no registry"));
    arguments.extend([
        "--registry-tls-cert",
        &certificate,
        "--registry-tls-key",
        &key,
    ]);
    assert!(printed(&arguments).contains("answers"));
}

#[test]
fn files_that_are_no_certificate_or_key_are_named() {
    let place = Place::new("tls-files");
    certify(&place);
    let (certificate, key) = (place.file("cert.pem"), place.file("key.pem"));
    let start = |certificate: &str, key: &str| {
        let files = [
            "--registry-tls-cert",
            certificate,
            "--registry-tls-key",
            key,
        ];
        complaint(
            &[&["registry", "--open", "--port", "0"][..], &files].concat(),
            2,
        )
    };
    assert!(start(&place.file("none.pem"), &key).contains("none.pem cannot be used"));
    assert!(start(&key, &key).contains("holds no certificate"));
    let other = Place::new("tls-other");
    certify(&other);
    let wrong = start(&certificate, &other.file("key.pem"));
    assert!(wrong.contains("does not fit the certificate"), "{wrong}");
    let half = ["registry", "--open", "--registry-tls-cert", &certificate];
    assert!(complaint(&half, 2).contains("set both"));
}
