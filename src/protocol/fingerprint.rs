//! Fingerprints of certificates (RFC 8122), as session descriptions write them.

use sha2::{Digest as _, Sha256};

/// The name of the only hash function that counts here.
pub const SHA_256: &str = "sha-256";

/// The size of its digests, in bytes.
pub const SHA_256_BYTES: usize = 32;

/// Returns the SHA-256 fingerprint of a certificate in DER: upper-case hexadecimal with colons.
pub fn of_certificate(der: &[u8]) -> String {
    of_digest(&Sha256::digest(der))
}

/// Returns the fingerprint with this digest.
pub fn of_digest(digest: &[u8]) -> String {
    let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// Reads the digest out of a fingerprint by any hash function, in lower or upper case. `None`: it is none.
pub fn digest_of(text: &str) -> Option<Vec<u8>> {
    let byte = |byte: &str| {
        let is_byte = byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_byte.then(|| u8::from_str_radix(byte, 16).ok()).flatten()
    };
    text.split(':').map(byte).collect()
}

/// Reads a SHA-256 fingerprint, in lower or upper case; returns it in upper case. `None`: it is none.
pub fn parse(text: &str) -> Option<String> {
    let digest = digest_of(text)?;
    (digest.len() == SHA_256_BYTES).then(|| of_digest(&digest))
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
