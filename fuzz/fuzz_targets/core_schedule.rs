//! Fuzzes the whole core: whatever agents, the network, a hostile sidecar, the registry and strangers do, every
//! message between honest sidecars arrives once and in order or is reported, and nothing exceeds its bounds.
#![no_main]

use chatixia_sidecar_fuzz::drive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|schedule: &[u8]| drive(schedule));
