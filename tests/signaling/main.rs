//! Tests of the signaling thread against a registry that misbehaves by script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

mod client;
mod network_changes;
mod proxies;
#[path = "../support/scripted_proxy.rs"]
mod scripted_proxy;
#[path = "../support/scripted_registry/mod.rs"]
mod scripted_registry;
mod stopping;
mod tls;
mod token;
mod websocket;
