//! Nonces (RFC 8489 section 9.2) that the server need not remember: the time and the client's address,
//! signed. So strangers can't make it remember anything.

use std::fmt::Write as _;
use std::net::SocketAddr;

use hmac::{Hmac, Mac as _};
use sha1::Sha1;

use crate::registry::limits::NONCE_LIFETIME;
use crate::registry::unix_time::UnixTime;

/// Bytes of a signature that are sent.
const SIGNATURE_BYTES: usize = 10;

/// Makes and checks nonces.
pub(super) struct Nonces {
    key: [u8; 32],
}

impl Nonces {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Nonces { key }
    }

    /// Returns a nonce for a client.
    pub(super) fn make(&self, client: SocketAddr, now: UnixTime) -> String {
        self.of(client, now.seconds())
    }

    /// Returns whether a nonce was made for this client and can still be used.
    pub(super) fn is_fresh(&self, nonce: &str, client: SocketAddr, now: UnixTime) -> bool {
        let time = nonce.split('-').next().and_then(|time| time.parse().ok());
        let Some(time): Option<u64> = time else {
            return false;
        };
        let age = now.seconds().saturating_sub(time);
        age < NONCE_LIFETIME.as_secs() && self.of(client, time) == nonce
    }

    fn of(&self, client: SocketAddr, time: u64) -> String {
        let mut nonce = format!("{time}-");
        // HMAC takes a key of any length, so there is always a signature.
        if let Ok(mac) = Hmac::<Sha1>::new_from_slice(&self.key) {
            let signed = format!("{time} {client}");
            let signature = mac.chain_update(signed).finalize().into_bytes();
            for byte in signature.iter().take(SIGNATURE_BYTES) {
                // Writing to a string cannot fail.
                let _ = write!(nonce, "{byte:02x}");
            }
        }
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_nonce_is_good_for_its_client_and_for_a_while() {
        let nonces = Nonces::new([7; 32]);
        let now = UnixTime::now();
        let client: SocketAddr = "198.51.100.7:4000".parse().unwrap();
        let other = "198.51.100.7:4001".parse().unwrap();
        let nonce = nonces.make(client, now);
        assert!(nonces.is_fresh(&nonce, client, now));
        assert!(!nonces.is_fresh(&nonce, other, now));
        let last = now + NONCE_LIFETIME - Duration::from_secs(1);
        assert!(nonces.is_fresh(&nonce, client, last));
        assert!(!nonces.is_fresh(&nonce, client, now + NONCE_LIFETIME));
        assert!(!Nonces::new([8; 32]).is_fresh(&nonce, client, now));
        for invented in ["", "-", "x-y", &nonce[..nonce.len() - 1], "1-00"] {
            assert!(!nonces.is_fresh(invented, client, now), "{invented:?}");
        }
    }
}
