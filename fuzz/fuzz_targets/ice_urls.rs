//! Fuzzes URLs of STUN and TURN servers: any text is such a URL or not, and one that is reads the same
//! when it is written.
#![no_main]

use chatixia_sidecar_fuzz::url::{StunUrl, TurnUrl, list};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for url in list(text, StunUrl::parse).unwrap_or_default() {
        assert_eq!(StunUrl::parse(&url.to_string()), Ok(url));
    }
    for url in list(text, TurnUrl::parse).unwrap_or_default() {
        assert_eq!(TurnUrl::parse(&url.to_string()), Ok(url));
    }
});
