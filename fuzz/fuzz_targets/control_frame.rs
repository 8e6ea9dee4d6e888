//! Fuzzes control frames: any frame is accepted or not, and an accepted one is the same when it is sent
//! and read again.
#![no_main]

use chatixia_sidecar_fuzz::limits;
use chatixia_sidecar_fuzz::protocol::control::Control;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(frame) = Control::parse(data) {
        let text = frame.to_text();
        assert!(text.len() <= limits::CONTROL_FRAME_BYTES);
        assert_eq!(Control::parse(text.as_bytes()), Some(frame));
    }
});
