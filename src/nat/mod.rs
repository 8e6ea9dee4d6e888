//! NAT traversal: finds the addresses that become candidates, keeps their mappings alive, and sends and
//! receives over TURN relays. Sans-IO: sockets, looked-up names and time come in from outside.
//!
//! * [`reach`]: the whole, as the runtime sees it.
//! * [`turn`]: relays on TURN servers. It is built on
//! * [`stun`]: STUN messages, and what STUN servers see of our sockets. Both are built on
//! * [`url`], [`credentials`], [`server`], [`candidate`], [`failure`], [`output`], [`reachable`]: the types that
//!   all of them use, and kinds of addresses.
//! * [`host`], [`interface_kind`]: the addresses of this machine, and its interfaces.
//! * [`external`]: `EXTERNAL_ADDRESS`. [`local_names`]: names under `.local` in peers' candidates.

pub mod candidate;
pub mod credentials;
pub mod external;
pub mod failure;
pub mod host;
pub mod interface_kind;
pub mod local_names;
pub mod output;
pub mod reach;
pub mod reachable;
pub mod server;
pub mod stun;
pub mod turn;
pub mod url;

#[cfg(test)]
mod tests;
