//! Fuzzes the registry's HTTP and WebSocket: any bytes of any clients are answered or refused, each answer can be
//! read, and nobody speaks for another.
#![no_main]

use chatixia_sidecar_fuzz::registry::serve;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|clients: &[u8]| serve(clients));
