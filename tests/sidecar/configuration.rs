//! Tests with wrong settings: they end the sidecar at once, with one line that says what would be right.

use crate::support::{Place, Setup, Site};

/// Starts it with one setting changed, to fail; gives the line in which it says why.
fn refused(place: &Place, variable: &str, value: &str) -> String {
    let mut sidecar = Setup::new("alice", place.join("s"))
        .unset("RUST_LOG")
        .set(variable, value)
        .start();
    assert_eq!(sidecar.exit_code(), 2, "{variable}={value}");
    let log = sidecar.log();
    assert_eq!(log.lines().count(), 1, "{variable}={value}: {log}");
    assert!(place.names().iter().all(|name| name != "s"));
    log
}

#[test]
fn a_wrong_value_is_told_with_its_name() {
    let place = Place::new();
    for (variable, value) in [
        ("SIGNALING_URL", "http://localhost/ws"),
        ("TOKEN_URL", "localhost:8080"),
        ("MAX_PEERS", "0"),
        ("MAX_MESSAGE_BYTES", "many"),
        ("QUEUE_BYTES", "100000"),
        ("CONNECT_TIMEOUT", "-1"),
        ("RECOVERY_TIMEOUT", "1h"),
        ("AGENT_LINGER", "forever"),
        ("MESH", "half"),
        ("UDP_PORT", "9-5"),
        ("BIND_ADDRESS", "localhost"),
        ("INTERFACES", "eth/0"),
        ("IPV6", "perhaps"),
        ("STUN_URL", "http://host"),
        ("LOG_FORMAT", "xml"),
    ] {
        let line = refused(&place, variable, value);
        assert!(line.contains(variable), "{line}");
        assert!(line.contains(value), "{line}");
    }
    let line = refused(&place, "API_KEY", "two words");
    assert!(
        line.contains("API_KEY") && !line.contains("two words"),
        "{line}"
    );
}

#[test]
fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
    let place = Place::new();
    let line = refused(&place, "HTTP_PROXY", "socks5://user:s3cret@host");
    assert!(
        line.contains("HTTP_PROXY: socks5 proxies are not supported"),
        "{line}"
    );
    assert!(!line.contains("s3cret"), "{line}");
    let line = refused(&place, "http_proxy", "http://user:s3cret@ho st");
    assert!(
        line.contains("HTTP_PROXY: give the URL of an HTTP proxy"),
        "{line}"
    );
    assert!(!line.contains("s3cret"), "{line}");
}

#[test]
fn a_socket_path_that_nobody_means_is_refused() {
    let place = Place::new();
    for name in ["s ", "s\n", "s\t", "s\r", "a\u{1b}[2J"] {
        let path = place.join(name);
        let line = refused(&place, "IPC_SOCKET", path.to_str().unwrap());
        assert!(line.contains("IPC_SOCKET"), "{line}");
        assert!(place.names().is_empty(), "{:?}", place.names());
    }
}

#[test]
fn a_file_of_certificates_that_cannot_be_used_is_told_with_its_name() {
    let place = Place::new();
    let garbage = place.join("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\n!!\n").unwrap();
    let empty = place.join("empty.pem");
    std::fs::write(&empty, "no certificate in here").unwrap();
    for file in [place.join("missing.pem"), garbage, empty] {
        let file = file.to_str().unwrap();
        let line = refused(&place, "CA_FILE", file);
        assert!(line.contains(file), "{line}");
    }
}

#[test]
fn a_sidecar_that_cannot_run_leaves_the_one_on_its_socket_in_place() {
    let site = Site::new();
    let idle = site.setup("alice").start();
    idle.await_socket();
    let mut broken = site.setup("alice").set("CA_FILE", "/no/such/file").start();
    assert_eq!(broken.exit_code(), 2);
    let mut agent = idle.agent();
    assert_eq!(
        agent.ask("list_peers", &serde_json::json!({})).kind(),
        "peer_list"
    );
}

#[test]
fn settings_that_leave_no_address_are_told() {
    let site = Site::new();
    let sidecar = site.setup("alice").set("INTERFACES", "none0").start();
    sidecar.await_log("no address that may be used");
}
