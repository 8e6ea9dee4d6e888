//! The TLS configuration for all connections: token exchange, WebSocket, ICE servers and TURN.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::limits;

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

/// The configuration for new connections. Clones share it, so that all learn of new certificates.
#[derive(Debug, Clone)]
pub struct CurrentTls(Arc<RwLock<Arc<ClientConfig>>>);

impl CurrentTls {
    /// Returns the configuration for a connection that is made now.
    pub fn get(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads `ca_file` again. After an error what was read before stays.
    pub fn read_again(&self, ca_file: &Path) -> Result<(), Error> {
        let config = client_config(Some(ca_file))?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

impl From<Arc<ClientConfig>> for CurrentTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        CurrentTls(Arc::new(RwLock::new(config)))
    }
}

/// Creates the configuration: TLS 1.2 and 1.3 with aws-lc, trusting the public roots and the
/// certificates in `ca_file`.
///
/// Certificates in `ca_file` that can't serve as roots are skipped with a warning, since bundles of
/// operating systems hold some. It is an error if none can.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = ca_file {
        add_roots(&mut roots, path)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let unusable = |why: &str| Error::Unusable(path.to_owned(), why.to_owned());
    let bundle = read_bounded(path)?;
    let certificates = CertificateDer::pem_slice_iter(&bundle)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| match error {
            pem::Error::MissingSectionEnd { .. } => unusable("a certificate has no end line"),
            error => unusable(&error.to_string()),
        })?;
    match roots.add_parsable_certificates(certificates) {
        (0, 0) => Err(unusable("it holds no certificate")),
        (0, _) => Err(unusable("none of its certificates can be used")),
        (_, 0) => Ok(()),
        (_, skipped) => {
            log::warn!("CA_FILE {}: {skipped} certificates skipped", path.display());
            Ok(())
        }
    }
}

/// Reads a regular file of bounded size. Others may never end, or keep us from ending.
fn read_bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |error| Error::Unreadable(path.to_owned(), error);
    let unusable = |why: &str| Error::Unusable(path.to_owned(), why.to_owned());
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unusable("it is no regular file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(limits::CA_FILE_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > limits::CA_FILE_BYTES {
        return Err(unusable("it is larger than 8 MiB"));
    }
    Ok(content)
}

/// Describes a failed handshake, and what a person can do about it.
pub(super) fn describe(error: &rustls::Error) -> String {
    let hint = if let rustls::Error::InvalidCertificate(why) = error {
        if *why == CertificateError::UnknownIssuer {
            "; if an authority of your own signed it, put that one's certificate into CA_FILE"
        } else if error.to_string().contains("CaUsedAsEndEntity") {
            "; the server shows an authority's certificate where one of its own is needed"
        } else {
            ""
        }
    } else if let rustls::Error::InvalidMessage(_) = error {
        "; is it TLS that is spoken on this port?"
    } else {
        ""
    };
    format!("TLS: {error}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_with(content: &[u8], name: &str) -> String {
        let name = format!("chatixia-tls-{}-{name}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        let error = client_config(Some(&path)).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains(&path.display().to_string()), "{error}");
        error
    }

    #[test]
    fn works_with_the_public_roots_alone() {
        client_config(None).unwrap();
    }

    #[test]
    fn says_what_is_wrong_with_the_ca_file() {
        let missing = Path::new("/does/not/exist.pem");
        let error = client_config(Some(missing)).unwrap_err().to_string();
        assert!(
            error.contains("/does/not/exist.pem cannot be read"),
            "{error}"
        );

        let device = Path::new("/dev/zero");
        let error = client_config(Some(device)).unwrap_err().to_string();
        assert!(
            error.contains("/dev/zero: it is no regular file"),
            "{error}"
        );
        let large = vec![b'\n'; 8 * 1024 * 1024 + 1];
        assert!(error_with(&large, "large").contains("larger than 8 MiB"));

        assert!(error_with(b"", "empty").contains("holds no certificate"));
        assert!(error_with(b"\x00\xffnoise", "noise").contains("holds no certificate"));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(error_with(cut, "cut").contains("no end line"));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(error_with(empty, "bad").contains("none of its certificates"));
    }
}
