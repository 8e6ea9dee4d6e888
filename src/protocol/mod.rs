//! The wire formats of the boundary contract: bytes to types and back.
//!
//! The module is pure: no state beyond a line buffer, no I/O, no clock, no logging. Each parser has a fuzz
//! target.

pub mod certificate;
pub mod connect;
pub mod control;
pub mod dns;
mod dns_wire;
pub mod ice_servers;
pub mod ipc;
pub mod lines;
pub mod message;
pub mod multicast_dns;
pub mod signaling;

mod json;
mod path_kind;
mod peer_id;
pub use path_kind::PathKind;
pub use peer_id::PeerId;
