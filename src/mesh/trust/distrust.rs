//! The reasons not to trust a peer, for the one who reads them.

use std::fmt;

use crate::protocol::PeerId;

/// Why a peer is not trusted. Written as what is told of it: "it ...".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// It has sent no proof.
    NoProof,
    /// Its proof is not the right one.
    WrongProof,
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
        /// The fingerprint of its certificate now.
        shown: String,
        /// The one that is known.
        known: String,
        /// The line where that is, and of which file.
        line: usize,
        /// The file.
        file: String,
    },
    /// Only those in the file are trusted, and it is not there.
    Unknown {
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
            Distrust::AnotherName { name } => {
                write!(f, "it calls itself {name}; somebody may change names")
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
                shown,
                known,
                line,
                file,
            } => write!(
                f,
                "its certificate is {shown}, but line {line} of {file} has {known}; somebody may sit between. If \
                 the peer was set up anew, remove that line and send this sidecar SIGHUP"
            ),
            Distrust::Unknown { shown, file } => write!(
                f,
                "PEER_TRUST is known, and {file} does not have it with its certificate {shown}"
            ),
            Distrust::NoRoom { limit, file } => write!(
                f,
                "{file} has {limit} lines, which is the limit, and it is not among them"
            ),
        }
    }
}
