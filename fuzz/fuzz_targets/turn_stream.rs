//! Fuzzes TURN on streams: a stream holds the same messages in whatever pieces it comes, and the messages
//! put together make the same stream again.
#![no_main]

use chatixia_sidecar_fuzz::{messages, stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (piece, data) = data.split_first().unwrap_or((&1, &[]));
    let whole = messages(data, data.len());
    assert_eq!(messages(data, (*piece).into()), whole);
    let again = stream(whole.clone());
    assert_eq!(messages(&again, again.len()), whole);
});
