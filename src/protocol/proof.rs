//! The proof that a sidecar knows the secret of its mesh (contract part 5, "Proof").

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::secret::Secret;

/// The first line of what is proven. It names the purpose, so that the code is good for nothing else.
const PURPOSE: &str = "chatixia-mesh-proof-1";

/// The sender's part in the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It made the offer.
    Offerer,
    /// It answered.
    Answerer,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Side::Offerer => "offerer",
            Side::Answerer => "answerer",
        }
    }
}

/// Everything that a proof is bound to. None of it may hold the end of a line.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The id of the connection attempt.
    pub conn: &'a str,
    /// Who sends the proof.
    pub side: Side,
    /// The SHA-256 fingerprint of its certificate.
    pub sender: &'a str,
    /// The SHA-256 fingerprint of the certificate of the one who is to believe it.
    pub receiver: &'a str,
    /// The sender's session.
    pub session: &'a str,
}

impl Claim<'_> {
    /// Returns the proof, in lower-case hexadecimal.
    pub fn prove(&self, secret: &Secret) -> String {
        let code = self.code(secret).map(|code| code.finalize().into_bytes());
        let code = code.as_deref().unwrap_or_default();
        code.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns whether this is the proof, in a time that says nothing about how much of it is right.
    pub fn is_proven(&self, secret: &Secret, proof: &str) -> bool {
        let code = self.code(secret).zip(read_hex(proof));
        code.is_some_and(|(code, proof)| code.verify_slice(&proof).is_ok())
    }

    /// Returns the code of the text; `None` never, since HMAC takes keys of any length.
    fn code(&self, secret: &Secret) -> Option<Hmac<Sha256>> {
        let mut code = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).ok()?;
        let lines = [
            PURPOSE,
            self.conn,
            self.side.as_str(),
            self.sender,
            self.receiver,
            self.session,
        ];
        for line in lines {
            debug_assert!(!line.contains('\n'));
            code.update(line.as_bytes());
            code.update(b"\n");
        }
        Some(code)
    }
}

/// Reads lower-case hexadecimal of 32 bytes.
fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    (text.len() == 64).then(|| pairs.map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim<'static> {
        Claim {
            conn: "c1",
            side: Side::Offerer,
            sender: "AA:01",
            receiver: "BB:02",
            session: "s1",
        }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    /// Computed by Python's `hmac` from the contract's text.
    const PROOF: &str = "35a3e84c23b22044f544c210538faf7c21ceb7b62c66dfef49728cb1234c7c2a";

    #[test]
    fn the_proof_is_the_one_of_the_contract() {
        assert_eq!(claim().prove(&secret("the secret")), PROOF);
        assert!(claim().is_proven(&secret("the secret"), PROOF));
    }

    #[test]
    fn a_proof_is_good_for_nothing_else() {
        let others = [
            Claim {
                conn: "c2",
                ..claim()
            },
            Claim {
                side: Side::Answerer,
                ..claim()
            },
            Claim {
                sender: "AA:02",
                ..claim()
            },
            Claim {
                receiver: "BB:01",
                ..claim()
            },
            Claim {
                session: "s2",
                ..claim()
            },
            // Reflected: what we have sent ourselves.
            Claim {
                sender: "BB:02",
                receiver: "AA:01",
                ..claim()
            },
        ];
        for other in others {
            assert!(!other.is_proven(&secret("the secret"), PROOF), "{other:?}");
        }
        assert!(!claim().is_proven(&secret("another secret"), PROOF));
    }

    #[test]
    fn what_is_written_otherwise_is_no_proof() {
        let zeros = "0".repeat(64);
        let odd = [
            "",
            &PROOF[1..],
            &PROOF.to_uppercase(),
            &format!("{PROOF}00"),
            &format!("{} ", &PROOF[1..]),
            &format!("é{}", &PROOF[2..]),
            &zeros,
        ];
        for proof in odd {
            assert!(!claim().is_proven(&secret("the secret"), proof), "{proof}");
        }
    }
}
