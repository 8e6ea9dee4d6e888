//! The two ends of a connection to the registry.

use std::net::{IpAddr, SocketAddr};

use crate::runtime::interfaces;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Our address.
    pub(super) local: IpAddr,
    /// The registry's address, or that of what leads to it.
    pub(super) remote: SocketAddr,
}

impl Way {
    /// Returns the address from which a new connection to the same place would be made, if that is another
    /// than ours: the routes lead elsewhere now.
    pub(super) fn rerouted(&self) -> Option<IpAddr> {
        let socket = interfaces::connected_to(self.remote).ok()?;
        // Of IPv6 addresses temporary ones come and go, and connections from the older ones go on (RFC 8981).
        let chosen = socket.local_addr().ok()?.ip();
        (chosen != self.local && chosen.is_ipv4()).then_some(chosen)
    }
}
