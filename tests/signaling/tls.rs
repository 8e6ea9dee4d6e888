//! Tests of `https` and `wss`: whom we trust, and what is said when we do not.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use chatixia_sidecar::protocol::signaling::{Incoming, Signal};
use chatixia_sidecar::runtime::signaling::Notice;
use chatixia_sidecar::runtime::signaling::tls::{self, CurrentTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use tungstenite::Message;

use crate::client::*;
use crate::scripted_registry::{Script, ScriptedRegistry, quiet_address};
use crate::websocket::{a_registry_that_does_not_read_loses_nothing, speaks_without_reading};

/// A certificate authority of the test's own, in a PEM file, and a server that it vouches for.
struct Authority {
    file: PathBuf,
    server: Arc<ServerConfig>,
}

impl Authority {
    fn new(name: &str, host: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let server = server.signed_by(&key, &authority).unwrap();

        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            base64::engine::general_purpose::STANDARD.encode(authority.der())
        );
        let file = format!("chatixia-ca-{}-{name}.pem", std::process::id());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, pem).unwrap();

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], key.into())
            .unwrap();
        Authority {
            file,
            server: Arc::new(server),
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A secured registry whose certificate names `host`, or else its own address.
fn secured(name: &str, host: Option<&str>, script: Script) -> (ScriptedRegistry, Authority) {
    let address = quiet_address();
    let own = address.ip().to_string();
    let authority = Authority::new(name, host.unwrap_or(&own));
    let server = Arc::clone(&authority.server);
    (
        ScriptedRegistry::start_secured_at(address, script, server),
        authority,
    )
}

#[test]
fn https_and_wss_work_with_an_authority_from_the_ca_file() {
    let (registry, authority) = secured("trusted", None, Script::faultless());
    let client = Client::start_with(&registry, api_key(), times(), Some(&authority.file));
    client.connected();
    // More than one TLS record, both ways.
    let long = format!("long {}", "x".repeat(100_000));
    for n in 0..20 {
        assert!(client.handle.send(offer(&format!("{n} {long}"))));
    }
    for n in 0..20 {
        frame_with(&registry, &format!("\"{n} long"));
    }
    for _ in 0..20 {
        registry.send(&Message::text(format!(
            r#"{{"type":"offer","peer_id":"bob","payload":{{"sdp":"{long}"}}}}"#
        )));
    }
    for _ in 0..20 {
        let Notice::Frame(Incoming::Relay { signal, .. }) = client.next() else {
            panic!("a frame is missing");
        };
        assert_eq!(signal, Signal::Offer { sdp: long.clone() });
    }
    client.handle.stop();
    assert_eq!(registry.wait_for(closed), Some(1000));
}

#[test]
fn a_registry_that_does_not_read_for_a_while_loses_nothing_over_tls() {
    let (registry, authority) = secured("deaf", None, speaks_without_reading());
    let client = Client::start_with(&registry, api_key(), times(), Some(&authority.file));
    a_registry_that_does_not_read_loses_nothing(&registry, &client);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_with_advice() {
    let (registry, _authority) = secured("untrusted", None, Script::faultless());
    let client = Client::start_with(&registry, api_key(), times(), None);
    let reason = client.disconnected();
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    assert!(reason.contains("CA_FILE"), "{reason}");
    assert!(registry.seen().is_empty(), "the key was sent");
}

#[test]
fn a_file_of_certificates_that_is_read_again_counts_for_new_connections() {
    let (registry, authority) = secured("renewed", None, Script::faultless());
    let other = Authority::new("before", "other.example");
    let tls = CurrentTls::from(tls::client_config(Some(&other.file)).unwrap());
    let client = Client::trusting(&registry, tls.clone());
    let reason = client.disconnected();
    assert!(reason.contains("invalid peer certificate"), "{reason}");
    tls.read_again(&authority.file).unwrap();
    client.connected();
    // What can't be used changes nothing.
    std::fs::write(&other.file, "no certificate").unwrap();
    assert!(tls.read_again(&other.file).is_err());
    registry.send(&Message::Close(None));
    client.disconnected();
    client.connected();
}

#[test]
fn the_websockets_certificate_is_checked_as_well() {
    let plain = ScriptedRegistry::start(Script::faultless());
    let (secured, _authority) = secured("websocket", None, Script::faultless());
    let urls = (secured.signaling_url(), plain.token_url());
    let client = Client::launch(&urls.0, &urls.1, api_key(), times(), None, 64);
    let reason = client.disconnected();
    assert!(reason.starts_with("WebSocket at wss://"), "{reason}");
    assert!(reason.contains("CA_FILE"), "{reason}");
    assert!(secured.seen().is_empty(), "the token was sent");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (registry, authority) = secured("other", Some("other.example"), Script::faultless());
    let client = Client::start_with(&registry, api_key(), times(), Some(&authority.file));
    let reason = client.disconnected();
    assert!(reason.contains("not valid for name"), "{reason}");
}

#[test]
fn tls_to_a_port_without_it_says_so() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let url = registry.token_url().replace("http:", "https:");
    let client = Client::launch(
        &registry.signaling_url(),
        &url,
        api_key(),
        times(),
        None,
        64,
    );
    let reason = client.disconnected();
    assert!(
        reason.contains("TLS") || reason.contains("closed"),
        "{reason}"
    );
}
