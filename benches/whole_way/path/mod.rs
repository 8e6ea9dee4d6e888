//! A way to the registry that may hold small frames, and a path that is long or loses datagrams, between sidecars on
//! this machine: the registry tells each the ports of a relay in place of the other's. It needs no root.

mod introducer;
mod relay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use introducer::Introducer;
pub(crate) use introducer::SmallFrames;
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
    relay: Option<Arc<Relay>>,
    introducer: Introducer,
}

impl Path {
    /// Makes a path between sidecars that this registry knows. Without weather they reach each other directly.
    pub(crate) fn new(
        registry: SocketAddr,
        weather: Option<Weather>,
        small_frames: SmallFrames,
    ) -> Outcome<Self> {
        let relay = weather.map(|weather| Arc::new(Relay::new(weather)));
        let introducer = Introducer::new(registry, relay.clone(), small_frames)
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
        if let Some(relay) = &self.relay {
            relay.stop();
        }
    }
}
