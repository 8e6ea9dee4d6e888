//! The core in simulated time: meshes, agents, a registry and a network, stepped deterministically.
//!
//! [`world`] steps everything from one event to the next, [`ledger`] holds what agents were told
//! against what arrived, [`checks`] what each core holds against its bounds. The scenarios follow by
//! topic; [`walk`] puts all of it together at random, [`schedule`] as the bytes of a fuzzer say.

// The fuzz targets need the simulation, and none of the scenarios.
#![cfg_attr(fuzzing, allow(dead_code, unused_imports))]

mod agent;
mod answering;
mod attacked;
mod attacker;
mod bursts;
mod candidates;
mod checks;
mod connecting;
mod ending;
mod fake_link;
mod fake_path;
mod fake_stream;
mod flow;
mod foreign;
mod greeting;
mod healing;
mod healing_walk;
mod hostile;
mod idling;
mod introducing;
mod ledger;
mod link_pair;
mod long_paths;
mod moving;
mod namesakes;
mod network;
mod nominating;
mod others;
mod overflow;
mod proposing;
mod real_stack;
mod registry;
mod replacing;
mod reporting;
mod room;
pub(crate) mod schedule;
mod slow_line;
mod slow_ways;
mod statistics;
mod swallowing;
mod trace;
mod unproven;
mod waiting_answerer;
mod walk;
mod wishing;
mod world;
