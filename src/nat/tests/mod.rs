//! [`Reach`](super::reach::Reach) in simulated time, before scripted servers.

mod reflexive;
mod relays;
mod turn_server;
mod world;
