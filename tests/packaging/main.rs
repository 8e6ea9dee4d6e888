//! Tests of what is packed beside the program, in `packaging/` and for containers: that it is up to date,
//! and that the tools that it is made for accept it.
//!
//! If a tool is not installed, standard error says so and its tests are skipped, unless `REQUIRE_TOOLS` is
//! set.

#![cfg(feature = "registry")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod bash;
mod documents;
mod fish;
mod manual_page;
mod reference;
mod systemd;
#[path = "../support/tools.rs"]
#[allow(dead_code)]
mod tools;
mod zsh;
