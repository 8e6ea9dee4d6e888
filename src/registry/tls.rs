//! The registry's certificate (`REGISTRY_TLS_CERT`, `REGISTRY_TLS_KEY`).

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Error;

/// Reads a certificate with its chain, and its key, both in PEM form. TLS 1.2 and 1.3 with aws-lc.
///
/// # Errors
/// Says which file can't be used and why; shows nothing of the key.
pub fn load_tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let failure = |path: &Path, reason: String| Error::Tls {
        path: path.to_owned(),
        reason,
    };
    let read = |path: &Path| fs::read(path).map_err(|error| failure(path, error.to_string()));
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failure(certificate, error.to_string()))?;
    if chain.is_empty() {
        let reason = "it holds no certificate in PEM form".to_owned();
        return Err(failure(certificate, reason));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| {
        let reason = "it holds no private key in PEM form".to_owned();
        failure(key, reason)
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(|error| failure(key, format!("it does not fit the certificate: {error}")))?;
    // Others may not be spoken here.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"stun.turn".to_vec()];
    Ok(Arc::new(config))
}
