//! The STUN and TURN server (RFC 8489, RFC 8656), without I/O: decides what each message is answered, what is
//! relayed, and when an allocation ends.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

use turn_client_proto::stun::types::message::{Message, MessageClass};

use super::accounts::Accounts;
use super::allocation::Allocation;
use super::client::Client;
use super::logins::Logins;
use super::messages;
use super::nonces::Nonces;
use super::peers::{Peers, Reach};
use super::reaction::{AllocationId, Now, Reaction};
use super::strangers::Strangers;
use crate::config::networks::Networks;
use crate::protocol::PeerId;
use crate::registry::limits;
use crate::registry::rates::Counted;
use crate::registry::unix_time::UnixTime;
use crate::secret::Secret;

/// The families of addresses that can be lent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Families {
    pub(super) ipv4: bool,
    pub(super) ipv6: bool,
}

/// The rules of a server.
#[derive(Debug)]
pub(super) struct Rules {
    /// The secret of its logins.
    pub(super) secret: Secret,
    /// The key of its nonces.
    pub(super) nonce_key: [u8; 32],
    pub(super) families: Families,
    /// Peers that are relayed to although they are private, or at our own addresses.
    pub(super) opened: Networks,
    /// What passes for each peer, both ways together.
    pub(super) bytes_per_second: u64,
}

/// A STUN and TURN server.
pub(super) struct Turn {
    pub(super) logins: Logins,
    pub(super) nonces: Nonces,
    pub(super) families: Families,
    pub(super) peers: Peers,
    pub(super) accounts: Accounts,
    strangers: Strangers,
    pub(super) allocations: HashMap<AllocationId, Allocation>,
    pub(super) by_client: HashMap<Client, AllocationId>,
    by_relayed: HashMap<SocketAddr, AllocationId>,
    next_id: usize,
    /// Allocations that have ended; their sockets are to be closed.
    ended: Vec<AllocationId>,
    /// No allocation ends by itself before this.
    next_end: Option<Instant>,
    /// Transaction ids of indications. Nobody answers them, so they need not be random.
    indications: u128,
}

impl Turn {
    pub(super) fn new(rules: Rules, now: Instant) -> Self {
        Turn {
            logins: Logins::new(rules.secret),
            nonces: Nonces::new(rules.nonce_key),
            families: rules.families,
            peers: Peers::new(rules.opened),
            accounts: Accounts::new(rules.bytes_per_second),
            strangers: Strangers::new(now),
            allocations: HashMap::new(),
            by_client: HashMap::new(),
            by_relayed: HashMap::new(),
            next_id: 0,
            ended: Vec::new(),
            next_end: None,
            indications: 0,
        }
    }

    /// Sets the addresses at which this machine is reached.
    pub(super) fn set_own_addresses(&mut self, own: Vec<IpAddr>) {
        self.peers.set_own(own);
    }

    /// Takes a message of a client.
    pub(super) fn client_message(&mut self, now: Now, client: Client, bytes: &[u8]) -> Reaction {
        if let Some((channel, data)) = messages::channel_data(bytes).filter(|_| is_channel(bytes)) {
            return self
                .channel_data(now.at, client, channel, bytes, data)
                .unwrap_or(Reaction::Nothing);
        }
        let is_known = self.by_client.contains_key(&client);
        let counted = Counted::address(client.address.ip());
        if !is_known && !self.strangers.allow(now.at, counted) {
            return Reaction::Nothing;
        }
        let Ok(message) = Message::from_bytes(bytes) else {
            return Reaction::Nothing;
        };
        match message.class() {
            MessageClass::Request => self.request(now, client, &message),
            MessageClass::Indication => self
                .send_indication(now.at, client, &message, bytes)
                .unwrap_or(Reaction::Nothing),
            MessageClass::Success | MessageClass::Error => Reaction::Nothing,
        }
    }

    /// Takes a datagram that has come to a relayed address. Returns what is to be sent to which client.
    pub(super) fn peer_datagram(
        &mut self,
        now: Instant,
        id: AllocationId,
        peer: SocketAddr,
        data: &[u8],
    ) -> Option<(Client, Vec<u8>)> {
        let allocation = self.allocations.get(&id)?;
        let may_come = allocation.until > now
            && allocation.permits(peer.ip(), now)
            && self.accounts.pass(&allocation.peer, data.len(), now);
        if !may_come {
            return None;
        }
        let message = match allocation.channel_of(peer, now) {
            Some(channel) => messages::to_channel(channel, data)?,
            None => {
                self.indications += 1;
                messages::data_indication(peer, data, self.indications)?
            }
        };
        Some((allocation.client, message))
    }

    /// Returns whether a client has an allocation.
    pub(super) fn has_allocation(&self, client: Client) -> bool {
        self.by_client.contains_key(&client)
    }

    /// Ends the allocation of a client that is gone.
    pub(super) fn client_gone(&mut self, client: Client) {
        if let Some(id) = self.by_client.get(&client) {
            self.end(*id);
        }
    }

    /// Judges logins by another secret.
    pub(super) fn set_secret(&mut self, secret: Secret) {
        self.logins.set_secret(secret);
    }

    /// Takes no login of a peer any more that it had got by then, and ends its allocations.
    pub(super) fn bar(&mut self, at: UnixTime, peer: &PeerId) {
        self.logins.bar(peer.clone(), at);
        self.end_where(|allocation| allocation.peer == *peer);
    }

    /// Returns when [`Turn::handle_timeout`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next_end
    }

    /// Ends the allocations whose time is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.next_end.is_none_or(|next| now < next) {
            return;
        }
        self.end_where(|allocation| allocation.until <= now);
        self.next_end = self
            .allocations
            .values()
            .map(|allocation| allocation.until)
            .min();
    }

    /// Returns the allocations that have ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<AllocationId> {
        std::mem::take(&mut self.ended)
    }

    fn end_where(&mut self, is_over: impl Fn(&Allocation) -> bool) {
        let over = self
            .allocations
            .iter()
            .filter(|(_, allocation)| is_over(allocation));
        let over: Vec<AllocationId> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.end(id);
        }
    }

    /// Returns whether a relayed address is lent.
    pub(super) fn is_lent(&self, relayed: SocketAddr) -> bool {
        self.by_relayed.contains_key(&relayed)
    }

    /// Adds an allocation.
    pub(super) fn begin(&mut self, allocation: Allocation, now: Instant) -> AllocationId {
        let id = AllocationId(self.next_id);
        self.next_id += 1;
        log::debug!("{} has {}", allocation.peer, allocation.relayed);
        self.accounts.opened(&allocation.peer, now);
        self.by_client.insert(allocation.client, id);
        self.by_relayed.insert(allocation.relayed, id);
        self.note_end(allocation.until);
        self.allocations.insert(id, allocation);
        id
    }

    /// Makes sure that an allocation that ends then is looked at.
    pub(super) fn note_end(&mut self, until: Instant) {
        self.next_end = self.next_end.into_iter().chain([until]).min();
    }

    /// Ends an allocation.
    pub(super) fn end(&mut self, id: AllocationId) {
        let Some(allocation) = self.allocations.remove(&id) else {
            return;
        };
        log::debug!("{} no longer has {}", allocation.peer, allocation.relayed);
        self.by_client.remove(&allocation.client);
        self.by_relayed.remove(&allocation.relayed);
        self.accounts.closed(&allocation.peer);
        self.ended.push(id);
    }

    fn channel_data(
        &mut self,
        now: Instant,
        client: Client,
        channel: u16,
        bytes: &[u8],
        data: Range<usize>,
    ) -> Option<Reaction> {
        let id = *self.by_client.get(&client)?;
        let peer = self.allocations.get(&id)?.peer_of(channel, now)?;
        self.pass_on(now, id, peer, bytes, data)
    }

    fn send_indication(
        &mut self,
        now: Instant,
        client: Client,
        message: &Message<'_>,
        bytes: &[u8],
    ) -> Option<Reaction> {
        let (peer, data) = messages::send_indication(message)?;
        let id = *self.by_client.get(&client)?;
        self.pass_on(now, id, peer, bytes, data)
    }

    /// Passes data of a client on, if the peer and the client's account permit it.
    fn pass_on(
        &mut self,
        now: Instant,
        id: AllocationId,
        peer: SocketAddr,
        bytes: &[u8],
        data: Range<usize>,
    ) -> Option<Reaction> {
        let allocation = self.allocations.get(&id)?;
        let may_go = allocation.until > now
            && allocation.permits(peer.ip(), now)
            && data.len() <= limits::RELAY_DATAGRAM_BYTES
            && self.accounts.pass(&allocation.peer, data.len(), now);
        if !may_go {
            return None;
        }
        let relayed = allocation.relayed;
        // Handed over here, it needs no router that sends back what is sent to the outside.
        if let Some(other) = self.by_relayed.get(&peer) {
            let (client, message) = self.peer_datagram(now, *other, relayed, bytes.get(data)?)?;
            return Some(Reaction::Deliver(client, message));
        }
        let may_leave = self.peers.reach(peer.ip()) == Reach::All && peer.port() != 0;
        may_leave.then_some(Reaction::Forward(id, peer, data))
    }
}

/// Returns whether bytes begin as channel data does, and no STUN message.
fn is_channel(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first >= 0x40)
}
