//! Support for the tests of the binary: sidecars as real processes, and agents on their real sockets and pipes.

mod agent;
mod event;
mod nodes;
mod place;
mod process;
mod transport;

use std::time::Duration;

pub(crate) use agent::Agent;
pub(crate) use event::Event;
pub(crate) use nodes::{Node, Site};
pub(crate) use place::Place;
pub(crate) use process::{Setup, Sidecar};
pub(crate) use transport::{Transport, Writer, on_each_transport};

/// Longer than anything here takes, so that a test that waits in vain fails instead of hanging.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
