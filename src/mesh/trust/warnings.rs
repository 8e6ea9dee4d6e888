//! Of whom it was warned that he is not trusted: once an hour each is enough.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::limits;
use crate::protocol::PeerId;

/// Whether a warning is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is.
    Yes,
    /// It is, and it is the last: there is no room to remember further peers.
    Last,
    /// It is not.
    No,
}

/// The peers that were warned of within the hour.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    last: BTreeMap<PeerId, Instant>,
}

impl Warnings {
    /// Returns whether to warn of the peer now, and remembers that.
    pub(crate) fn take(&mut self, now: Instant, peer: &PeerId) -> Due {
        self.last
            .retain(|_, at| now < *at + limits::DISTRUST_WARNING_INTERVAL);
        if self.last.contains_key(peer) || self.last.len() >= limits::DISTRUST_WARNINGS {
            return Due::No;
        }
        self.last.insert(peer.clone(), now);
        match self.last.len() >= limits::DISTRUST_WARNINGS {
            true => Due::Last,
            false => Due::Yes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_is_warned_of_once_an_hour_and_of_many_only_some() {
        let mut warnings = Warnings::default();
        let start = Instant::now();
        let peer = |number: usize| PeerId::new(&format!("p{number}")).unwrap();
        assert_eq!(warnings.take(start, &peer(0)), Due::Yes);
        assert_eq!(warnings.take(start, &peer(0)), Due::No);
        let count = 1
            + (1..10_000)
                .filter(|number| warnings.take(start, &peer(*number)) != Due::No)
                .count();
        assert_eq!(count, limits::DISTRUST_WARNINGS);
        let later = start + limits::DISTRUST_WARNING_INTERVAL;
        assert_eq!(warnings.take(later, &peer(0)), Due::Yes);
        assert_eq!(warnings.last.len(), 1);
    }
}
