//! Fuzzes STUN messages: any datagram of a server is read without harm, and is never a request and an
//! answer at once.
#![no_main]

use chatixia_sidecar_fuzz::stun_message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    assert_ne!(stun_message(data), (true, true));
});
