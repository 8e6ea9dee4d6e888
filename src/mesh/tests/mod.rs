//! The core in simulated time: meshes, agents, a registry and a network, stepped deterministically.

mod agent;
mod checks;
mod connecting;
mod fake_link;
mod fake_path;
mod fake_stream;
mod foreign;
mod ledger;
mod network;
mod registry;
mod trace;
mod walk;
mod world;
