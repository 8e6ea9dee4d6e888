//! Messages that are almost right: whatever is changed in them, the server stands, and nobody who could not sign
//! gets anything.

use fastrand::Rng;
use turn_client_proto::stun::types::message::{MessageClass, Method};
use turn_client_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_client_proto::types::stun::prelude::MessageWrite as _;

use super::world::{Part, World, channel, lifetime, over_udp, peer};
use crate::registry::limits;
use crate::registry::relay::reaction::Reaction;
use crate::secret::Secret;

const TRIES: u64 = 20_000;

/// Changes some bytes, or the length.
fn garble(random: &mut Rng, message: &mut Vec<u8>) {
    for _ in 0..random.usize(1..4) {
        let place = random.usize(..message.len().max(1));
        match random.u8(..6) {
            0 => message.truncate(place),
            1 => message.insert(place.min(message.len()), random.u8(..)),
            2 => message.extend(std::iter::repeat_with(|| random.u8(..)).take(place)),
            3 if message.len() > 3 => {
                let length = random.u16(..).to_be_bytes();
                message[2..4].copy_from_slice(&length);
            }
            _ => {
                if let Some(byte) = message.get_mut(place) {
                    *byte = random.u8(..);
                }
            }
        }
    }
}

#[test]
fn a_server_stands_whatever_it_is_sent() {
    for seed in 0..4 {
        let mut random = Rng::with_seed(seed);
        let mut world = World::with("192.0.2.0/24");
        let (lodger, _, _) = world.lodger("a", "198.51.100.7:4000");
        let mut stranger = world.guest("b", "198.51.100.8:4000");
        world.greet(&mut stranger);
        stranger.login.password = Secret::new("wrong".to_owned());
        let other = peer("192.0.2.1:9");
        let (number, ten_minutes) = (channel(0x4001), lifetime(600));
        let kinds: [(Method, &[Part<'_>]); 5] = [
            (ALLOCATE, &[&over_udp]),
            (REFRESH, &[&ten_minutes]),
            (CREATE_PERMISSION, &[&other]),
            (CHANNEL_BIND, &[&number, &other]),
            (SEND, &[&other]),
        ];
        for _ in 0..TRIES / 4 {
            let (method, parts) = kinds[random.usize(..kinds.len())];
            let guest = if random.bool() { &lodger } else { &stranger };
            let mut message = match method {
                SEND => world
                    .message(SEND, MessageClass::Indication, parts)
                    .finish(),
                _ => world.signed(guest, method, parts),
            };
            garble(&mut random, &mut message);
            let reaction = world.says(guest, &message);
            let opens = matches!(reaction, Reaction::Open(_));
            assert!(!opens || guest.client != stranger.client, "seed {seed}");
        }
        assert!(world.turn.allocations.len() <= limits::ALLOCATIONS_OF_PEER);
        // The lodger may have been heard to end its allocation, but it can have another.
        let mut again = world.guest("c", "198.51.100.9:4000");
        assert!(world.allocate(&mut again).0.is_some(), "seed {seed}");
    }
}
