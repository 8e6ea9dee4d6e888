//! The addresses from which a peer checks its pairs of addresses, and how many of them there may be.
//!
//! The ICE agent makes a candidate and pairs of each new one, keeps them, and walks through all with each input.

use std::net::SocketAddr;

use crate::limits;

/// The addresses from which checks were taken on one connection.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: Vec<SocketAddr>,
}

impl Sources {
    /// Returns whether a check from there may be taken.
    pub(super) fn admits(&self, source: SocketAddr) -> bool {
        self.known.len() < limits::CHECK_SOURCES_PER_CONNECTION || self.known.contains(&source)
    }

    /// Takes a check from there, which bears our password; returns `false` when it may not be taken.
    pub(super) fn take(&mut self, source: SocketAddr) -> bool {
        let is_admitted = self.admits(source);
        if is_admitted && !self.known.contains(&source) {
            self.known.push(source);
        }
        is_admitted
    }
}
