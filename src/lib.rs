//! Direct, encrypted messages between agents, over WebRTC data channels.
//!
//! Dependencies point one way: `main -> runtime -> config -> mesh -> nat -> protocol`.
//!
//! * [`protocol`]: bytes to types and back, without state or I/O.
//! * [`mesh`]: the sans-IO core: peers, sessions, connections, negotiation.
//! * [`nat`]: sans-IO: which addresses become candidates.
//! * [`runtime`]: sockets, threads, signals and files around the core.
//! * [`registry`]: the registry.
//! * [`pair`]: redeems an invitation for a device token.
//! * [`demo`]: runs registry, sidecars and agents on one machine and shows every line.
//! * [`doctor`]: checks what can be reached with the settings given.
//! * [`top`]: shows the numbers of a running sidecar.
//! * [`attach`]: a person at the terminal in the agent's place.
//! * [`identity`]: tells by what certificate peers know us.
//! * [`mcp`]: the MCP server, sans-IO; `runtime::mcp` runs it.
//! * [`config`], [`cli`]: flags over environment over defaults.
//! * [`limits`], [`log_limit`], [`backoff`]: bounds on what outsiders can make us hold, log and do.
//! * [`output`]: what is printed for the caller; `deceptive`: what of others' text is not shown as it is.
//! * [`secret`], [`private_file`]: what is never shown, and what only its owner can read.

pub mod attach;
pub mod backoff;
mod calendar;
pub mod cli;
pub mod config;
mod deceptive;
#[cfg(feature = "registry")]
pub mod demo;
pub mod doctor;
mod http1;
mod http_date;
pub mod identity;
pub mod join;
pub mod limits;
pub mod log_limit;
pub mod mcp;
pub mod mesh;
pub mod nat;
pub mod output;
pub mod pair;
pub mod private_file;
pub mod protocol;
#[cfg(feature = "registry")]
pub mod registry;
pub mod runtime;
pub mod secret;
pub mod top;
mod udp_socket;
