//! Makes keys, tokens and ids that can't be guessed, and the hashes that are kept of them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Returns that many random bytes. The error is logged.
pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Some(bytes),
        Err(error) => {
            log::error!("the system gives no random numbers: {error}");
            None
        }
    }
}

/// Returns the hash of a key or token. These are random and long, so a plain hash hides them.
pub(super) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

/// Returns the bytes as two hexadecimal digits each.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
