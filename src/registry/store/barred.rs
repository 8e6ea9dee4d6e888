//! The peers that are no longer let in. What they were given before, such as a login to the relay, may be good
//! for long, at every registry that shares this state. Without I/O.

use serde::{Deserialize, Serialize};

use super::table::{Row, Table, Texts};
use crate::protocol::PeerId;
use crate::registry::limits::RELAY_LOGIN_LIFETIME;
use crate::registry::unix_time::UnixTime;

/// A peer, and when it was barred. What it is given later counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::registry) struct Barring {
    pub(in crate::registry) peer: PeerId,
    pub(in crate::registry) at: UnixTime,
}

impl Row for Barring {
    fn key(&self) -> &str {
        self.peer.as_str()
    }

    fn time(&self) -> UnixTime {
        self.at
    }
}

/// All barrings that still matter.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::registry) struct Barred {
    peers: Table<Barring>,
}

impl Barred {
    /// Notes that a peer is no longer let in.
    pub(super) fn bar(&mut self, now: UnixTime, peer: PeerId) {
        let is_old = |barring: &Barring| now.since(barring.at) >= RELAY_LOGIN_LIFETIME;
        self.peers.remove_all(is_old);
        self.peers.put(Barring { peer, at: now });
    }

    /// Returns them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Barring> {
        self.peers.iter()
    }

    /// Returns them as they are kept elsewhere.
    pub(super) fn table(&mut self) -> &mut dyn Texts {
        &mut self.peers
    }
}
