//! Which addresses become candidates, what keeps them alive, and relays. Sans-IO: takes what the
//! system has, gives what to use.
//!
//! * [`reach`], [`output`]: the whole, as the runtime sees it.
//! * [`host`], [`candidate`]: the addresses of this machine, and what a peer is told.
//! * [`url`], [`server`], [`credentials`]: what there is to be asked, and as whom.
//! * `reflexive`, `binding`: what STUN servers see of our sockets.
//! * `relays`, [`plan`], `complaints`: which TURN server is used, which one next, and what is told of those
//!   that are of no use.
//! * `lease`, `allocation`, `admission`, `pulse`: one address on one TURN server.
//! * [`local_names`]: names under `.local` in what peers tell.
//! * `stun`, `transaction`, `framing`, [`failure`]: messages, streams of them, and errors in words.
//! * [`survey`], [`trial`]: what `doctor` finds out: what the network does with UDP, and whether a TURN
//!   server relays.

mod admission;
mod allocation;
mod binding;
pub mod candidate;
mod complaints;
pub mod credentials;
pub mod failure;
mod framing;
pub mod host;
mod lease;
pub mod local_names;
pub mod output;
pub mod plan;
mod pulse;
pub mod reach;
mod reflexive;
mod relays;
pub mod server;
mod stun;
pub mod survey;
mod transaction;
pub mod trial;
pub mod url;

#[cfg(test)]
mod tests;
