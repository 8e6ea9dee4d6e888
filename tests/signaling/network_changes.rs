//! Tests of what the signaling thread does when the network changes, is in doubt, or the machine has slept.

use std::time::{Duration, Instant};

use chatixia_sidecar::limits;
use chatixia_sidecar::runtime::signaling::{Notice, Times};

use crate::client::*;
use crate::scripted_registry::{Script, ScriptedRegistry, Seen, SocketScript, TokenReply};

/// Times with which nothing is tried again, or given up, by itself.
fn patient() -> Times {
    let for_ever = Duration::from_secs(1000);
    Times {
        handshake: for_ever,
        backoff: (for_ever, for_ever),
        refused_backoff: (for_ever, for_ever),
        ..Times::default()
    }
}

fn ping(seen: Seen) -> Option<usize> {
    match seen {
        Seen::Ping { socket } => Some(socket),
        _ => None,
    }
}

#[test]
fn a_change_or_doubt_asks_for_a_sign_of_life_and_an_answer_is_enough() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let client = Client::start_with(&registry, api_key(), patient(), None);
    client.connected();
    client.handle.network_changed();
    assert_eq!(registry.wait_for(ping), 0);
    // The second question comes when the first has been answered, and some time later.
    let start = Instant::now();
    client.handle.in_doubt();
    assert_eq!(registry.wait_for(ping), 0);
    assert!(start.elapsed() >= Duration::from_secs(1));
    client.handle.slept(limits::REGISTRY_SLEEP / 2);
    assert_eq!(registry.wait_for(ping), 0);
    assert!(client.handle.send(offer("still here")));
    assert_eq!(frame_with(&registry, "still here"), 0);
    assert!(client.notices.is_empty(), "{:?}", client.next());
}

#[test]
fn a_way_that_does_not_answer_within_two_seconds_is_replaced_at_once() {
    let script = [SocketScript::Stall, SocketScript::Serve(Vec::new())];
    let registry = ScriptedRegistry::start(Script::with_sockets(&script));
    let client = Client::start_with(&registry, api_key(), patient(), None);
    assert!(matches!(client.next(), Notice::Connected { .. }));
    let start = Instant::now();
    client.handle.in_doubt();
    let reason = client.disconnected();
    assert!(reason.contains("no answer to a ping for 2 s"), "{reason}");
    assert!(start.elapsed() >= Duration::from_secs(2));
    client.connected();
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_connection_whose_address_is_gone_is_replaced_at_once() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let client = Client::without_addresses(&registry, patient());
    client.connected();
    client.handle.network_changed();
    let reason = client.disconnected();
    let expected = "our address 127.0.0.1 is gone; trying again at once";
    assert!(reason.ends_with(expected), "{reason}");
    client.connected();
}

#[test]
fn a_connection_does_not_outlast_a_long_sleep() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let client = Client::start_with(&registry, api_key(), patient(), None);
    client.connected();
    client
        .handle
        .slept(limits::REGISTRY_SLEEP + Duration::from_secs(1));
    let reason = client.disconnected();
    assert!(reason.contains("the machine has slept"), "{reason}");
    client.connected();
}

#[test]
fn a_change_ends_the_wait_before_the_next_try() {
    let script = Script::with_tokens(&[TokenReply::Status(500), TokenReply::Grant]);
    let registry = ScriptedRegistry::start(script);
    let client = Client::start_with(&registry, api_key(), patient(), None);
    client.disconnected();
    client.handle.network_changed();
    client.connected();
}

#[test]
fn a_change_does_not_hurry_a_registry_that_refuses_the_key() {
    let script = Script::with_tokens(&[TokenReply::Status(401), TokenReply::Grant]);
    let registry = ScriptedRegistry::start(script);
    let times = Times {
        refused_backoff: (Duration::from_secs(2), Duration::from_secs(2)),
        ..patient()
    };
    let client = Client::start_with(&registry, device_token(), times, None);
    client.refused();
    let start = Instant::now();
    client.handle.network_changed();
    client.connected();
    assert!(start.elapsed() >= Duration::from_millis(900));
}

#[test]
fn a_change_that_takes_the_address_ends_an_exchange_and_an_upgrade_that_hang() {
    let script = Script {
        tokens: vec![TokenReply::Hang, TokenReply::Grant],
        sockets: vec![SocketScript::HangUpgrade, SocketScript::Serve(Vec::new())],
        ..Script::faultless()
    };
    let registry = ScriptedRegistry::start(script);
    let client = Client::without_addresses(&registry, patient());
    registry.wait_for(token_request);
    client.handle.network_changed();
    let reason = client.disconnected();
    assert!(reason.starts_with("token exchange at "), "{reason}");
    assert!(reason.contains("our address 127.0.0.1 is gone"), "{reason}");
    registry.wait_for(upgrade);
    client.handle.network_changed();
    let reason = client.disconnected();
    assert!(reason.starts_with("WebSocket at "), "{reason}");
    client.connected();
}

#[test]
fn a_change_that_leaves_the_address_does_not_end_an_exchange() {
    let script = Script::with_tokens(&[TokenReply::Hang, TokenReply::Grant]);
    let registry = ScriptedRegistry::start(script);
    let times = Times {
        handshake: Duration::from_secs(1),
        ..times()
    };
    let client = Client::start_with(&registry, api_key(), times, None);
    registry.wait_for(token_request);
    client.handle.network_changed();
    let reason = client.disconnected();
    assert!(reason.contains("no answer within 1"), "{reason}");
    client.connected();
}

#[test]
fn a_registry_that_is_killed_and_comes_back_is_found_within_two_seconds() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let address = registry.address;
    let client = Client::start_with(&registry, api_key(), Times::default(), None);
    client.connected();
    drop(registry);
    client.disconnected();
    // Until the waits are as long as they get.
    let away = Instant::now() + Duration::from_secs(4);
    while let Ok(notice) = client.notices.recv_deadline(away) {
        assert!(matches!(notice, Notice::Disconnected { .. }), "{notice:?}");
    }
    let _registry = ScriptedRegistry::start_at(address, Script::faultless());
    let back = Instant::now();
    client.connected();
    assert!(
        back.elapsed() < Duration::from_secs(2),
        "{:?}",
        back.elapsed()
    );
}
