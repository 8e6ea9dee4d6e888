//! Tests of [`Reach`](super::reach::Reach) in simulated time, against scripted servers.

mod logins;
mod reflexive;
mod relays;
mod survey;
mod trial;
mod turn_server;
mod world;
