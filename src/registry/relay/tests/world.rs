//! A server in simulated time, and its clients.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use turn_client_proto::stun::types::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_client_proto::stun::types::message::{
    IntegrityAlgorithm, Message, MessageClass, MessageType, MessageWriteVec, Method,
};
use turn_client_proto::types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_client_proto::types::message::{ALLOCATE, SEND};
use turn_client_proto::types::stun::prelude::{MessageWrite as _, MessageWriteExt as _};

use super::super::client::Client;
use super::super::logins::{Login, login};
use super::super::messages::{self, REALM};
use super::super::reaction::{AllocationId, Now, Reaction};
use super::super::turn::{Families, Rules, Turn};
use crate::config::networks::Networks;
use crate::protocol::PeerId;
use crate::registry::unix_time::UnixTime;
use crate::secret::Secret;

pub(super) const RELAY: &str = "198.51.100.1";
pub(super) const RATE: u64 = 100_000;

/// A server with its clients, and the time.
pub(super) struct World {
    pub(super) turn: Turn,
    pub(super) now: Now,
    id: u128,
    next_port: u16,
}

/// A client with its login and nonce.
pub(super) struct Guest {
    pub(super) client: Client,
    pub(super) login: Login,
    pub(super) nonce: String,
}

/// A part of a request.
pub(super) type Part<'a> = &'a dyn Fn(&mut MessageWriteVec, u128);

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn peer(text: &str) -> impl Fn(&mut MessageWriteVec, u128) + use<> {
    let peer = address(text);
    move |message, id| {
        message
            .add_attribute(&XorPeerAddress::new(peer, id.into()))
            .unwrap()
    }
}

pub(super) fn over_udp(message: &mut MessageWriteVec, _: u128) {
    let udp = RequestedTransport::new(RequestedTransport::UDP);
    message.add_attribute(&udp).unwrap();
}

pub(super) fn lifetime(seconds: u32) -> impl Fn(&mut MessageWriteVec, u128) {
    move |message, _| message.add_attribute(&Lifetime::new(seconds)).unwrap()
}

pub(super) fn channel(number: u16) -> impl Fn(&mut MessageWriteVec, u128) {
    move |message, _| message.add_attribute(&ChannelNumber::new(number)).unwrap()
}

pub(super) fn secret() -> Secret {
    Secret::new("opensesame".to_owned())
}

pub(super) fn answer_of(reaction: Reaction) -> Vec<u8> {
    match reaction {
        Reaction::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// The code of an error; 0 for a success.
pub(super) fn code(answer: &[u8]) -> u16 {
    let message = Message::from_bytes(answer).unwrap();
    let error = message.attribute::<ErrorCode>();
    assert_eq!(error.is_err(), message.has_class(MessageClass::Success));
    error.map_or(0, |error| error.code())
}

impl World {
    pub(super) fn new() -> Self {
        Self::with("")
    }

    /// Makes a server that relays to these networks, too.
    pub(super) fn with(opened: &str) -> Self {
        let now = Now {
            at: Instant::now(),
            unix: UnixTime::now(),
        };
        let rules = Rules {
            secret: secret(),
            nonce_key: [7; 32],
            families: Families {
                ipv4: true,
                ipv6: false,
            },
            opened: opened.parse::<Networks>().unwrap(),
            bytes_per_second: RATE,
        };
        let mut turn = Turn::new(rules, now.at);
        turn.set_own_addresses(vec![RELAY.parse().unwrap()]);
        World {
            turn,
            now,
            id: 0,
            next_port: 50_000,
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix = self.now.unix + time;
        self.turn.handle_timeout(self.now.at);
    }

    pub(super) fn guest(&self, name: &str, at: &str) -> Guest {
        Guest {
            client: Client::datagram(address(at), None),
            login: login(&secret(), &PeerId::new(name).unwrap(), self.now.unix),
            nonce: String::new(),
        }
    }

    /// A client that has an allocation, with its relayed address.
    pub(super) fn lodger(&mut self, name: &str, at: &str) -> (Guest, AllocationId, SocketAddr) {
        let mut guest = self.guest(name, at);
        let (id, answer) = self.allocate(&mut guest);
        let answer = Message::from_bytes(&answer).unwrap();
        let relayed = answer.attribute::<XorRelayedAddress>().unwrap();
        let relayed = relayed.addr(answer.transaction_id());
        (guest, id.unwrap(), relayed)
    }

    pub(super) fn message(
        &mut self,
        method: Method,
        class: MessageClass,
        parts: &[Part<'_>],
    ) -> MessageWriteVec {
        self.id += 1;
        let kind = MessageType::from_class_method(class, method);
        let mut message = Message::builder(kind, self.id.into(), MessageWriteVec::new());
        for part in parts {
            part(&mut message, self.id);
        }
        message
    }

    pub(super) fn signed(&mut self, guest: &Guest, method: Method, parts: &[Part<'_>]) -> Vec<u8> {
        let mut message = self.message(method, MessageClass::Request, parts);
        let username = Username::new(&guest.login.username).unwrap();
        message.add_attribute(&username).unwrap();
        message.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        message
            .add_attribute(&Nonce::new(&guest.nonce).unwrap())
            .unwrap();
        let key = messages::key(&guest.login);
        message
            .add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1)
            .unwrap();
        message.finish()
    }

    pub(super) fn says(&mut self, guest: &Guest, bytes: &[u8]) -> Reaction {
        self.turn.client_message(self.now, guest.client, bytes)
    }

    /// Sends a signed request and returns the code of the answer.
    pub(super) fn asks(&mut self, guest: &Guest, method: Method, parts: &[Part<'_>]) -> u16 {
        let request = self.signed(guest, method, parts);
        code(&answer_of(self.says(guest, &request)))
    }

    /// Sends a request that is not signed, as clients do at first, and takes the nonce of the answer.
    pub(super) fn greet(&mut self, guest: &mut Guest) {
        let request = self
            .message(ALLOCATE, MessageClass::Request, &[&over_udp])
            .finish();
        let answer = answer_of(self.says(guest, &request));
        assert_eq!(code(&answer), 401);
        let answer = Message::from_bytes(&answer).unwrap();
        guest.nonce = answer.attribute::<Nonce>().unwrap().nonce().to_owned();
    }

    pub(super) fn allocate(&mut self, guest: &mut Guest) -> (Option<AllocationId>, Vec<u8>) {
        self.greet(guest);
        let request = self.signed(guest, ALLOCATE, &[&over_udp]);
        match self.says(guest, &request) {
            Reaction::Open(opening) => {
                self.next_port += 1;
                let relayed = SocketAddr::new(RELAY.parse().unwrap(), self.next_port);
                self.turn
                    .opened(self.now.at, *opening, Some(relayed))
                    .unwrap()
            }
            other => (None, answer_of(other)),
        }
    }

    /// Sends data to a peer by an indication.
    pub(super) fn sends(&mut self, guest: &Guest, to: SocketAddr, data: &[u8]) -> Reaction {
        let peer = peer(&to.to_string());
        let data =
            |message: &mut MessageWriteVec, _| message.add_attribute(&Data::new(data)).unwrap();
        let message = self.message(SEND, MessageClass::Indication, &[&peer, &data]);
        let message = message.finish();
        self.says(guest, &message)
    }
}
