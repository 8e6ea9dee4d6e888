//! Fuzzes certificates: any bytes that a server shows are read to their end, and names are bounded.
#![no_main]

use chatixia_sidecar_fuzz::protocol::certificate::Certificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(read) = Certificate::parse(data) {
        let _ = (read.is_for_servers(), read.is_self_issued());
        if let Some(name) = read.issuer_name() {
            assert!(name.chars().count() <= 64 && !name.contains(char::is_control));
        }
    }
});
