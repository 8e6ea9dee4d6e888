//! The wire types, taken in as source: they need two small crates, while the sidecar as a
//! dependency would build its cryptography once more, with a sanitizer, for every run.

#![forbid(unsafe_code)]

#[path = "../../src/limits.rs"]
pub mod limits;
#[path = "../../src/protocol/mod.rs"]
pub mod protocol;

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
