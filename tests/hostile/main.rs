//! Tests of the real binary over its real sockets, with strangers, peers and a registry that mean it harm. Each prints
//! what the harm cost: `cargo test --test hostile -- --nocapture`.

#![cfg(feature = "registry")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr
)]

#[path = "../sidecar/support/mod.rs"]
#[allow(dead_code)]
mod support;

#[path = "../registry/support.rs"]
#[allow(dead_code)]
mod registry;
#[path = "../support/scripted_registry/mod.rs"]
mod scripted_registry;

mod figures;
mod greetings;
mod peers;
mod raw_peer;
mod registries;
mod strangers;
