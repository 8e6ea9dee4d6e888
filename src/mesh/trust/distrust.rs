//! The reasons not to trust a peer, for the one who reads them.

use std::fmt;

use crate::protocol::PeerId;
use crate::protocol::fingerprint::SHA_256;

/// Characters of a name that somebody claims, as it is shown.
const NAME_LENGTH: usize = 64;

/// Why a peer is not trusted. Written as what is told of it: "it ...".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// It has sent no proof.
    NoProof,
    /// Its proof is not the right one.
    WrongProof,
    /// Its proof can't be checked: the attempt has no id, or a certificate is not known.
    NotComparable,
    /// It has shown our own certificate.
    OwnCertificate,
    /// It does not say its name.
    NoName,
    /// It calls itself by another name than the one that the registry gives it.
    AnotherName {
        /// Its own.
        name: PeerId,
    },
    /// It is of another make, and so can't prove anything.
    AnotherMake,
    /// It was of our make, and now claims to be of another.
    Downgraded,
    /// Its certificate can't be compared with others.
    NoFingerprint,
    /// Its certificate is another than the one that is known.
    Changed {
        /// Its name.
        peer: PeerId,
        /// The fingerprint of its certificate now.
        shown: String,
        /// The one that is known.
        known: String,
        /// The line where that was when the file was read.
        line: usize,
        /// The file.
        file: String,
    },
    /// Only those in the file are trusted, and it is not there.
    Unknown {
        /// Its name.
        peer: PeerId,
        /// The fingerprint of its certificate.
        shown: String,
        /// The file.
        file: String,
    },
    /// Its certificate would have to be remembered, and there is no room.
    NoRoom {
        /// How many are remembered.
        limit: usize,
        /// The file.
        file: String,
    },
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distrust::NoProof => f.write_str(
                "it does not prove that it knows MESH_SECRET: it has none, or somebody sits between",
            ),
            Distrust::WrongProof => f.write_str(
                "its proof is wrong: it has another MESH_SECRET, or somebody sits between",
            ),
            Distrust::NotComparable => f.write_str(
                "its proof can't be checked: its offer has no id, or its certificate no SHA-256 fingerprint",
            ),
            Distrust::OwnCertificate => f.write_str(
                "it has shown our own certificate; each sidecar needs an IDENTITY_FILE of its own",
            ),
            Distrust::NoName => f.write_str("it does not say its name in its hello"),
            Distrust::AnotherName { name } => {
                write!(f, "it calls itself {}; somebody may change names", shortened(name.as_str()))
            }
            Distrust::AnotherMake => f.write_str(
                "it is of another make and can't prove that it knows MESH_SECRET; ALLOW_UNPROVEN=on lets such in",
            ),
            Distrust::Downgraded => f.write_str(
                "it was of our make a moment ago and now claims to be of another; somebody may change what it sends",
            ),
            Distrust::NoFingerprint => {
                f.write_str("its certificate has no SHA-256 fingerprint by which to know it")
            }
            Distrust::Changed {
                peer,
                shown,
                known,
                line,
                file,
            } => write!(
                f,
                "its certificate is {shown}, but {file} has {known} (line {line} when it was read); somebody may sit \
                 between. If {peer} was set up anew, remove its line with {known} and send this sidecar SIGHUP"
            ),
            Distrust::Unknown { peer, shown, file } => write!(
                f,
                "PEER_TRUST is known, and {file} does not have it. If `chatixia-sidecar identity` on its machine prints \
                 this certificate, add the line \"{SHA_256} {shown} {peer}\" and send this sidecar SIGHUP"
            ),
            Distrust::NoRoom { limit, file } => write!(
                f,
                "{file} has {limit} peers, which is the limit, and it is not among them. Remove the lines of those that \
                 are gone and send this sidecar SIGHUP"
            ),
        }
    }
}

fn shortened(name: &str) -> String {
    let mut shown: String = name.chars().take(NAME_LENGTH).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_in_the_file_is_told_with_the_line_that_lets_him_in() {
        use crate::mesh::trust::known_peers::KnownPeer;
        let known = KnownPeer {
            peer: PeerId::new("a peer").unwrap(),
            certificate: vec!["0A"; 32].join(":"),
        };
        let unknown = Distrust::Unknown {
            peer: known.peer.clone(),
            shown: known.certificate.clone(),
            file: "f".to_owned(),
        };
        let text = unknown.to_string();
        let line = text.split('"').nth(1).unwrap();
        assert_eq!(KnownPeer::parse(line), Some(known));
    }

    #[test]
    fn a_claimed_name_is_shown_up_to_a_length() {
        for (length, shown) in [(64, "é".repeat(64)), (65, "é".repeat(64) + "…")] {
            let name = PeerId::new(&"é".repeat(length)).unwrap();
            let text = Distrust::AnotherName { name }.to_string();
            assert!(
                text.starts_with(&format!("it calls itself {shown};")),
                "{text}"
            );
        }
    }
}
