//! The directory of who is online, and where. Of registries that share their state each knows the peers of all.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::limits::PEER_LIST_BYTES;
use super::reports::Reported;
use super::store::table::{Row, Table, Texts};
use super::unix_time::UnixTime;
use crate::protocol::PeerId;

/// The id of one connection to the registry; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ConnectionId(pub(super) usize);

/// Where a peer's WebSocket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It is this connection of ours.
    Here(ConnectionId),
    /// It is at the registry of this name.
    At(String),
}

/// The answer to a peer that has registered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registered {
    /// The frame to send back.
    pub(super) peer_list: String,
    /// An older connection of the same peer to this registry, which is to be closed.
    pub(super) replaced: Option<ConnectionId>,
}

/// The peers that have registered.
#[derive(Default)]
pub(super) struct Directory {
    /// The name of this registry among those that share their state.
    own_name: String,
    online: Table<Online>,
    /// Whether it was said that a list is cut.
    cut_is_told: bool,
}

/// A peer that has registered.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Online {
    peer: PeerId,
    /// The registry that has its connection.
    registry: String,
    connection: ConnectionId,
    /// The connections that it reports, if it reports them.
    report: Option<Vec<Reported>>,
}

impl Row for Online {
    fn key(&self) -> &str {
        self.peer.as_str()
    }

    fn time(&self) -> UnixTime {
        UnixTime::default()
    }
}

impl Directory {
    /// Makes a directory without peers, for a registry of this name.
    pub(super) fn new(own_name: String) -> Self {
        Directory {
            own_name,
            ..Directory::default()
        }
    }

    /// Returns how many peers are online.
    pub(super) fn len(&self) -> usize {
        self.online.len()
    }

    /// Returns the peers as they are kept elsewhere.
    pub(super) fn table(&mut self) -> &mut dyn Texts {
        &mut self.online
    }

    fn place_of(&self, online: &Online) -> Place {
        match online.registry == self.own_name {
            true => Place::Here(online.connection),
            false => Place::At(online.registry.clone()),
        }
    }

    /// Returns where a peer is; `None` when it is not online.
    pub(super) fn place(&self, peer: &PeerId) -> Option<Place> {
        let online = self.online.get(peer.as_str())?;
        Some(self.place_of(online))
    }

    /// Returns the peers whose connections are ours.
    pub(super) fn here(&self) -> Vec<(PeerId, ConnectionId)> {
        let here = self.online.iter();
        let here = here.filter(|online| online.registry == self.own_name);
        here.map(|online| (online.peer.clone(), online.connection))
            .collect()
    }

    /// Returns the names of the other registries that have peers.
    pub(super) fn other_registries(&self) -> Vec<String> {
        let names = self.online.iter().map(|online| &online.registry);
        let others: BTreeSet<&String> = names.filter(|name| **name != self.own_name).collect();
        others.into_iter().cloned().collect()
    }

    /// Notes that the peers of a registry are online no longer, since it is gone.
    pub(super) fn registry_is_gone(&mut self, name: &str) {
        self.online.remove_all(|online| online.registry == name);
    }

    /// Notes that `connection` has ended. A newer one of the same peer stays online.
    pub(super) fn closed(&mut self, connection: ConnectionId, peer: &PeerId) {
        if self.place(peer) == Some(Place::Here(connection)) {
            self.online.remove(peer.as_str());
        }
    }

    /// Returns the peers that are online, in the order in which they came.
    pub(super) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.online.iter().map(|online| &online.peer)
    }

    /// Returns the peers that report their connections, and what they report.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&PeerId, &[Reported])> {
        let online = self.online.iter();
        online.filter_map(|online| Some((&online.peer, online.report.as_deref()?)))
    }

    /// Returns the connections that a peer reports; `None` when it reports none, or is not online.
    pub(super) fn report_of(&self, peer: &PeerId) -> Option<&[Reported]> {
        self.online.get(peer.as_str())?.report.as_deref()
    }

    /// Notes the peers that one reports to be connected to.
    pub(super) fn report(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        report: Vec<Reported>,
    ) {
        if self.place(peer) == Some(Place::Here(connection)) {
            self.online
                .update(peer.as_str(), |online| online.report = Some(report));
        }
    }

    /// Notes that a peer is online by this connection, in place of any other.
    pub(super) fn register(&mut self, connection: ConnectionId, peer: &PeerId) -> Registered {
        let before = self.place(peer);
        if before != Some(Place::Here(connection)) {
            self.enter(connection, peer);
        }
        let (peer_list, left_out) = self.peer_list(peer);
        if self.leaves_out(left_out) {
            log::warn!(
                "{} peers are online, more than fit into a list of {PEER_LIST_BYTES} bytes: {left_out} are left \
                 out of the one for {peer}",
                self.len()
            );
        }
        let replaced = match before {
            Some(Place::Here(before)) if before != connection => Some(before),
            _ => None,
        };
        Registered {
            peer_list,
            replaced,
        }
    }

    /// Enters a peer, or replaces it.
    pub(super) fn enter(&mut self, connection: ConnectionId, peer: &PeerId) {
        self.online.put(Online {
            peer: peer.clone(),
            registry: self.own_name.clone(),
            connection,
            report: None,
        });
    }

    /// Notes that a list leaves out `count` names. Returns whether it is the first that leaves out any.
    fn leaves_out(&mut self, count: usize) -> bool {
        count > 0 && !std::mem::replace(&mut self.cut_is_told, true)
    }

    /// Returns the other peers that are online as a frame of at most [`PEER_LIST_BYTES`], and how many are
    /// left out of it.
    fn peer_list(&self, asker: &PeerId) -> (String, usize) {
        const END: &str = "]}}";
        let mut frame =
            String::from(r#"{"type":"peer_list","peer_id":"registry","payload":{"peers":["#);
        let mut separator = "";
        let mut left_out = 0;
        for peer in self.online.iter().map(|online| &online.peer) {
            if peer == asker {
                continue;
            }
            let name = serde_json::json!(peer).to_string();
            let length = frame.len() + separator.len() + name.len() + END.len();
            if left_out > 0 || length > PEER_LIST_BYTES {
                left_out += 1;
                continue;
            }
            frame.push_str(separator);
            frame.push_str(&name);
            separator = ",";
        }
        frame.push_str(END);
        (frame, left_out)
    }
}

#[cfg(test)]
mod tests;
