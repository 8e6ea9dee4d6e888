//! Which addresses become candidates. Sans-IO: takes what the system has, gives what to use.

pub mod candidate;
pub mod host;
pub mod local_names;
