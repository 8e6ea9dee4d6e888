//! The configuration for new connections, which may be read again while the sidecar runs.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ClientConfig;

use super::tls::{Error, client_config};
use crate::config::trust::Trust;

/// The configuration for new connections. Clones share it, so that all learn of new certificates.
#[derive(Debug, Clone)]
pub struct CurrentTls(Arc<RwLock<Arc<ClientConfig>>>);

impl CurrentTls {
    /// Returns the configuration for a connection that is made now.
    pub fn get(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the certificates again. After an error what was read before stays.
    pub fn read_again(&self, trust: &Trust) -> Result<(), Error> {
        let config = client_config(trust)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

impl From<Arc<ClientConfig>> for CurrentTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        CurrentTls(Arc::new(RwLock::new(config)))
    }
}
