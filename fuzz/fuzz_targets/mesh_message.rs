//! Fuzzes mesh messages: whatever a peer sends, the agent gets one line of JSON with all the fields that
//! it may rely on and with everything that the peer wrote.
#![no_main]

use chatixia_sidecar_fuzz::protocol::PeerId;
use chatixia_sidecar_fuzz::protocol::ipc::Event;
use chatixia_sidecar_fuzz::protocol::message::{Message, MessageError};
use chatixia_sidecar_fuzz::{is_json, line_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let message = match Message::from_peer(data) {
        Ok(message) => message,
        Err(error) => {
            assert_eq!(error != MessageError::NotJson, is_json(data));
            return;
        }
    };
    let json = message.as_str();
    assert!(is_json(json.as_bytes()));
    assert!(!json.contains(['\n', '\r']));
    assert_eq!(Message::from_peer(json.as_bytes()).as_ref(), Ok(&message));

    let written = String::from_utf8_lossy(data.trim_ascii()).replace(['\n', '\r'], " ");
    let members = written.strip_suffix('}').expect("an object");
    assert!(json.starts_with(members), "{json} has lost of {written}");
    // A tree takes neither every number nor every escape; what it takes has to have the fields.
    if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(json) {
        assert!(fields["type"].is_string());
        for name in ["request_id", "source_agent", "target_agent", "payload"] {
            assert!(fields.contains_key(name), "{json} has no {name}");
        }
    }
    let from_peer = PeerId::new("peer").expect("a name");
    line_of(&Event::Message { from_peer, message });
});
