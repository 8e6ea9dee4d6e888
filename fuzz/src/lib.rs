//! The code under test, included as source files. It needs few small crates, while the sidecar as a
//! dependency would build its cryptography once more, with a sanitizer, for every run. So str0m is here without
//! any: it reads candidates, and the core runs on the stand-in of its simulation, which `cargo fuzz` compiles.

#![forbid(unsafe_code)]

#[allow(dead_code)]
#[path = "../../src/backoff.rs"]
mod backoff;
#[allow(dead_code)]
#[path = "../../src/calendar.rs"]
mod calendar;
pub mod descriptions;
#[allow(dead_code)]
#[path = "../../src/http1/mod.rs"]
mod http1;
#[allow(dead_code)]
#[path = "../../src/http_date.rs"]
mod http_date;
#[path = "../../src/limits/mod.rs"]
pub mod limits;
#[path = "../../src/mcp/mod.rs"]
pub mod mcp;
#[allow(dead_code, unused_imports)]
#[path = "../../src/mesh/mod.rs"]
pub mod mesh;
#[allow(dead_code)]
#[path = "../../src/nat/mod.rs"]
pub mod nat;
#[path = "../../src/protocol/mod.rs"]
pub mod protocol;
pub mod registry;
#[allow(dead_code)]
#[path = "../../src/secret.rs"]
mod secret;

/// Drives the whole core as the bytes say; fails when it breaks a promise.
#[cfg(fuzzing)]
pub fn drive(schedule: &[u8]) {
    mesh::tests::schedule::run(schedule);
}

#[path = "../../src/nat/turn/framing.rs"]
mod framing;
// Our targets parse; what makes requests is not reached.
#[allow(dead_code)]
#[path = "../../src/nat/stun/message.rs"]
mod message;
#[path = "../../src/nat/url.rs"]
pub mod url;

pub use registry::shared_store::{answers, command, texts};

/// The messages of a stream that comes in pieces of this size, as far as it is one of TURN.
pub fn messages(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut framing = framing::Framing::default();
    let mut messages = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        framing.push(bytes);
        loop {
            match framing.next() {
                Ok(Some(message)) => messages.push(message.to_vec()),
                Ok(None) => break,
                Err(framing::NotTurn) => return messages,
            }
        }
    }
    messages
}

/// The messages as a stream carries them.
pub fn stream(messages: Vec<Vec<u8>>) -> Vec<u8> {
    let mut stream = Vec::new();
    for mut message in messages {
        framing::pad(&mut message);
        stream.extend(message);
    }
    stream
}

/// Whether the bytes are taken for a request, and for an answer.
pub fn stun_message(bytes: &[u8]) -> (bool, bool) {
    (
        message::asked(bytes).is_some(),
        message::reply(bytes).is_some(),
    )
}

/// Whether another reader takes bytes for one JSON text.
pub fn is_json(data: &[u8]) -> bool {
    std::str::from_utf8(data)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// Checks that an event is written as one line of JSON, and returns it without its end.
pub fn line_of(event: &protocol::ipc::Event) -> String {
    let mut out = Vec::new();
    event.write_line(&mut out);
    let line = out.strip_suffix(b"\n").expect("a line ends");
    assert!(!line.contains(&b'\n'), "more than one line");
    assert!(is_json(line), "no JSON: {}", String::from_utf8_lossy(line));
    String::from_utf8_lossy(line).into_owned()
}
