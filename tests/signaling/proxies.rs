//! Tests of HTTP proxies: what they are asked, and what is said when they refuse.

use std::time::Duration;

use chatixia_sidecar::runtime::signaling::Times;

use crate::client::*;
use crate::scripted_proxy::{Reply, ScriptedProxy};
use crate::scripted_registry::{Script, ScriptedRegistry};

/// A client whose registry has a name that nobody here knows, with this environment.
fn client(scheme: [&str; 2], environment: &[(&str, String)], times: Times) -> Client {
    let [http, websocket] = scheme;
    let mut environment = environment.to_vec();
    environment.push(("SIGNALING_URL", format!("{websocket}://reg.test:8443/ws")));
    environment.push(("TOKEN_URL", format!("{http}://reg.test:8443/api/token")));
    Client::of_environment(&environment, times)
}

#[test]
fn token_and_websocket_go_through_the_proxy_which_is_told_the_name() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let proxy = ScriptedProxy::start(Reply::Connect(registry.address));
    let url = format!("http://us%40er:s3cret@{}", proxy.address);
    let client = client(["http", "ws"], &[("http_proxy", url)], times());
    assert_eq!(client.connected().as_str(), "alice");
    for _ in 0..2 {
        let head = proxy.next();
        assert!(
            head.starts_with("CONNECT reg.test:8443 HTTP/1.1\r\n"),
            "{head}"
        );
        // us@er:s3cret
        assert!(
            head.contains("\r\nProxy-Authorization: Basic dXNAZXI6czNjcmV0\r\n"),
            "{head}"
        );
        assert!(!head.to_lowercase().contains("x-api-key"), "{head}");
    }
    let request = registry.wait_for(token_request);
    assert_eq!(request.header("host"), Some("reg.test:8443"));
    assert_eq!(request.header("proxy-authorization"), None);
    let mark = "through the proxy";
    assert!(client.handle.send(offer(mark)));
    frame_with(&registry, mark);
}

#[test]
fn a_proxy_that_refuses_is_named_with_its_answer_and_without_its_password() {
    let cases = [
        (
            Reply::Say("HTTP/1.1 403 Filtered\r\n\r\n"),
            "answered \"403 Filtered\" when asked for reg.test:8443",
        ),
        (
            Reply::Say("HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=\"s3cret\"\r\n\r\n"),
            "are the name and password in HTTP_PROXY right?",
        ),
        (
            Reply::Say("HTTP/1.0 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n"),
            "a login by NTLM, and only Basic is supported",
        ),
        (Reply::Say("SSH-2.0-x\r\n"), "which is no HTTP"),
        (Reply::Say(""), "closed the connection without an answer"),
        (Reply::Hang, "no answer within 1"),
    ];
    for (reply, expected) in cases {
        let proxy = ScriptedProxy::start(reply.clone());
        let url = format!("http://user:s3cret@{}", proxy.address);
        let times = Times {
            handshake: Duration::from_secs(1),
            ..times()
        };
        let client = client(["http", "ws"], &[("HTTP_PROXY", url)], times);
        let reason = client.disconnected();
        assert!(reason.contains(expected), "{reply:?}: {reason}");
        let named = format!("through the HTTP proxy http://{}", proxy.address);
        assert!(reason.contains(&named), "{reason}");
    }
}

#[test]
fn a_proxy_without_login_that_wants_one_is_told_how() {
    let proxy = ScriptedProxy::start(Reply::Say("HTTP/1.1 407 Login\r\n\r\n"));
    let url = proxy.address.to_string();
    let client = client(["https", "wss"], &[("ALL_PROXY", url)], times());
    let reason = client.disconnected();
    assert!(
        reason.contains("it wants http://name:password@... in ALL_PROXY"),
        "{reason}"
    );
}

#[test]
fn a_proxy_that_is_away_is_named() {
    let proxy = ("https_proxy", "http://127.0.0.1:1".to_owned());
    let client = client(["https", "wss"], &[proxy], times());
    let reason = client.disconnected();
    let expected = "through the HTTP proxy http://127.0.0.1:1: connection refused";
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn an_exempt_host_is_reached_without_the_proxy() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let proxy = ScriptedProxy::start(Reply::Connect(registry.address));
    let environment = [
        ("ALL_PROXY", proxy.address.to_string()),
        ("NO_PROXY", "10.0.0.0/8, 127.0.0.0/8".to_owned()),
        ("SIGNALING_URL", registry.signaling_url()),
        ("TOKEN_URL", registry.token_url()),
    ];
    let client = Client::of_environment(&environment, times());
    client.connected();
    assert!(!proxy.was_asked());
}
