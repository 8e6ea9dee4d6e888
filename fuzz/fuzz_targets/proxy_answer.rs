//! Fuzzes the answers of HTTP proxies: any bytes end within the bound, and what is shown is short and clean.
#![no_main]

use chatixia_sidecar_fuzz::limits;
use chatixia_sidecar_fuzz::protocol::connect::Answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut answer = Answer::default();
    for (byte, count) in data.iter().zip(1..) {
        assert!(count <= limits::PROXY_ANSWER_BYTES);
        if let Some(status) = answer.push(*byte) {
            assert!(!status.line.contains(char::is_control) && status.line.len() <= 4 * 80);
            assert!(status.schemes.len() <= 8);
            break;
        }
    }
});
