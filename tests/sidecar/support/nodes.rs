//! Sidecars and agents around a registry of ours, for the tests.

use std::net::SocketAddr;

use crate::registry::RunningRegistry;

use super::{Agent, Place, Setup, Sidecar, Transport};

/// A registry and a place for the sockets of the sidecars that know it.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) registry: RunningRegistry,
    transport: Transport,
}

/// A sidecar with its agent.
pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) sidecar: Sidecar,
}

impl Site {
    pub(crate) fn new() -> Self {
        Site::over(Transport::Socket)
    }

    /// A site whose agents talk to their sidecars over this.
    pub(crate) fn over(transport: Transport) -> Self {
        Site {
            place: Place::new(),
            registry: RunningRegistry::open(),
            transport,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.registry.address
    }

    /// A sidecar of this name, to be changed before it is started.
    pub(crate) fn setup(&self, name: &str) -> Setup {
        self.setup_at(name, name)
    }

    /// A sidecar of this name on this socket, to be changed before it is started.
    pub(crate) fn setup_at(&self, name: &str, socket: &str) -> Setup {
        Setup::new(name, self.place.join(socket))
            .registry(self.address())
            .over(self.transport)
    }

    /// A sidecar with an agent.
    pub(crate) fn node(&self, name: &str) -> Node {
        Node::start(self.setup(name))
    }

    /// Sidecars with agents, connected with each other.
    pub(crate) fn meet<const N: usize>(&self, names: [&str; N]) -> [Node; N] {
        Node::meet(names.map(|name| self.setup(name)))
    }
}

impl Node {
    /// Starts it, and waits until it has reached the registry.
    pub(crate) fn start(setup: Setup) -> Self {
        let sidecar = setup.start();
        let mut agent = sidecar.connect();
        if agent.next().payload()["registry"] != "connected" {
            agent.until_registry("connected");
        }
        Node { agent, sidecar }
    }

    /// Starts all, and waits until each is connected with each.
    pub(crate) fn meet<const N: usize>(setups: [Setup; N]) -> [Node; N] {
        let sidecars = setups.map(Setup::start);
        let mut nodes = sidecars.map(|sidecar| Node {
            agent: sidecar.agent(),
            sidecar,
        });
        let names = nodes.each_ref().map(|node| node.sidecar.name.clone());
        for node in &mut nodes {
            node.await_peers(&names);
        }
        nodes
    }

    /// Waits for `peer_connected` from each of these but itself, whatever the order.
    pub(crate) fn await_peers<S: AsRef<str>>(&mut self, names: &[S]) {
        let mut missing: Vec<_> = names.iter().map(AsRef::as_ref).collect();
        missing.retain(|name| *name != self.sidecar.name);
        while !missing.is_empty() {
            let event = self.agent.until(|event| event.kind() == "peer_connected");
            missing.retain(|name| !event.is("peer_connected", name));
        }
    }
}
