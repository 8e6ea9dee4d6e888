//! The network: its changes, UDP sockets, streams to TURN servers, the names of servers, and the servers that the
//! registry names.

pub(crate) mod bound;
pub(crate) mod changes;
pub(crate) mod reach;
pub(crate) mod registry_schedule;
pub(crate) mod registry_servers;
pub(crate) mod resolver;
mod runs;
pub(crate) mod server_names;
pub(crate) mod sockets;
pub(crate) mod streams;
pub(crate) mod told;
