//! Tests of the real binary from outside, as its agent, its registry, its peers and its operating system
//! meet it: real processes, their real Unix sockets, real UDP on the loopback interface.

#![cfg(feature = "registry")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    clippy::print_stdout
)]

#[macro_use]
mod on_each_transport;
mod support;

#[path = "../support/middle.rs"]
mod middle;
#[path = "../registry/support.rs"]
#[allow(dead_code)]
mod registry;
#[path = "../registry/process.rs"]
#[allow(dead_code)]
mod registry_process;
#[path = "../support/scripted_proxy.rs"]
mod scripted_proxy;
#[path = "../support/scripted_registry/mod.rs"]
mod scripted_registry;

mod answers;
mod bad_lines;
mod comebacks;
mod configuration;
mod content;
mod doctor;
mod doctor_trust;
mod ending;
mod greeting;
mod health;
mod introductions;
mod known_peers;
mod lines;
mod mesh;
mod metrics;
mod namesakes;
mod network;
mod one_agent;
mod orphans;
mod other_users;
mod outages;
mod overflow;
mod pressure;
mod reach;
mod registry_faults;
mod relay;
mod restarts;
mod room;
mod service_manager;
mod settings_files;
mod signals;
mod sleep;
mod socket;
mod stdio;
mod surroundings;
mod top;
mod topology;
mod trust;
