//! Any control frame is taken or not; what is taken is the same again when it is sent.
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
