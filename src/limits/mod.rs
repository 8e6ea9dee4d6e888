//! Limits on what an outsider can make the sidecar hold or do, in one place.
//!
//! Settings that a user may change (`MAX_PEERS`, `MAX_MESSAGE_BYTES`, `QUEUE_BYTES`, ...) have their
//! defaults and ranges in [`crate::config`]; the values here are fixed. Only these limits are elsewhere:
//!
//! * the development registry's, in `registry/limits.rs`, since it is another program;
//! * how long the registry is waited for, in [`Times`](crate::runtime::signaling::Times), which tests
//!   shorten;
//! * figures of a protocol or a library, beside the code that follows it: what counts as silence
//!   (`mesh/connection/liveness.rs`), when a transport's acknowledgement is a receipt
//!   (`mesh/connection/receipts.rs`), the room that str0m is given (`mesh/link/webrtc.rs`).

mod agent_link;
mod connection;
mod flow;
mod introduction;
mod mcp;
mod names;
mod network;
mod process;
mod registry_link;
mod servers;
mod text;

pub use agent_link::*;
pub use connection::*;
pub use flow::*;
pub use introduction::*;
pub use mcp::*;
pub use names::*;
pub use network::*;
pub use process::*;
pub use registry_link::*;
pub use servers::*;
pub use text::*;
