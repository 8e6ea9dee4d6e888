//! Fingerprints of certificates (RFC 8122), as session descriptions write them.

use sha2::{Digest as _, Sha256};

/// The name of the only hash function that counts here.
pub const SHA_256: &str = "sha-256";

/// Returns the SHA-256 fingerprint of a certificate in DER: upper-case hexadecimal with colons.
pub fn of_certificate(der: &[u8]) -> String {
    of_digest(&Sha256::digest(der))
}

/// Returns the fingerprint with this digest.
pub fn of_digest(digest: &[u8]) -> String {
    let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// Reads a SHA-256 fingerprint, in lower or upper case. `None`: it is none.
pub fn parse(text: &str) -> Option<String> {
    let is_byte = |byte: &str| byte.len() == 2 && byte.chars().all(|c| c.is_ascii_hexdigit());
    let is_whole = text.split(':').count() == 32 && text.split(':').all(is_byte);
    is_whole.then(|| text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_hash_of_the_certificate_as_descriptions_write_it() {
        // The digest of nothing, from FIPS 180-2.
        let of_nothing = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";
        assert_eq!(of_certificate(b""), of_nothing);
        assert_eq!(parse(&of_nothing.to_lowercase()), Some(of_nothing.into()));
        for odd in ["", "E3", &of_nothing[3..], &of_nothing.replace('E', "G")] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
