//! The reasons why a registry cannot start.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The reason why a registry cannot start.
#[derive(Debug)]
pub enum Error {
    /// The keys file cannot be used.
    Keys {
        /// The file.
        path: PathBuf,
        /// The reason; names no key.
        reason: String,
    },
    /// The certificate or its key cannot be used.
    Tls {
        /// The file.
        path: PathBuf,
        /// The reason; shows nothing of the key.
        reason: String,
    },
    /// The data directory cannot be used.
    Data {
        /// The directory.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The certificates by which the store is trusted can't be used.
    Store(
        /// The reason.
        String,
    ),
    /// The relay cannot start.
    Relay {
        /// The UDP address that was asked for.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The registry cannot listen on that address.
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Keys { path, reason } => {
                write!(
                    f,
                    "the keys file {} cannot be used: {reason}",
                    path.display()
                )
            }
            Error::Tls { path, reason } => {
                write!(
                    f,
                    "the TLS file {} cannot be used: {reason}",
                    path.display()
                )
            }
            Error::Data { path, reason } => write!(
                f,
                "the data directory {} cannot be used: {reason}",
                path.display()
            ),
            Error::Store(reason) => write!(f, "REGISTRY_STORE: {reason}"),
            Error::Relay { address, source } => write!(
                f,
                "the relay cannot start on UDP {address} (RELAY_LISTEN): {source}"
            ),
            Error::Listen { address, source } => write!(
                f,
                "the registry cannot listen on {address}: {source}; choose another LISTEN or PORT"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Keys { .. } | Error::Tls { .. } | Error::Data { .. } | Error::Store(_) => None,
            Error::Listen { source, .. } | Error::Relay { source, .. } => Some(source),
        }
    }
}
