//! DTLS for the WebRTC stack, by the same library that str0m would take, with settings that connections share.
//!
//! Whenever settings are made, dimpl tests the cryptography first: a key exchange over each curve, signatures over two.
//! str0m's own provider makes settings for each connection. The test would then be most of the work of a connection: some
//! milliseconds, because aws-lc is built without the tables that make curves fast and the binary large.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dimpl::{Config, Dtls};
use str0m::config::DtlsCert;
use str0m::crypto::dtls::{
    DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};
use str0m::crypto::{CryptoError, CryptoProvider, from_feature_flags};

use crate::limits;

static SHARED: SharedSettings = SharedSettings {
    of_mtu: Mutex::new(BTreeMap::new()),
};

/// Makes the settings of connections with full packets, so that the first connection finds them made.
pub(super) fn prepare() {
    if let Err(error) = SHARED.settings(limits::FULL_PACKET_BYTES) {
        log::debug!("DTLS is not prepared: {error}");
    }
}

/// Returns the cryptography for connections: str0m's own but for DTLS.
pub(super) fn crypto_provider() -> CryptoProvider {
    CryptoProvider {
        dtls_provider: &SHARED,
        ..from_feature_flags()
    }
}

/// Makes DTLS connections that share their settings.
#[derive(Debug)]
struct SharedSettings {
    /// Settings by the largest datagram. There are as many as there are kinds of [`super::Packets`].
    of_mtu: Mutex<BTreeMap<usize, Arc<Config>>>,
}

impl SharedSettings {
    fn settings(&self, mtu: usize) -> Result<Arc<Config>, DtlsImplError> {
        // A panic cannot leave half of something in the map, since settings are put in when they are complete.
        let mut of_mtu = self.of_mtu.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(settings) = of_mtu.get(&mtu) {
            return Ok(Arc::clone(settings));
        }
        // ICE has seen that the peer is where it says, so the server needs no cookie to find out.
        let settings = Config::builder()
            .use_server_cookie(false)
            .mtu(mtu)
            .build()?;
        let settings = Arc::new(settings);
        of_mtu.insert(mtu, Arc::clone(&settings));
        Ok(settings)
    }
}

impl DtlsProvider for SharedSettings {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let settings = self.settings(mtu.unwrap_or(limits::FULL_PACKET_BYTES))?;
        match version {
            DtlsVersion::Dtls12 => {
                let connection = Dtls::new_12(settings, certificate.clone(), now);
                Ok(Box::new(Connection(connection)))
            }
            other => Err(CryptoError::Other(format!("DTLS {other} is not offered"))),
        }
    }
}

/// A DTLS connection as str0m wants to have it.
#[derive(Debug)]
struct Connection(Dtls);

impl DtlsInstance for Connection {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.0.poll_output(buffer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_with_packets_of_one_size_share_their_settings() {
        let shared = SharedSettings {
            of_mtu: Mutex::default(),
        };
        let first = shared.settings(limits::FULL_PACKET_BYTES).unwrap();
        let second = shared.settings(limits::FULL_PACKET_BYTES).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let small = shared.settings(limits::SMALL_PACKET_BYTES).unwrap();
        assert_eq!(small.mtu(), limits::SMALL_PACKET_BYTES);
    }
}
