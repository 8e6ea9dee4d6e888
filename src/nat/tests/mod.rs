//! Tests of [`Reach`](super::reach::Reach) in simulated time, against scripted servers.

mod better_ways;
mod changes;
mod logins;
mod references;
mod reflexive;
mod relay_check;
mod relays;
mod survey;
mod turn_server;
mod world;
