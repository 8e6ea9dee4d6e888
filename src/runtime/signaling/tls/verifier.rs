//! Decides whether a server's certificate is accepted: as the standard verifier does, and beside that the
//! very certificates that the user has put into `CA_FILE`.
//!
//! The usual self-signed certificate calls itself an authority, and a server must not show such a one. Who
//! has put it into `CA_FILE` means it all the same. Its name, its time and its usage are verified as ever.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::words;
use crate::protocol::certificate::Certificate;

/// The verifier of all connections.
pub(super) struct Verifier {
    standard: Arc<WebPkiServerVerifier>,
    /// The certificates in `CA_FILE`.
    own: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(
        standard: Arc<WebPkiServerVerifier>,
        own: Vec<CertificateDer<'static>>,
    ) -> Self {
        Verifier { standard, own }
    }

    /// Verifies a certificate that is in `CA_FILE`, and that the standard verifier has refused for `error`.
    fn verify_own(
        &self,
        error: Error,
        shown: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        // The standard verifier finds these two only after it has found the time to be right.
        let lacks_authority = error == Error::InvalidCertificate(CertificateError::UnknownIssuer)
            || words::is_authority(&error);
        let is_for_servers = Certificate::parse(shown).is_some_and(|read| read.is_for_servers());
        if !lacks_authority || !is_for_servers || !self.own.contains(shown) {
            return Err(error);
        }
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.standard
            .verify_server_cert(shown, intermediates, name, ocsp_response, now)
            .or_else(|error| self.verify_own(error, shown, name))
            .map_err(|error| {
                let refusal = words::refusal(&error, shown, intermediates, name);
                Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.standard
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.standard
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.standard.supported_verify_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}
