//! What is kept for an allocation: whose it is, which peers may send to it, and their channels.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::client::Client;
use crate::protocol::PeerId;
use crate::registry::limits::{CHANNEL_LIFETIME, CHANNELS, PERMISSION_LIFETIME, PERMISSIONS};

/// The numbers of channels (RFC 8656 section 12).
const CHANNEL_NUMBERS: RangeInclusive<u16> = 0x4000..=0x4fff;

/// The reason why something is not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are as many as there may be.
    Full,
    /// The number is none of a channel, or it or the peer belongs to another channel.
    Mismatch,
}

#[derive(Debug)]
struct Channel {
    peer: SocketAddr,
    until: Instant,
}

/// A relayed address that is lent to a client.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) client: Client,
    /// The login's name, which all requests have to bear.
    pub(super) username: String,
    pub(super) peer: PeerId,
    pub(super) relayed: SocketAddr,
    /// The transaction that asked for it.
    pub(super) transaction: u128,
    pub(super) until: Instant,
    /// By address, until when.
    permissions: HashMap<IpAddr, Instant>,
    channels: HashMap<u16, Channel>,
    numbers: HashMap<SocketAddr, u16>,
}

impl Allocation {
    pub(super) fn new(
        client: Client,
        (username, peer): (String, PeerId),
        relayed: SocketAddr,
        transaction: u128,
        until: Instant,
    ) -> Self {
        Allocation {
            client,
            username,
            peer,
            relayed,
            transaction,
            until,
            permissions: HashMap::new(),
            channels: HashMap::new(),
            numbers: HashMap::new(),
        }
    }

    /// Returns whether something may come from a peer, and go to it.
    pub(super) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions
            .get(&peer)
            .is_some_and(|until| *until > now)
    }

    /// Permits peers, all or none of them.
    pub(super) fn permit(&mut self, peers: &[IpAddr], now: Instant) -> Result<(), Refusal> {
        let is_new = |peer: &&IpAddr| !self.permissions.contains_key(*peer);
        if self.permissions.len() + peers.iter().filter(is_new).count() > PERMISSIONS {
            self.permissions.retain(|_, until| *until > now);
        }
        let is_new = |peer: &&IpAddr| !self.permissions.contains_key(*peer);
        if self.permissions.len() + peers.iter().filter(is_new).count() > PERMISSIONS {
            return Err(Refusal::Full);
        }
        let until = now + PERMISSION_LIFETIME;
        self.permissions
            .extend(peers.iter().map(|peer| (*peer, until)));
        Ok(())
    }

    /// Returns the peer of a channel.
    pub(super) fn peer_of(&self, channel: u16, now: Instant) -> Option<SocketAddr> {
        let channel = self.channels.get(&channel)?;
        (channel.until > now).then_some(channel.peer)
    }

    /// Returns a peer's channel.
    pub(super) fn channel_of(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let number = *self.numbers.get(&peer)?;
        self.peer_of(number, now).map(|_| number)
    }

    /// Binds a channel to a peer, or keeps it bound, and permits the peer.
    pub(super) fn bind(
        &mut self,
        channel: u16,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        if !CHANNEL_NUMBERS.contains(&channel) {
            return Err(Refusal::Mismatch);
        }
        self.forget_channels(now);
        let bound = (self.channels.get(&channel), self.numbers.get(&peer));
        match bound {
            (None, None) if self.channels.len() >= CHANNELS => return Err(Refusal::Full),
            (None, None) => {}
            (Some(known), _) if known.peer == peer => {}
            _ => return Err(Refusal::Mismatch),
        }
        self.permit(&[peer.ip()], now)?;
        let until = now + CHANNEL_LIFETIME;
        self.channels.insert(channel, Channel { peer, until });
        self.numbers.insert(peer, channel);
        Ok(())
    }

    fn forget_channels(&mut self, now: Instant) {
        self.channels.retain(|_, channel| channel.until > now);
        let channels = &self.channels;
        self.numbers
            .retain(|_, number| channels.contains_key(number));
    }

    /// Keeps the allocation for so long from now on.
    pub(super) fn keep(&mut self, lifetime: Duration, now: Instant) {
        self.until = now + lifetime;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn subject(now: Instant) -> Allocation {
        let address: SocketAddr = "198.51.100.7:4000".parse().unwrap();
        let login = ("1:a".to_owned(), PeerId::new("a").unwrap());
        Allocation::new(Client::datagram(address, None), login, address, 1, now)
    }

    fn peer(number: usize) -> SocketAddr {
        let address = Ipv4Addr::from_bits(0x0808_0000 + u32::try_from(number).unwrap());
        SocketAddr::new(address.into(), 9)
    }

    #[test]
    fn permissions_end_and_are_bounded() {
        let now = Instant::now();
        let mut allocation = subject(now);
        for number in 0..PERMISSIONS {
            allocation.permit(&[peer(number).ip()], now).unwrap();
        }
        let one_more = [peer(PERMISSIONS).ip()];
        assert_eq!(allocation.permit(&one_more, now), Err(Refusal::Full));
        assert_eq!(allocation.permit(&[peer(0).ip()], now), Ok(()), "again");
        assert!(allocation.permits(peer(1).ip(), now));
        assert!(!allocation.permits(one_more[0], now));
        let later = now + PERMISSION_LIFETIME;
        assert!(!allocation.permits(peer(1).ip(), later));
        assert_eq!(allocation.permit(&one_more, later), Ok(()));
        assert_eq!(allocation.permissions.len(), 1);
    }

    #[test]
    fn a_channel_has_one_peer_and_a_peer_one_channel() {
        let now = Instant::now();
        let mut allocation = subject(now);
        assert_eq!(allocation.bind(0x4000, peer(1), now), Ok(()));
        assert_eq!(allocation.bind(0x4000, peer(1), now), Ok(()), "again");
        for (channel, peer) in [
            (0x4000, peer(2)),
            (0x4001, peer(1)),
            (0x3fff, peer(3)),
            (0x5000, peer(3)),
        ] {
            let refused = allocation.bind(channel, peer, now);
            assert_eq!(refused, Err(Refusal::Mismatch));
        }
        assert!(allocation.permits(peer(1).ip(), now));
        assert_eq!(allocation.channel_of(peer(1), now), Some(0x4000));
        let later = now + CHANNEL_LIFETIME;
        assert_eq!(allocation.peer_of(0x4000, later), None);
        assert_eq!(allocation.channel_of(peer(1), later), None);
        assert_eq!(allocation.bind(0x4000, peer(2), later), Ok(()));
        assert_eq!(allocation.numbers.len(), 1);
    }

    #[test]
    fn channels_are_bounded() {
        let now = Instant::now();
        let mut allocation = subject(now);
        let numbers = 0x4000..;
        let bound = numbers
            .zip(0..2000)
            .map(|(channel, number)| allocation.bind(channel, peer(number), now));
        assert_eq!(bound.filter(Result::is_ok).count(), CHANNELS);
    }
}
