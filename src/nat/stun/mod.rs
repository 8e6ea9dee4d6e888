//! STUN: its messages, one request until it is answered, what STUN servers see of our sockets, and what that says
//! of the network.

mod binding;
pub(crate) mod message;
pub(crate) mod reflexive;
pub mod survey;
mod transaction;
