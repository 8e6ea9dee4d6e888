//! Where the registry is, who we are to it, and the deadlines of talking to it.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::keepalive::KeepaliveTimes;
use crate::config::Credential;
use crate::config::url::Url;
use crate::limits;

/// Waits and deadlines; the defaults are for the field, tests make them short.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Longest try of connecting to one address.
    pub connect: Duration,
    /// Longest token exchange; longest way from the resolved name to the open WebSocket.
    pub handshake: Duration,
    /// Signs of life on the WebSocket.
    pub keepalive: KeepaliveTimes,
    /// First and longest wait from a failure to the next try.
    pub backoff: (Duration, Duration),
    /// A connection that lasted so long starts the backoff over.
    pub settled: Duration,
    /// Longest wait for the registry's answer to our goodbye.
    pub close: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            keepalive: KeepaliveTimes {
                ping: Duration::from_secs(15),
                heartbeat: Duration::from_secs(30),
                dead: Duration::from_secs(40),
            },
            backoff: limits::REGISTRY_BACKOFF,
            settled: Duration::from_secs(5),
            close: Duration::from_millis(500),
        }
    }
}

/// How to reach the registry.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) signaling_url: Url,
    pub(super) token_url: Url,
    pub(super) credential: Credential,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) times: Times,
}

impl Settings {
    /// With the field's times.
    pub fn new(
        signaling_url: Url,
        token_url: Url,
        credential: Credential,
        tls: Arc<ClientConfig>,
    ) -> Self {
        Settings {
            signaling_url,
            token_url,
            credential,
            tls,
            times: Times::default(),
        }
    }

    /// The same with other times.
    pub fn with_times(self, times: Times) -> Self {
        Settings { times, ..self }
    }
}
