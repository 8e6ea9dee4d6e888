//! Permissions and channels of an allocation: which peers it lets in, and which packets wait until it
//! does (RFC 8656 sections 9 and 12).
//!
//! A packet to a new peer asks for a permission and waits for it. Once there is a permission, packets
//! go as indications, so that the first checks of a path lose no further round trip. Once data flows,
//! the peer gets a channel, which takes fewer bytes a packet.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::limits;
use crate::nat::stun::message;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Asked,
    Granted,
    Denied { until: Instant },
}

impl Standing {
    fn is_over(self, now: Instant) -> bool {
        matches!(self, Standing::Denied { until } if until <= now)
    }
}

/// The decision about a packet to a peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It can go.
    Go,
    /// It can go, and the peer should get a channel.
    GoAndBind,
    /// It is kept until the permission is granted.
    Held,
    /// It is kept, and a permission is to be asked for.
    Ask,
    /// The packet is dropped, because the peer is not let in or there is no room for it.
    Dropped,
}

#[derive(Debug, Default)]
pub(crate) struct Permissions {
    permissions: BTreeMap<IpAddr, Standing>,
    channels: BTreeMap<SocketAddr, Standing>,
    held: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Whether a peer was turned away for lack of room.
    full: bool,
}

impl Permissions {
    /// Decides about a packet to a peer. Keeps the packet if the permission is still to be granted.
    pub(crate) fn check(&mut self, now: Instant, to: SocketAddr, packet: &[u8]) -> Verdict {
        let known = self.permissions.get(&to.ip()).copied();
        match known.filter(|standing| !standing.is_over(now)) {
            Some(Standing::Granted) if self.wants_channel(now, to, packet) => {
                self.channels.insert(to, Standing::Asked);
                Verdict::GoAndBind
            }
            Some(Standing::Granted) => Verdict::Go,
            Some(Standing::Asked) => {
                self.hold(to, packet);
                Verdict::Held
            }
            Some(Standing::Denied { .. }) => Verdict::Dropped,
            None if known.is_none() && self.permissions.len() >= limits::TURN_PERMISSIONS => {
                self.full = true;
                Verdict::Dropped
            }
            None => {
                self.permissions.insert(to.ip(), Standing::Asked);
                self.hold(to, packet);
                Verdict::Ask
            }
        }
    }

    fn wants_channel(&self, now: Instant, to: SocketAddr, packet: &[u8]) -> bool {
        let known = self.channels.get(&to);
        let may_have = match known {
            Some(standing) => standing.is_over(now),
            None => self.channels.len() < limits::TURN_CHANNELS,
        };
        may_have && !message::is_stun(packet)
    }

    fn hold(&mut self, to: SocketAddr, packet: &[u8]) {
        // The newest packets are worth the most: older ones are sent again sooner.
        if self.held.len() >= limits::TURN_HELD_PACKETS {
            self.held.pop_front();
        }
        self.held.push_back((to, packet.to_vec()));
    }

    /// Notes that a permission was granted. Returns the packets that waited for it.
    pub(crate) fn granted(&mut self, peer: IpAddr) -> Vec<(SocketAddr, Vec<u8>)> {
        self.permissions.insert(peer, Standing::Granted);
        self.take_held(peer)
    }

    /// Notes that a permission was denied, or has ended, and drops the packets that waited for it.
    pub(crate) fn denied(&mut self, now: Instant, peer: IpAddr) {
        let until = now + limits::TURN_DENIED_WAIT;
        self.permissions.insert(peer, Standing::Denied { until });
        self.take_held(peer);
    }

    /// Notes that a peer has no channel, or none any more.
    pub(crate) fn unbound(&mut self, now: Instant, peer: SocketAddr) {
        let until = now + limits::TURN_DENIED_WAIT;
        self.channels.insert(peer, Standing::Denied { until });
    }

    /// Notes that a peer has a channel.
    pub(crate) fn bound(&mut self, peer: SocketAddr) {
        self.channels.insert(peer, Standing::Granted);
    }

    /// Returns whether a peer was turned away for lack of room. The crate keeps every permission and
    /// renews it for ever: only a new allocation gets rid of those of peers long gone.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Returns whether a peer was denied a permission not long ago.
    pub(crate) fn denies(&self, now: Instant, peer: IpAddr) -> bool {
        let standing = self.permissions.get(&peer);
        standing.is_some_and(|standing| {
            matches!(standing, Standing::Denied { .. }) && !standing.is_over(now)
        })
    }

    fn take_held(&mut self, peer: IpAddr) -> Vec<(SocketAddr, Vec<u8>)> {
        let (taken, kept) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(to, _)| to.ip() == peer);
        self.held = kept;
        Vec::from(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &[u8] = &[0, 1, 0, 0];
    const DATA: &[u8] = &[23, 254, 253];

    fn peer(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn one_permission_lets_all_ports_of_a_peer_in_and_frees_what_waited() {
        let now = Instant::now();
        let mut permissions = Permissions::default();
        assert_eq!(permissions.check(now, peer(1), CHECK), Verdict::Ask);
        assert_eq!(permissions.check(now, peer(2), CHECK), Verdict::Held);
        let freed = permissions.granted(peer(1).ip());
        assert_eq!(
            freed,
            [(peer(1), CHECK.to_vec()), (peer(2), CHECK.to_vec())]
        );
        assert_eq!(permissions.check(now, peer(3), CHECK), Verdict::Go);
    }

    #[test]
    fn the_first_data_gets_a_channel() {
        let now = Instant::now();
        let mut permissions = Permissions::default();
        permissions.check(now, peer(1), CHECK);
        permissions.granted(peer(1).ip());
        assert_eq!(permissions.check(now, peer(1), DATA), Verdict::GoAndBind);
        assert_eq!(permissions.check(now, peer(1), DATA), Verdict::Go);
        permissions.unbound(now, peer(1));
        assert_eq!(permissions.check(now, peer(1), DATA), Verdict::Go);
        let later = now + limits::TURN_DENIED_WAIT;
        assert_eq!(permissions.check(later, peer(1), DATA), Verdict::GoAndBind);
    }

    #[test]
    fn who_is_denied_is_asked_for_again_later() {
        let now = Instant::now();
        let mut permissions = Permissions::default();
        permissions.check(now, peer(1), CHECK);
        permissions.denied(now, peer(1).ip());
        assert_eq!(permissions.check(now, peer(1), CHECK), Verdict::Dropped);
        let later = now + limits::TURN_DENIED_WAIT;
        assert_eq!(permissions.check(later, peer(1), CHECK), Verdict::Ask);
    }

    #[test]
    fn room_is_bounded() {
        let now = Instant::now();
        let mut permissions = Permissions::default();
        for number in 0..limits::TURN_PERMISSIONS {
            let number = u32::try_from(number).unwrap();
            let peer = SocketAddr::new(IpAddr::from(number.to_be_bytes()), 1);
            assert_eq!(permissions.check(now, peer, CHECK), Verdict::Ask);
        }
        assert!(!permissions.is_full());
        assert_eq!(permissions.check(now, peer(1), CHECK), Verdict::Dropped);
        assert!(permissions.is_full());
        assert_eq!(permissions.held.len(), limits::TURN_HELD_PACKETS);
    }
}
