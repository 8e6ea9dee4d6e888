//! Sockets, threads, signals and files around the sans-IO core.
//!
//! One event loop thread owns all connection state. The IPC and signaling threads block on their
//! own sockets and exchange messages with it through bounded channels and one [`wake::LoopWaker`].

use std::process::ExitCode;

use crate::config::Config;

pub mod ipc;
pub mod logging;
#[cfg(feature = "registry")]
pub mod registry;
pub mod signaling;
pub mod wake;

/// (placeholder)
pub fn run(config: Config) -> ExitCode {
    todo!("{config:?}")
}
