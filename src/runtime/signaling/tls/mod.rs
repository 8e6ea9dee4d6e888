//! The TLS configuration for all connections: token exchange, WebSocket, ICE servers and TURN.
//!
//! * `store`: reads certificates from files.
//! * `verifier`: whether a server's certificate is accepted.
//! * `words`: failures in words for a person.

mod store;
mod verifier;
mod words;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

pub(super) use self::words::describe;

use self::verifier::Verifier;
use crate::config::trust::Trust;

/// The reason why there is no TLS configuration.
#[derive(Debug)]
pub enum Error {
    /// `CA_FILE` can't be read.
    Unreadable(PathBuf, io::Error),
    /// `CA_FILE` is not a file of usable certificates.
    Unusable(PathBuf, String),
    /// The TLS library refused.
    Tls(rustls::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreadable(path, error) => {
                write!(f, "CA_FILE {} cannot be read: {error}", path.display())
            }
            Error::Unusable(path, why) => write!(
                f,
                "CA_FILE {}: {why}; it must hold certificates in PEM form",
                path.display()
            ),
            Error::Tls(error) => write!(f, "TLS is not usable: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Creates the configuration: TLS 1.2 and 1.3 with aws-lc. Trusted are the public roots in the binary, the
/// system's authorities, those in `CA_FILE`, and the very certificates in `CA_FILE`, for the names that
/// they bear.
///
/// Certificates in `CA_FILE` that can't be used are skipped with a warning, since bundles of operating
/// systems hold some. It is an error if none can. The system's store never is an error.
pub fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    store::add_system(&mut roots, &trust.system);
    let own = match &trust.ca_file {
        Some(path) => store::add_ca_file(&mut roots, path)?,
        None => Vec::new(),
    };
    let standard =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| Error::Tls(rustls::Error::General(error.to_string())))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(standard, own)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}
