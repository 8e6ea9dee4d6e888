//! A TURN server for the tests: it works as a good one does, until it is told otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_client_proto::stun::types::attribute::{
    AttributeType, ErrorCode, Nonce, RawAttribute, Realm, Username, XorMappedAddress,
};
use turn_client_proto::stun::types::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass,
    MessageType, MessageWriteVec,
};
use turn_client_proto::types::attribute::{
    ChannelNumber, Data, Lifetime, XorPeerAddress, XorRelayedAddress,
};
use turn_client_proto::types::message::{
    ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND,
};
use turn_client_proto::types::stun::prelude::{MessageWrite as _, MessageWriteExt as _};

use crate::nat::credentials;
use crate::nat::output::StreamId;
use crate::secret::Secret;

const REALM: &str = "example.org";

/// A client of the server, by its address or its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Client {
    Socket(SocketAddr),
    Stream(StreamId),
}

/// Something that the server sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    ToClient(Client, Vec<u8>),
    /// From a relayed address to a peer.
    ToPeer(SocketAddr, SocketAddr, Vec<u8>),
}

#[derive(Debug)]
pub(super) struct Granted {
    pub(super) relayed: SocketAddr,
    pub(super) username: String,
    pub(super) permissions: BTreeSet<IpAddr>,
    pub(super) channels: BTreeMap<u16, SocketAddr>,
    pub(super) until: Instant,
    /// The transaction that asked for it.
    transaction: u128,
}

/// The differences of the server from a good one.
#[derive(Debug, Default)]
pub(super) struct Mood {
    /// It says nothing at all.
    pub(super) is_silent: bool,
    /// It does as asked, but its messages are lost.
    pub(super) is_mute: bool,
    /// It ignores everything over UDP.
    pub(super) drops_datagrams: bool,
    /// It ignores Binding requests, as some do.
    pub(super) ignores_bindings: bool,
    /// It refuses every request with this code, even a right one.
    pub(super) refuses: Option<u16>,
    /// It refers everybody to this server, before it asks who it is.
    pub(super) refers_to: Option<SocketAddr>,
    /// It takes logins of a shared secret only until their time, by this Unix time.
    pub(super) unix: Option<u64>,
    /// It does not let this peer in.
    pub(super) denies: Option<IpAddr>,
    /// It no longer accepts this user.
    pub(super) bars: Option<String>,
    /// A nonce expires after this time.
    pub(super) nonce_life: Option<Duration>,
    /// It lends this address.
    pub(super) lends: Option<SocketAddr>,
    /// The longest lifetime of an allocation, in seconds.
    pub(super) shortest: Option<u32>,
}

#[derive(Debug)]
pub(super) struct TurnServer {
    relay: IpAddr,
    next_port: u16,
    password: String,
    /// Makes passwords from this secret, in place of the one password.
    pub(super) secret: Option<Secret>,
    pub(super) mood: Mood,
    nonce: (u32, Option<Instant>),
    pub(super) granted: BTreeMap<Client, Granted>,
    /// Requests that it has served, by method.
    pub(super) served: BTreeMap<u16, usize>,
}

impl TurnServer {
    /// Creates a server that relays at this address, and knows everybody by this password.
    pub(super) fn new(relay: IpAddr, password: &str) -> Self {
        TurnServer {
            relay,
            next_port: 50_000,
            password: password.to_owned(),
            secret: None,
            mood: Mood::default(),
            nonce: (0, None),
            granted: BTreeMap::new(),
            served: BTreeMap::new(),
        }
    }

    pub(super) fn served(&self, method: u16) -> usize {
        self.served.get(&method).copied().unwrap_or(0)
    }

    /// Forgets everything, as after a restart.
    pub(super) fn restart(&mut self) {
        self.granted.clear();
    }

    /// Takes a packet of a peer that comes to a relayed address.
    pub(super) fn peer_packet(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        packet: &[u8],
    ) -> Option<Sent> {
        let mut all = self.granted.iter();
        let (client, granted) = all.find(|(_, granted)| granted.relayed == relayed)?;
        if self.mood.is_silent || !granted.permissions.contains(&peer.ip()) {
            return None;
        }
        let channel = granted.channels.iter().find(|(_, bound)| **bound == peer);
        let bytes = match channel {
            Some((number, _)) => channel_data(*number, packet),
            None => {
                let kind = MessageType::from_class_method(MessageClass::Indication, DATA);
                let mut message = Message::builder(kind, 1.into(), MessageWriteVec::new());
                let peer = XorPeerAddress::new(peer, 1.into());
                message.add_attribute(&peer).unwrap();
                message.add_attribute(&Data::new(packet)).unwrap();
                message.finish()
            }
        };
        Some(Sent::ToClient(*client, bytes))
    }

    /// Takes a message of a client; `seen` is where it seems to come from.
    pub(super) fn client_message(
        &mut self,
        now: Instant,
        client: Client,
        seen: SocketAddr,
        bytes: &[u8],
    ) -> Option<Sent> {
        let drops = self.mood.drops_datagrams && matches!(client, Client::Socket(_));
        if self.mood.is_silent || drops {
            return None;
        }
        self.granted.retain(|_, granted| granted.until > now);
        let Ok(message) = Message::from_bytes(bytes) else {
            return self.relay_channel_data(client, bytes);
        };
        match (message.class(), message.method()) {
            (MessageClass::Request, BINDING) if self.mood.ignores_bindings => None,
            (MessageClass::Request, BINDING) => {
                let mut answer = Message::builder_success(&message, MessageWriteVec::new());
                let mapped = XorMappedAddress::new(seen, message.transaction_id());
                answer.add_attribute(&mapped).unwrap();
                Some(Sent::ToClient(client, answer.finish()))
            }
            (MessageClass::Request, _) => {
                let answer = self.answer(now, client, &message);
                (!self.mood.is_mute).then_some(Sent::ToClient(client, answer))
            }
            (MessageClass::Indication, SEND) => {
                let granted = self.granted.get(&client)?;
                let peer = message.attribute::<XorPeerAddress>().unwrap();
                let peer = peer.addr(message.transaction_id());
                let data = message.attribute::<Data>().unwrap().data().to_vec();
                let allowed = granted.permissions.contains(&peer.ip());
                allowed.then_some(Sent::ToPeer(granted.relayed, peer, data))
            }
            _ => None,
        }
    }

    fn relay_channel_data(&self, client: Client, bytes: &[u8]) -> Option<Sent> {
        let number = u16::from_be_bytes([bytes[0], bytes[1]]);
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let granted = self.granted.get(&client)?;
        let peer = granted.channels.get(&number)?;
        let data = bytes[4..4 + length].to_vec();
        Some(Sent::ToPeer(granted.relayed, *peer, data))
    }

    fn answer(&mut self, now: Instant, client: Client, request: &Message<'_>) -> Vec<u8> {
        if let Some(other) = self.mood.refers_to {
            return reference(request, other);
        }
        let Ok(username) = request.attribute::<Username>() else {
            return self.challenge(now, request, 401);
        };
        let username = username.username().to_owned();
        let until = username
            .split(':')
            .next()
            .and_then(|until| until.parse().ok());
        let is_over = |unix| until.is_some_and(|until: u64| until < unix);
        if self.mood.bars.as_ref() == Some(&username) || self.mood.unix.is_some_and(is_over) {
            return self.challenge(now, request, 401);
        }
        let password = match &self.secret {
            Some(secret) => credentials::password(secret, &username).reveal().to_owned(),
            None => self.password.clone(),
        };
        let credentials = LongTermKeyCredentials::new(username.clone(), password, REALM.into());
        let key = credentials.make_key(IntegrityAlgorithm::Sha1);
        if request.validate_integrity_with_key(&key).is_err() {
            return self.challenge(now, request, 401);
        }
        let nonce = request.attribute::<Nonce>().unwrap();
        let is_stale = self.nonce.1.is_some_and(|until| until <= now);
        if nonce.nonce() != self.nonce_text() || is_stale {
            return self.challenge(now, request, 438);
        }
        let has_one = self.granted.contains_key(&client);
        match request.method() {
            _ if self.mood.refuses.is_some() => {
                refusal(request, &key, self.mood.refuses.unwrap_or(500))
            }
            // Asked again, because the answer was lost (RFC 8656 section 7.2).
            ALLOCATE
                if has_one
                    && self.granted[&client].transaction == request.transaction_id().into() =>
            {
                lent(
                    self.granted[&client].relayed,
                    self.lifetime(),
                    request,
                    &key,
                )
            }
            ALLOCATE if has_one => refusal(request, &key, 437),
            ALLOCATE => self.allocate(now, client, username, request, &key),
            _ if !has_one => refusal(request, &key, 437),
            _ if self.granted[&client].username != username => refusal(request, &key, 441),
            _ => self.change(now, client, request, &key),
        }
    }

    fn nonce_text(&self) -> String {
        format!("nonce-{}", self.nonce.0)
    }

    fn challenge(&mut self, now: Instant, request: &Message<'_>, code: u16) -> Vec<u8> {
        if self.nonce.0 == 0 || self.nonce.1.is_some_and(|until| until <= now) {
            self.nonce.0 += 1;
            self.nonce.1 = self.mood.nonce_life.map(|life| now + life);
        }
        let mut answer = Message::builder_error(request, MessageWriteVec::new());
        let error = ErrorCode::builder(code).build().unwrap();
        answer.add_attribute(&error).unwrap();
        let nonce = self.nonce_text();
        answer.add_attribute(&Nonce::new(&nonce).unwrap()).unwrap();
        answer.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        answer.finish()
    }

    fn allocate(
        &mut self,
        now: Instant,
        client: Client,
        username: String,
        request: &Message<'_>,
        key: &IntegrityKey,
    ) -> Vec<u8> {
        *self.served.entry(ALLOCATE.value()).or_default() += 1;
        self.next_port += 1;
        let own = SocketAddr::new(self.relay, self.next_port);
        let relayed = self.mood.lends.unwrap_or(own);
        self.granted.insert(
            client,
            Granted {
                relayed,
                username,
                permissions: BTreeSet::new(),
                channels: BTreeMap::new(),
                until: now + Duration::from_secs(self.lifetime().into()),
                transaction: request.transaction_id().into(),
            },
        );
        lent(relayed, self.lifetime(), request, key)
    }

    /// Returns how long an allocation lives at most, in seconds.
    fn lifetime(&self) -> u32 {
        self.mood.shortest.unwrap_or(1800)
    }

    /// Handles a request about an allocation that exists.
    fn change(
        &mut self,
        now: Instant,
        client: Client,
        request: &Message<'_>,
        key: &IntegrityKey,
    ) -> Vec<u8> {
        let method = request.method();
        *self.served.entry(method.value()).or_default() += 1;
        let mut answer = Message::builder_success(request, MessageWriteVec::new());
        let most = self.lifetime();
        let granted = self.granted.get_mut(&client).unwrap();
        if method == REFRESH {
            let lifetime = request.attribute::<Lifetime>().unwrap().seconds();
            let lifetime = Lifetime::new(lifetime.min(most));
            answer.add_attribute(&lifetime).unwrap();
            let seconds = u64::from(lifetime.seconds());
            granted.until = now + Duration::from_secs(seconds);
            if seconds == 0 {
                self.granted.remove(&client);
            }
            return signed(answer, key);
        }
        let peer = request.attribute::<XorPeerAddress>().unwrap();
        let peer = peer.addr(request.transaction_id());
        if self.mood.denies == Some(peer.ip()) {
            return refusal(request, key, 403);
        }
        granted.permissions.insert(peer.ip());
        if method == CHANNEL_BIND {
            let number = request.attribute::<ChannelNumber>().unwrap();
            granted.channels.insert(number.channel(), peer);
        } else {
            assert_eq!(method, CREATE_PERMISSION);
        }
        signed(answer, key)
    }
}

pub(super) fn channel_data(number: u16, packet: &[u8]) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(packet.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(packet);
    bytes
}

fn signed(mut answer: MessageWriteVec, key: &IntegrityKey) -> Vec<u8> {
    answer
        .add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
        .unwrap();
    answer.finish()
}

fn lent(relayed: SocketAddr, lifetime: u32, request: &Message<'_>, key: &IntegrityKey) -> Vec<u8> {
    let mut answer = Message::builder_success(request, MessageWriteVec::new());
    let relayed = XorRelayedAddress::new(relayed, request.transaction_id());
    answer.add_attribute(&relayed).unwrap();
    answer.add_attribute(&Lifetime::new(lifetime)).unwrap();
    signed(answer, key)
}

fn refusal(request: &Message<'_>, key: &IntegrityKey, code: u16) -> Vec<u8> {
    let mut answer = Message::builder_error(request, MessageWriteVec::new());
    let error = ErrorCode::builder(code).build().unwrap();
    answer.add_attribute(&error).unwrap();
    signed(answer, key)
}

fn reference(request: &Message<'_>, other: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(other) = other else {
        panic!("{other} is no IPv4 address");
    };
    let mut answer = Message::builder_error(request, MessageWriteVec::new());
    let error = ErrorCode::new(300, "Try\0Alternate\0\0").unwrap();
    answer.add_attribute(&error).unwrap();
    let mut address = vec![0, 1];
    address.extend(other.port().to_be_bytes());
    address.extend(other.ip().octets());
    let alternate = RawAttribute::new(AttributeType::new(0x8023), &address);
    answer.add_attribute(&alternate).unwrap();
    answer.finish()
}
