//! Tests that the signaling thread ends when it is asked to, whatever it is doing.

use std::time::Duration;

use chatixia_sidecar::runtime::signaling::Times;

use crate::client::*;
use crate::scripted_registry::{DEADLINE, Script, ScriptedRegistry, SocketScript, TokenReply};

#[test]
fn stop_sends_what_is_queued_and_says_goodbye() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let client = Client::start(&registry, api_key());
    client.connected();
    assert!(client.handle.send(offer("last words")));
    client.handle.stop();
    client.handle.stop();
    assert!(client.handle.wait(DEADLINE));
    frame_with(&registry, "last words");
    assert_eq!(registry.wait_for(closed), Some(1000));
    assert!(!client.handle.send(offer("too late")));
}

#[test]
fn stop_works_while_the_event_loop_takes_nothing() {
    let registry = ScriptedRegistry::start(Script::faultless());
    let urls = (registry.signaling_url(), registry.token_url());
    let client = Client::launch(&urls.0, &urls.1, api_key(), times(), None, 1);
    // Connected is in the channel, so the peer list does not fit any more.
    assert!(registry.wait_for(frame).1.contains(r#""register""#));
    client.handle.stop();
    assert!(client.handle.wait(DEADLINE));
    assert_eq!(registry.wait_for(closed), Some(1000));
}

#[test]
fn stop_works_in_a_backoff_in_an_exchange_and_in_an_upgrade() {
    let slow = Times {
        backoff: (Duration::from_secs(1000), Duration::from_secs(1000)),
        handshake: Duration::from_secs(1000),
        ..Times::default()
    };
    let script = Script::with_tokens(&[TokenReply::Status(500)]);
    let registry = ScriptedRegistry::start(script);
    let client = Client::start_with(&registry, api_key(), slow, None);
    client.disconnected();
    client.handle.stop();
    assert!(client.handle.wait(DEADLINE));

    let script = Script::with_tokens(&[TokenReply::Hang]);
    let registry = ScriptedRegistry::start(script);
    let client = Client::start_with(&registry, api_key(), slow, None);
    registry.wait_for(token_request);
    client.handle.stop();
    assert!(client.handle.wait(DEADLINE));

    let script = Script::with_sockets(&[SocketScript::HangUpgrade]);
    let registry = ScriptedRegistry::start(script);
    let client = Client::start_with(&registry, api_key(), slow, None);
    registry.wait_for(upgrade);
    client.handle.stop();
    assert!(client.handle.wait(DEADLINE));
}
