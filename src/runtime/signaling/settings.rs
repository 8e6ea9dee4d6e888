//! Settings of the connection to the registry: its URLs, our credential, and the deadlines.

use std::time::Duration;

use super::current_tls::CurrentTls;
use super::failure::Failure;
use super::keepalive::KeepaliveTimes;
use super::look_up::Names;
use super::wakeups::LocalAddresses;
use crate::config::Credential;
use crate::config::proxy::{Proxies, Proxy};
use crate::config::url::Url;
use crate::limits;
use crate::runtime::interfaces;

/// Waits and deadlines. The defaults are for real use; tests make them short.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The longest time from the resolved name to a TCP connection, whatever the number of addresses.
    pub connect: Duration,
    /// The longest time from the resolved name to the token, and to the open WebSocket, beside the round trips
    /// that it takes.
    pub handshake: Duration,
    /// How many round trips count as such: of TLS, HTTP, and one that is repeated.
    pub round_trips: u32,
    /// The keepalive of the WebSocket.
    pub keepalive: KeepaliveTimes,
    /// The first and the longest wait from a failure to the next try.
    pub backoff: (Duration, Duration),
    /// The same after the registry has refused our credential.
    pub refused_backoff: (Duration, Duration),
    /// A connection that lasted this long resets the backoff.
    pub settled: Duration,
    /// The longest wait for the registry's answer to our goodbye.
    pub close: Duration,
}

impl Times {
    /// Returns how long the token, or the open WebSocket, may take over a path of this round trip.
    pub(super) fn patience(&self, round_trip: Duration) -> Duration {
        self.handshake + self.round_trips * round_trip
    }
}

impl Default for Times {
    fn default() -> Self {
        Times {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            round_trips: 5,
            keepalive: KeepaliveTimes {
                ping: Duration::from_secs(15),
                heartbeat: Duration::from_secs(30),
                dead: Duration::from_secs(40),
                answer: Duration::from_secs(2),
            },
            backoff: limits::REGISTRY_BACKOFF,
            refused_backoff: limits::REGISTRY_REFUSED_BACKOFF,
            settled: Duration::from_secs(5),
            close: Duration::from_millis(500),
        }
    }
}

/// The URLs of the registry, our credential, the TLS configuration and the deadlines.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) signaling_url: Url,
    pub(super) token_url: Url,
    pub(super) credential: Credential,
    pub(super) tls: CurrentTls,
    pub(super) times: Times,
    pub(super) names: Names,
    pub(super) proxies: Proxies,
    pub(super) local_addresses: LocalAddresses,
}

impl Settings {
    /// Creates settings with the default times.
    pub fn new(
        signaling_url: Url,
        token_url: Url,
        credential: Credential,
        tls: impl Into<CurrentTls>,
    ) -> Self {
        Settings {
            signaling_url,
            token_url,
            credential,
            tls: tls.into(),
            times: Times::default(),
            names: Names::new(),
            proxies: Proxies::default(),
            local_addresses: interfaces::bare_addresses,
        }
    }

    /// Returns the same settings with other times.
    pub fn with_times(self, times: Times) -> Self {
        Settings { times, ..self }
    }

    /// Returns the same settings with these proxies.
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        Settings { proxies, ..self }
    }

    /// Returns the proxy that leads to the host of a URL; `None` if there is none.
    pub(super) fn proxy_to(&self, url: &Url) -> Result<Option<&Proxy>, Failure> {
        let proxy = self.proxies.to(url);
        proxy.map_err(|unsupported| unsupported.to_string().into())
    }

    /// Returns a URL as the log shows it, and the proxy that leads there.
    pub(super) fn shown(&self, url: &Url) -> String {
        match self.proxies.to(url) {
            Ok(Some(proxy)) => format!("{url} through the HTTP proxy {proxy}"),
            Ok(None) | Err(_) => url.to_string(),
        }
    }

    /// Returns the same settings with another list of this machine's addresses.
    pub fn with_local_addresses(self, local_addresses: LocalAddresses) -> Self {
        Settings {
            local_addresses,
            ..self
        }
    }
}
