//! Tests of `https` and `wss`: whom we trust, and what is said when we do not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::Arc;

use base64::Engine;
use chatixia_sidecar::config::trust::{SystemStore, Trust};
use chatixia_sidecar::protocol::signaling::{Incoming, Signal};
use chatixia_sidecar::runtime::signaling::{CurrentTls, Notice, tls};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tungstenite::Message;

use crate::client::*;
use crate::scripted_proxy::{Reply, ScriptedProxy};
use crate::scripted_registry::{Script, ScriptedRegistry, quiet_address};
use crate::websocket::{
    a_registry_that_does_not_read_loses_nothing, holds_small_frames, speaks_without_reading,
    the_second_of_two_small_frames_comes_at_once,
};

/// A file of trusted certificates, and a server's own.
struct Authority {
    file: PathBuf,
    server: Arc<ServerConfig>,
}

/// A certificate and its key.
struct Own {
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Own {
    /// One that is signed with its own key, and is an authority's by its word, as `openssl req -x509` makes.
    fn self_signed(hosts: &[&str], change: impl Fn(&mut CertificateParams)) -> Self {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Own { der, key }
    }

    /// A server that shows it, and a file with it.
    fn trusted(&self, name: &str) -> Authority {
        Authority::trusting(name, &self.der, from_ref(&self.der), &self.key)
    }
}

impl Authority {
    /// A server with a certificate of an authority that is trusted.
    fn new(name: &str, host: &str) -> Self {
        let authority = authority("the authority");
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let der = server.signed_by(&key, &authority).unwrap().der().clone();
        Self::trusting(name, authority.der(), &[der], &key)
    }

    /// A server that shows a chain of certificates, and a file with the one that is trusted.
    fn trusting(
        name: &str,
        trusted: &CertificateDer<'_>,
        chain: &[CertificateDer<'static>],
        key: &KeyPair,
    ) -> Self {
        let server = configured(chain, key, None);
        let file = format!("chatixia-ca-{}-{name}.pem", std::process::id());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, pem(trusted)).unwrap();
        Authority { file, server }
    }

    /// A registry at its own address that is secured so.
    fn serve(&self, address: SocketAddr) -> ScriptedRegistry {
        let server = Arc::clone(&self.server);
        ScriptedRegistry::start_secured_at(address, Script::faultless(), server)
    }

    /// Returns the reason why a client that trusts the file does not connect.
    fn refusal(&self, address: SocketAddr) -> String {
        let registry = self.serve(address);
        let client = Client::start_with(&registry, api_key(), times(), Some(&self.file));
        let reason = client.disconnected();
        assert!(registry.seen().is_empty(), "the key was sent");
        reason
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn pem(der: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// A server with this chain, which may ask its clients for certificates.
fn configured(
    chain: &[CertificateDer<'static>],
    key: &KeyPair,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    Arc::new(
        builder
            .with_single_cert(chain.to_vec(), key.into())
            .unwrap(),
    )
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
    let long = format!("long {}", "x".repeat(30_000));
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
fn a_registry_that_waits_for_acknowledgements_has_them_at_once_over_tls() {
    let (registry, authority) = secured("waiting", None, holds_small_frames());
    let client = Client::start_with(&registry, api_key(), times(), Some(&authority.file));
    the_second_of_two_small_frames_comes_at_once(&registry, &client);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_with_advice() {
    let (registry, _authority) = secured("untrusted", None, Script::faultless());
    let client = Client::start_with(&registry, api_key(), times(), None);
    let reason = client.disconnected();
    assert!(reason.contains("signed by \"the authority\""), "{reason}");
    assert!(reason.contains("CA_FILE"), "{reason}");
    assert!(registry.seen().is_empty(), "the key was sent");
}

fn in_file(path: &Path) -> Trust {
    Trust {
        ca_file: Some(path.to_owned()),
        ..Trust::default()
    }
}

#[test]
fn a_file_of_certificates_that_is_read_again_counts_for_new_connections() {
    let (registry, authority) = secured("renewed", None, Script::faultless());
    let other = Authority::new("before", "other.example");
    let tls = CurrentTls::from(tls::client_config(&in_file(&other.file)).unwrap());
    let client = Client::trusting(&registry, tls.clone());
    let reason = client.disconnected();
    assert!(reason.contains("certificate"), "{reason}");
    tls.read_again(&in_file(&authority.file)).unwrap();
    client.connected();
    // What can't be used changes nothing.
    std::fs::write(&other.file, "no certificate").unwrap();
    assert!(tls.read_again(&in_file(&other.file)).is_err());
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

#[test]
fn a_self_signed_certificate_in_the_ca_file_is_accepted_for_its_names_alone() {
    let address = quiet_address();
    let host = address.ip().to_string();
    let own = Own::self_signed(&["reg.test", &host], |_| {});
    let trusting = own.trusted("own");
    let registry = trusting.serve(address);
    let client = Client::start_with(&registry, api_key(), times(), Some(&trusting.file));
    client.connected();

    let other = Own::self_signed(&["other.example"], |_| {});
    let trusting = other.trusted("own-other");
    let reason = trusting.refusal(quiet_address());
    assert!(reason.contains("is for other.example"), "{reason}");
    assert!(reason.contains("not valid for name"), "{reason}");
    let command = "openssl req -x509 -newkey rsa:2048 -nodes -days 825 -subj /CN=127.";
    assert!(reason.contains(command), "{reason}");
    assert!(reason.contains("subjectAltName=IP:127."), "{reason}");
    let nameless = Own::self_signed(&[], |_| {});
    let trusting = nameless.trusted("own-nameless");
    let reason = trusting.refusal(quiet_address());
    assert!(
        reason.contains("names no host (subjectAltName)"),
        "{reason}"
    );
}

#[test]
fn a_self_signed_certificate_that_is_not_in_the_ca_file_or_out_of_time_or_for_clients_is_refused() {
    let address = quiet_address();
    let host = address.ip().to_string();
    let own = Own::self_signed(&[&host], |_| {});
    let other = Own::self_signed(&[&host], |_| {});
    let trusting = Authority::trusting("not-own", &other.der, from_ref(&own.der), &own.key);
    let reason = trusting.refusal(address);
    assert!(reason.contains("not in CA_FILE"), "{reason}");

    let address = quiet_address();
    let host = address.ip().to_string();
    let old = Own::self_signed(&[&host], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let trusting = old.trusted("own-old");
    let reason = trusting.refusal(address);
    assert!(
        reason.contains("expired") && reason.contains("days ago"),
        "{reason}"
    );

    let address = quiet_address();
    let host = address.ip().to_string();
    let client = Own::self_signed(&[&host], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let trusting = client.trusted("own-client");
    let reason = trusting.refusal(address);
    assert!(reason.contains("TLS"), "{reason}");
}

#[test]
fn a_server_s_own_certificate_in_the_ca_file_needs_no_authority() {
    let address = quiet_address();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![address.ip().to_string()]).unwrap();
    let der = server
        .signed_by(&key, &authority("unknown"))
        .unwrap()
        .der()
        .clone();
    let trusting = Authority::trusting("pinned", &der, from_ref(&der), &key);
    let registry = trusting.serve(address);
    let client = Client::start_with(&registry, api_key(), times(), Some(&trusting.file));
    client.connected();
}

#[test]
fn a_missing_intermediate_certificate_is_guessed_and_its_name_told() {
    let address = quiet_address();
    let root = authority("the root");
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "the middle");
    let middle = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![address.ip().to_string()]).unwrap();
    let der = server.signed_by(&key, &middle).unwrap().der().clone();

    let cut = Authority::trusting("cut", root.der(), from_ref(&der), &key);
    let reason = cut.refusal(address);
    assert!(reason.contains("signed by \"the middle\""), "{reason}");
    assert!(
        reason.contains("leaves out an intermediate certificate"),
        "{reason}"
    );

    let whole = [der, middle.der().clone()];
    let whole = Authority::trusting("whole", root.der(), &whole, &key);
    let registry = whole.serve(address);
    let client = Client::start_with(&registry, api_key(), times(), Some(&whole.file));
    client.connected();
}

#[test]
fn through_a_proxy_the_registry_must_prove_its_own_name() {
    let (registry, authority) = secured("proxied", Some("reg.test"), Script::faultless());
    let proxy = ScriptedProxy::start(Reply::Connect(registry.address));
    let environment = [
        ("HTTPS_PROXY", proxy.address.to_string()),
        ("CA_FILE", authority.file.display().to_string()),
        ("SIGNALING_URL", "wss://reg.test/ws".to_owned()),
        ("TOKEN_URL", "https://reg.test/api/token".to_owned()),
    ];
    let client = Client::of_environment(&environment, times());
    client.connected();
    let head = proxy.next();
    assert!(head.starts_with("CONNECT reg.test:443 "), "{head}");
}

#[test]
fn the_system_s_authorities_are_trusted() {
    let (registry, authority) = secured("system", None, Script::faultless());
    let trust = Trust {
        ca_file: None,
        system: SystemStore::Named {
            file: Some(authority.file.clone()),
            directories: Vec::new(),
        },
    };
    let tls = tls::client_config(&trust).unwrap();
    Client::trusting(&registry, tls).connected();
}

#[test]
fn a_server_that_asks_for_a_client_certificate_is_understood() {
    let address = quiet_address();
    let own = Own::self_signed(&[&address.ip().to_string()], |_| {});
    let mut roots = RootCertStore::empty();
    roots.add(own.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let clients = clients.build().unwrap();
    let mut asking = own.trusted("asking");
    asking.server = configured(from_ref(&own.der), &own.key, Some(clients));
    let reason = asking.refusal(address);
    assert!(reason.contains("asks for a client certificate"), "{reason}");
}

#[test]
fn a_server_that_speaks_only_old_tls_is_understood() {
    let listener = TcpListener::bind(quiet_address()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 4096]).unwrap();
        // An alert: fatal, protocol_version.
        socket.write_all(&[0x15, 3, 1, 0, 2, 2, 70]).unwrap();
    });
    let urls = (
        format!("wss://{address}/ws"),
        format!("https://{address}/api/token"),
    );
    let client = Client::launch(&urls.0, &urls.1, api_key(), times(), None, 64);
    let reason = client.disconnected();
    assert!(reason.contains("speaks only TLS 1.1 or older"), "{reason}");
    server.join().unwrap();
}
