//! Fuzzes an agent's commands: any line is a command or a rejection that can be told, and a message
//! travels as it was written.
#![no_main]

use chatixia_sidecar_fuzz::protocol::ipc::{Command, ErrorCode, Event, Limits, line_too_long, parse};
use chatixia_sidecar_fuzz::protocol::message::Message;
use chatixia_sidecar_fuzz::{is_json, limits, line_of};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    message_bytes: 200,
    line_bytes: 4096,
};

fuzz_target!(|line: &[u8]| {
    match parse(line, LIMITS) {
        Ok(request) => {
            assert!(is_json(line));
            if let Some(id) = &request.id {
                assert!(id.as_json().len() <= limits::COMMAND_ID_BYTES);
                assert_within(id.as_json(), line);
            }
            match request.command {
                Command::Send { message, .. } | Command::Broadcast { message } => {
                    check_message(&message, line);
                }
                Command::ListPeers | Command::Connect { .. } | Command::Stats => {}
            }
        }
        Err(rejection) => {
            assert_eq!(rejection.error.code != ErrorCode::BadJson, is_json(line));
            if let Some(id) = &rejection.id {
                assert_within(id.as_json(), line);
            }
            // A line that is cut never bears another id than the whole, but that one may come later.
            if let Some(cut) = line_too_long(&line[..line.len() / 2], LIMITS).id {
                assert_within(cut.as_json(), line);
            }
            line_of(&Event::Error {
                id: rejection.id,
                error: rejection.error,
            });
        }
    }
});

fn check_message(message: &Message, line: &[u8]) {
    assert!(message.size() <= LIMITS.message_bytes);
    assert!(!message.as_str().contains(['\n', '\r']));
    assert_within(message.as_str(), line);
    assert_eq!(Message::from_agent(message.as_str()).as_ref(), Ok(message));
}

/// Checks that a text is a part of a line, line breaks of which count as spaces.
fn assert_within(text: &str, line: &[u8]) {
    let line = String::from_utf8_lossy(line).replace(['\n', '\r'], " ");
    assert!(line.contains(text), "{text} is not of {line}");
}
