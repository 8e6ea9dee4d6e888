//! Fuzzes what a registry reads from a Redis: any bytes are answers or an error, and texts that were read come
//! back the same as parts of a command.
#![no_main]

use chatixia_sidecar_fuzz::{answers, command, texts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let read = answers(data);
    if !read.is_empty() {
        assert_eq!(texts(&command(&read)), Some(read));
    }
});
