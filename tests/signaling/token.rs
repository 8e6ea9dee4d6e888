//! Tests of the token exchange: who we are, refusals, wrong answers.

use std::time::{Duration, Instant};

use chatixia_sidecar::limits;
use chatixia_sidecar::runtime::signaling::{Notice, Times};

use crate::client::*;
use crate::scripted_registry::{DEADLINE, Script, ScriptedRegistry, SocketScript, TokenReply};

#[test]
fn a_device_token_has_a_header_of_its_own() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let client = Client::start(&registry, device_token());
    client.connected();
    let request = registry.wait_for(token_request);
    assert_eq!(request.header("x-device-token"), Some("s3cret.alice"));
    assert_eq!(request.header("x-api-key"), None);
}

#[test]
fn an_api_key_that_was_never_accepted_is_fatal_when_refused() {
    let script = Script::with_tokens(&[TokenReply::Status(401), TokenReply::Grant]);
    let registry = ScriptedRegistry::start(script);
    let client = Client::start(&registry, api_key());
    let (reason, fatal) = client.refused();
    assert!(fatal);
    assert!(reason.contains("refused the API key"), "{reason}");
    assert!(reason.contains(&registry.token_url()), "{reason}");
    assert!(client.handle.wait(DEADLINE));
    assert!(client.notices.recv_timeout(DEADLINE).is_err());
}

#[test]
fn a_refused_device_token_is_told_once_and_tried_again() {
    let refused = TokenReply::Status(401);
    let script = [refused.clone(), refused.clone(), refused, TokenReply::Grant];
    let registry = ScriptedRegistry::start(Script::with_tokens(&script));
    let client = Client::start(&registry, device_token());
    let (reason, fatal) = client.refused();
    assert!(!fatal);
    assert!(reason.contains("refused the device token"), "{reason}");
    assert!(reason.contains("trying again in"), "{reason}");
    assert!(matches!(client.next(), Notice::Connected { .. }));
}

#[test]
fn an_api_key_refused_later_on_is_not_fatal() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let client = Client::start(&registry, api_key());
    client.connected();
    registry.set_script(Script::with_tokens(&[
        TokenReply::Status(401),
        TokenReply::Grant,
    ]));
    registry.drop_sockets();
    client.disconnected();
    assert!(!client.refused().1);
    client.connected();
}

#[test]
fn every_wrong_answer_to_the_token_exchange_is_told_and_survived() {
    let huge = usize::try_from(limits::REGISTRY_RESPONSE_BYTES).unwrap() + 1;
    let redirect = TokenReply::Redirect(307, "http://127.0.0.1:1/elsewhere".to_owned());
    let body = |text: &str| TokenReply::Body(text.as_bytes().to_vec());
    let cases = [
        // Only 401 says that the key is wrong.
        (
            TokenReply::Status(403),
            "answered 403 Forbidden; the registry, or a proxy before it, does not serve this API \
             key now",
        ),
        (TokenReply::Status(500), "answered 500"),
        (TokenReply::Status(204), "answered 204"),
        (
            redirect,
            "answered 307 Temporary Redirect; redirects are not",
        ),
        (body("<html>s3cret"), "not JSON"),
        (body(r#"{"token":"s3cret","peer_id":""}"#), "peer_id"),
        (
            TokenReply::Body(vec![b' '; huge]),
            "longer than 65536 bytes",
        ),
        (TokenReply::Raw(b"SSH-2.0-s3cret\r\n".to_vec()), "http"),
        (TokenReply::Raw(Vec::new()), "the connection was closed"),
        (TokenReply::Hang, "no answer within 2"),
    ];
    let replies: Vec<_> = cases.iter().map(|(reply, _)| reply.clone()).collect();
    let replies = [&replies[..], &[TokenReply::Grant]].concat();
    let registry = ScriptedRegistry::start(Script::with_tokens(&replies));
    let times = Times {
        handshake: Duration::from_secs(2),
        ..times()
    };
    let client = Client::start_with(&registry, api_key(), times, None);
    for (reply, expected) in cases {
        let reason = client.disconnected();
        assert!(reason.contains(expected), "{reply:?}: {reason}");
        assert!(reason.contains(&registry.token_url()), "{reason}");
    }
    client.connected();
}

#[test]
fn any_2xx_with_a_good_body_is_accepted() {
    let registry = ScriptedRegistry::start(Script::with_tokens(&[TokenReply::Created]));
    let client = Client::start(&registry, api_key());
    client.connected();
}

#[test]
fn a_busy_registry_is_asked_again_when_it_says_and_not_before() {
    let later = |status| TokenReply::Headed(status, "Retry-After: 2\r\n".to_owned());
    let tokens = [later(429), later(503), TokenReply::Grant];
    let busy = SocketScript::RefuseHeaded(503, "Retry-After: 1\r\n".to_owned());
    let registry = ScriptedRegistry::start(Script {
        tokens: tokens.to_vec(),
        sockets: vec![busy, SocketScript::Serve(Vec::new())],
        ..Script::faultless()
    });
    let client = Client::start(&registry, api_key());
    let mut asked = Vec::new();
    for _ in 0..4 {
        registry.wait_for(token_request);
        asked.push(Instant::now());
    }
    for (pair, least) in asked.windows(2).zip([2, 2, 1]) {
        let waited = pair[1] - pair[0];
        let least = Duration::from_secs(least);
        // A quarter of jitter, and time on a busy machine.
        assert!(
            waited >= least && waited < 2 * least,
            "{waited:?} of {least:?}"
        );
    }
    assert!(client.disconnected().contains("answered 429"));
    client.connected();
}
