//! Tests of pairing over HTTP (contract part 3).

use serde_json::{Value, json};

use super::support::{Asker, RunningRegistry, listed_options, open_options};

/// A code that `alice` has been given.
fn code(alice: &Asker) -> String {
    let answer = alice.post("/api/pairing/generate-code", &Value::Null);
    assert_eq!(answer["expires_in"], 300);
    let code = answer["code"].as_str().unwrap();
    assert!(
        code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
        "{code}"
    );
    code.to_owned()
}

/// What the registry answers a device that redeems a code.
fn redeem(registry: &RunningRegistry, code: &str, name: &str) -> (u16, Value) {
    let body = json!({"code": code, "agent_name": name});
    registry
        .asker("")
        .ask("POST", "/api/pairing/pair", Some(&body))
}

#[test]
fn a_device_is_let_in_from_approval_to_revocation() {
    let registry = RunningRegistry::start(listed_options(&["alice"]));
    let (alice, stranger) = (registry.asker("alice"), registry.asker(""));
    let code = code(&alice);
    let (status, paired) = redeem(&registry, &code, "laptop");
    assert_eq!(status, 200);
    assert_eq!(paired["status"], "pending_approval");
    let peer_id = paired["peer_id"].as_str().unwrap();
    let digits = peer_id.strip_prefix("agent-").unwrap();
    assert!(digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        redeem(&registry, &code, "laptop").0,
        401,
        "a code is good for one"
    );

    let id = paired["id"].as_str().unwrap();
    let own = format!("/api/pairing/{id}");
    assert_eq!(stranger.get(&own)["status"], "pending_approval");
    let pending = alice.get("/api/pairing/pending");
    let listed = &pending[0];
    assert_eq!(pending.as_array().unwrap().len(), 1);
    assert_eq!(listed["id"], id);
    assert_eq!(listed["agent_name"], "laptop");
    assert_eq!(listed["peer_id"], peer_id);
    assert!(listed["created_at"].as_u64().unwrap() > 1_700_000_000);
    assert!(listed["updated_at"].is_u64());
    assert!(listed.get("device_token").is_none());

    assert_eq!(stranger.ask("POST", &format!("{own}/approve"), None).0, 401);
    let approved = alice.post(&format!("{own}/approve"), &Value::Null);
    let token = approved["device_token"].as_str().unwrap();
    let digits = token.strip_prefix("dt_").unwrap();
    assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(approved["id"], id);
    assert_eq!(approved["status"], "approved");
    assert_eq!(approved["peer_id"], peer_id);
    assert_eq!(stranger.get(&own)["device_token"], token);
    assert!(
        alice.get("/api/pairing/all")[0]
            .get("device_token")
            .is_none()
    );

    let device = registry.device(token);
    let exchanged = device.post("/api/token", &Value::Null);
    assert_eq!(exchanged["peer_id"], peer_id);
    device.post("/api/hub/heartbeat", &json!({"agent_id": "laptop"}));
    let refused = device.ask("POST", "/api/pairing/generate-code", None);
    assert_eq!(refused.0, 403, "devices invite nobody");

    let mut socket = registry.client_with(exchanged["token"].as_str().unwrap(), peer_id);
    socket.register();
    let revoked = alice.post(&format!("{own}/revoke"), &Value::Null);
    assert_eq!(revoked, json!({"status": "ok"}));
    assert_eq!(socket.await_close(), 1008);
    assert_eq!(device.ask("POST", "/api/token", None).0, 401);
    assert_eq!(registry.upgrade(exchanged["token"].as_str().unwrap()), 401);
    assert_eq!(alice.get("/api/pairing/all")[0]["status"], "revoked");
}

#[test]
fn a_device_can_be_rejected_and_what_is_unknown_is_not_found() {
    let registry = RunningRegistry::start(listed_options(&["alice"]));
    let alice = registry.asker("alice");
    let (_, paired) = redeem(&registry, &code(&alice), "laptop");
    let own = format!("/api/pairing/{}", paired["id"].as_str().unwrap());
    let rejected = alice.post(&format!("{own}/reject"), &Value::Null);
    assert_eq!(rejected, json!({"status": "ok"}));
    assert_eq!(alice.ask("POST", &format!("{own}/approve"), None).0, 409);
    assert_eq!(registry.asker("").get(&own)["status"], "rejected");
    assert_eq!(alice.get("/api/pairing/pending"), json!([]));
    for order in ["approve", "reject", "revoke"] {
        let path = format!("/api/pairing/none/{order}");
        assert_eq!(alice.ask("POST", &path, None).0, 404);
    }
}

#[test]
fn a_name_that_another_has_is_not_approved() {
    let registry = RunningRegistry::start(listed_options(&["alice"]));
    let alice = registry.asker("alice");
    let (_, paired) = redeem(&registry, &code(&alice), "alice");
    let path = format!("/api/pairing/{}/approve", paired["id"].as_str().unwrap());
    assert_eq!(alice.ask("POST", &path, None).0, 409);
}

#[test]
fn codes_are_tried_five_times_a_minute() {
    let mut options = listed_options(&["alice"]);
    options.trusted_proxies = "127.0.0.1".parse().unwrap();
    let registry = RunningRegistry::start(options);
    let code = code(&registry.asker("alice"));
    for _ in 0..5 {
        assert_eq!(redeem(&registry, "nonsense", "x").0, 401);
    }
    let (status, _) = redeem(&registry, &code, "x");
    assert_eq!(status, 429, "the right one, too");

    let from = |client: &str| {
        let body = json!({"code": code, "agent_name": "x"}).to_string();
        let request = format!(
            "POST /api/pairing/pair HTTP/1.1\r\nX-Forwarded-For: 198.51.100.7, {client}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = registry.exchange(request.as_bytes());
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(from("192.0.2.1"), "200", "another client of the same proxy");
}

#[test]
fn what_is_no_redemption_is_refused_in_words() {
    let registry = RunningRegistry::start(listed_options(&["alice"]));
    for body in [
        json!({}),
        json!({"code": "1"}),
        json!({"code": "1", "agent_name": " "}),
    ] {
        let answer = registry
            .asker("")
            .ask("POST", "/api/pairing/pair", Some(&body));
        assert_eq!(answer.0, 400, "{body}");
    }
    let head = "POST /api/pairing/pair HTTP/1.1\r\nContent-Length: 1025\r\n\r\n";
    let answer = registry.exchange(head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn in_an_open_registry_a_device_finds_its_token_in_the_list() {
    let registry = RunningRegistry::start(open_options());
    let anybody = registry.asker("");
    let (_, paired) = redeem(&registry, &code(&anybody), "laptop");
    let path = format!("/api/pairing/{}/approve", paired["id"].as_str().unwrap());
    let approved = anybody.post(&path, &Value::Null);
    let listed = &anybody.get("/api/pairing/all")[0];
    assert_eq!(listed["device_token"], approved["device_token"]);
}
