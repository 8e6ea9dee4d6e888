//! Tests of tokens and the registry's other HTTP resources.

use std::time::Duration;

use chatixia_sidecar::registry::{Keys, load_keys};
use serde_json::{Value, json};

use super::support::{RunningRegistry, open_options};

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[test]
fn an_http_client_exchanges_its_key_for_a_token() {
    let registry = RunningRegistry::open();
    let url = format!("http://{}/api/token", registry.address);
    let mut answer = ureq::post(&url)
        .header("x-api-key", "agent-1")
        .send_empty()
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["peer_id"], "agent-1");
    assert_eq!(answer["role"], "agent");

    let refused = ureq::post(&url).send_empty().unwrap_err();
    assert!(matches!(refused, ureq::Error::StatusCode(401)));
}

#[test]
fn only_the_keys_of_the_file_are_taken() {
    let name = format!("chatixia-registry-keys-{}.json", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = json!({"keys": {"secret": {"peer_id": "a-sidecar", "role": "worker"}}});
    std::fs::write(&path, file.to_string()).unwrap();
    let keys = load_keys(&path);
    std::fs::remove_file(&path).unwrap();
    let mut options = open_options();
    options.keys = keys.unwrap();
    let registry = RunningRegistry::start(options);

    for header in ["x-api-key", "X-Device-Token"] {
        let ask = |key: &str| {
            let text = format!(
                "POST /api/token HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\
                Content-Length: 0\r\n{header}: {key}\r\n\r\n"
            );
            registry.exchange(text.as_bytes())
        };
        let answer = ask("secret");
        assert_eq!(status(&answer), "200");
        assert_eq!(body(&answer)["peer_id"], "a-sidecar");
        assert_eq!(body(&answer)["role"], "worker");
        assert_eq!(status(&ask("a-sidecar")), "401");
    }
}

#[test]
fn a_keys_file_that_is_not_there_is_named() {
    let error = load_keys("/nowhere/keys.json".as_ref()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/keys.json"), "{error}");
}

#[test]
fn a_websocket_needs_a_token_that_is_valid_now() {
    let registry = RunningRegistry::open();
    assert_eq!(registry.upgrade(""), 401);
    assert_eq!(registry.upgrade(&"0".repeat(64)), 401);

    let mut options = open_options();
    options.token_lifetime = Duration::ZERO;
    let forgetful = RunningRegistry::start(options);
    let expired = forgetful.token("a");
    assert_eq!(forgetful.upgrade(&expired), 401);
}

#[test]
fn health_and_configuration_are_told_with_the_date() {
    let mut options = open_options();
    options.ice_servers = vec![json!({"urls": ["turn:t.example"], "username": "u"})];
    let registry = RunningRegistry::start(options);
    let _online = registry.registered("a");
    let _not_registered = registry.client("b");

    let health = registry.exchange(b"GET /health HTTP/1.1\r\n\r\n");
    assert_eq!(status(&health), "200");
    assert!(health.contains("\r\nDate: ") && health.contains(" GMT\r\n"));
    assert_eq!(body(&health)["status"], "ok");
    assert_eq!(body(&health)["peers"], 1);

    let config = registry.exchange(b"GET /api/config HTTP/1.0\r\n\r\n");
    assert_eq!(
        body(&config),
        json!({"iceServers": [{"urls": ["turn:t.example"], "username": "u"}]})
    );
}

#[test]
fn other_requests_are_refused_in_words() {
    let registry = RunningRegistry::open();
    let answer = registry.exchange(b"GET /nothing HTTP/1.1\r\n\r\n");
    assert_eq!(status(&answer), "404");
    assert!(body(&answer)["error"].is_string());
    let answer = registry.exchange(b"GET /api/token HTTP/1.1\r\n\r\n");
    assert_eq!(status(&answer), "405");
    assert!(answer.contains("Allow: POST\r\n"));
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let registry = RunningRegistry::open();
    let mut options = open_options();
    options.listen = registry.address;
    options.keys = Keys::Open;
    let Err(error) = chatixia_sidecar::registry::Registry::bind(options) else {
        panic!("two registries on one port");
    };
    let port = registry.address.port().to_string();
    assert!(error.to_string().contains(&port), "{error}");
}

#[test]
fn a_browser_gets_the_page_and_does_not_load_it_twice() {
    let registry = RunningRegistry::open();
    let ask = |path: &str, header: &str| {
        registry.exchange(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n").as_bytes())
    };
    let page = ask("/", "");
    assert_eq!(status(&page), "200");
    assert!(page.contains("Content-Type: text/html; charset=utf-8\r\n"));
    assert!(page.contains("frame-ancestors 'none'"), "{page}");
    assert!(page.trim_end().ends_with("</html>"));
    let mut tags = page.lines().filter_map(|line| line.strip_prefix("ETag: "));
    let known = format!("If-None-Match: {}\r\n", tags.next().unwrap());
    for name in [
        "chatixia.js",
        "connection.js",
        "greeting.js",
        "introductions.js",
        "offers.js",
        "peer.js",
        "registry.js",
        "session.js",
        "wire.js",
        "page.js",
        "picture.js",
        "page.css",
        "icon.svg",
    ] {
        assert!(page.contains(name), "{name}");
        assert_eq!(status(&ask(&format!("/{name}"), "")), "200", "{name}");
        assert_eq!(status(&ask(&format!("/{name}"), &known)), "304", "{name}");
    }
    assert_eq!(status(&ask("/package.json", "")), "404");
}
