//! Fuzzes session descriptions and candidates: any text is read without harm, our answer to it can be read, and of a
//! candidate we and the WebRTC stack read the same.
#![no_main]

use chatixia_sidecar_fuzz::descriptions::{read_candidate, read_description};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    read_description(text);
    text.lines().for_each(read_candidate);
});
