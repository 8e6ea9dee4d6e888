//! A path that is long or loses datagrams, between two sidecars on this machine: they are introduced by a registry
//! that tells each the addresses of a relay in place of the other's. It needs no root.

mod introducer;
mod relay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use introducer::Introducer;
use relay::Relay;

/// The weather on a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// From one end to the other and back.
    pub(crate) round_trip: Duration,
    /// The share of datagrams that are lost, 0 to 1.
    pub(crate) loss: f64,
}

/// A path. It is gone when dropped.
pub(crate) struct Path {
    relay: Arc<Relay>,
    introducer: Introducer,
}

impl Path {
    /// Makes a path between sidecars that this registry knows.
    pub(crate) fn new(registry: SocketAddr, weather: Weather) -> Outcome<Self> {
        let relay = Arc::new(Relay::new(weather));
        let introducer = Introducer::new(registry, relay.clone())
            .map_err(|error| format!("no way to the registry: {error}"))?;
        Ok(Path { relay, introducer })
    }

    /// The address at which the sidecars reach the registry.
    pub(crate) fn registry(&self) -> SocketAddr {
        self.introducer.address()
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.introducer.stop();
        self.relay.stop();
    }
}
