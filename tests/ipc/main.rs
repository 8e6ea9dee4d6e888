//! Tests of the agent's Unix socket, with real sockets on one side and channels instead of the event loop
//! on the other.

// The lints for what comes from outside; a test that fails here has failed.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm
)]

mod agent;
mod flow;
mod socket_file;
mod support;
