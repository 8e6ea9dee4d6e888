//! Tests of the registry over real sockets on the loopback interface.

#![cfg(feature = "registry")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

mod field;
mod hostile_clients;
mod http;
mod introductions;
mod owner;
mod pairing;
mod process;
mod proxies;
mod relay;
mod shares;
mod subcommand;
mod support;
mod tasks;
mod tickets;
mod tls;
#[path = "../support/tools.rs"]
#[allow(dead_code)] // Not all of it is needed here.
mod tools;
