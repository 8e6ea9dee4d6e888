//! The STUN messages of a TURN server (RFC 8489, RFC 8656): what it reads of requests and indications, and
//! what it answers.

use std::net::SocketAddr;
use std::ops::Range;

use turn_client_proto::stun::types::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, Nonce, Realm, Username,
    XorMappedAddress,
};
use turn_client_proto::stun::types::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass, MessageType,
    MessageWriteVec,
};
use turn_client_proto::types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
    XorRelayedAddress,
};
use turn_client_proto::types::message::{DATA, SEND};
use turn_client_proto::types::stun::prelude::{
    Attribute as _, AttributeStaticType as _, MessageWrite as _, MessageWriteExt as _,
};

use super::logins::Login;

/// The realm of all our logins.
pub(super) const REALM: &str = "chatixia";

/// Bytes before the data of a channel: its number, and the length.
const CHANNEL_HEADER: usize = 4;

/// Attributes that we understand. Of others those that have to be understood are refused.
const KNOWN: [AttributeType; 11] = [
    Username::TYPE,
    MessageIntegrity::TYPE,
    ErrorCode::TYPE,
    Realm::TYPE,
    Nonce::TYPE,
    Fingerprint::TYPE,
    ChannelNumber::TYPE,
    Lifetime::TYPE,
    XorPeerAddress::TYPE,
    RequestedAddressFamily::TYPE,
    RequestedTransport::TYPE,
];

/// The proof that a request is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim<'a> {
    pub(super) username: &'a str,
    pub(super) nonce: &'a str,
}

/// Returns the key that a login signs with.
pub(super) fn key(login: &Login) -> IntegrityKey {
    let (username, password) = (login.username.clone(), login.password.reveal().to_owned());
    LongTermKeyCredentials::new(username, password, REALM.to_owned())
        .make_key(IntegrityAlgorithm::Sha1)
}

/// Calls `read` with the login that a request claims to be signed with. `None` if it is not signed, `Some(None)`
/// if it lacks a part of that.
pub(super) fn claim<T>(
    request: &Message<'_>,
    read: impl FnOnce(Claim<'_>) -> T,
) -> Option<Option<T>> {
    if !request.has_attribute(MessageIntegrity::TYPE) {
        return None;
    }
    let username = request.attribute::<Username>().ok();
    let nonce = request.attribute::<Nonce>().ok();
    let has_realm = request.has_attribute(Realm::TYPE);
    Some(match (username, nonce) {
        (Some(username), Some(nonce)) if has_realm => Some(read(Claim {
            username: username.username(),
            nonce: nonce.nonce(),
        })),
        _ => None,
    })
}

/// Returns the attributes of a request that would have to be understood, and are not.
pub(super) fn unknown(request: &Message<'_>) -> Vec<AttributeType> {
    let kinds = request
        .iter_attributes()
        .map(|(_, attribute)| attribute.get_type());
    kinds
        .filter(|kind| kind.comprehension_required() && !KNOWN.contains(kind))
        .collect()
}

/// Returns all peers that a request names; `None` if it names none, or one can't be read.
pub(super) fn peers(request: &Message<'_>) -> Option<Vec<SocketAddr>> {
    let id = request.transaction_id();
    let attributes = request.iter_attributes();
    let named = attributes.filter(|(_, attribute)| attribute.get_type() == XorPeerAddress::TYPE);
    let read = named.map(|(_, attribute)| {
        let peer = XorPeerAddress::try_from(&attribute).ok()?;
        Some(peer.addr(id))
    });
    let peers: Option<Vec<SocketAddr>> = read.collect();
    peers.filter(|peers| !peers.is_empty())
}

/// Reads a Send indication: the peer, and where in it the data is.
pub(super) fn send_indication(message: &Message<'_>) -> Option<(SocketAddr, Range<usize>)> {
    if !message.has_class(MessageClass::Indication) || !message.has_method(SEND) {
        return None;
    }
    let others = message
        .iter_attributes()
        .map(|(_, attribute)| attribute.get_type());
    let mut others = others.filter(|kind| *kind != Data::TYPE && !KNOWN.contains(kind));
    if others.any(AttributeType::comprehension_required) {
        return None;
    }
    let peer = message.attribute::<XorPeerAddress>().ok()?;
    let (start, data) = message.attribute_and_offset::<Data>().ok()?;
    // An attribute's header has four bytes.
    let start = start + 4;
    Some((
        peer.addr(message.transaction_id()),
        start..start + data.data().len(),
    ))
}

/// Reads the header of channel data: the channel's number, and where the data is.
pub(super) fn channel_data(bytes: &[u8]) -> Option<(u16, Range<usize>)> {
    let [a, b, c, d, data @ ..] = bytes else {
        return None;
    };
    let (number, length) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    let length = usize::from(length);
    (data.len() >= length).then_some((number, CHANNEL_HEADER..CHANNEL_HEADER + length))
}

/// Makes channel data.
pub(super) fn to_channel(number: u16, data: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(data.len()).ok()?;
    let mut bytes = Vec::with_capacity(CHANNEL_HEADER + data.len());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(data);
    Some(bytes)
}

/// Makes a Data indication.
pub(super) fn data_indication(peer: SocketAddr, data: &[u8], id: u128) -> Option<Vec<u8>> {
    let kind = MessageType::from_class_method(MessageClass::Indication, DATA);
    let mut message = Message::builder(kind, id.into(), MessageWriteVec::new());
    let peer = XorPeerAddress::new(peer, id.into());
    message.add_attribute(&peer).ok()?;
    message.add_attribute(&Data::new(data)).ok()?;
    Some(message.finish())
}

/// An answer that is being written. What fits into no message is left out of it.
pub(super) struct Answer<'a> {
    request: &'a Message<'a>,
    message: MessageWriteVec,
}

impl<'a> Answer<'a> {
    pub(super) fn success(request: &'a Message<'a>) -> Self {
        let message = Message::builder_success(request, MessageWriteVec::new());
        Answer { request, message }
    }

    pub(super) fn error(request: &'a Message<'a>, code: u16) -> Self {
        let mut message = Message::builder_error(request, MessageWriteVec::new());
        if let Ok(code) = ErrorCode::builder(code).build() {
            let _ = message.add_attribute(&code);
        }
        Answer { request, message }
    }

    /// Makes the refusal of attributes that are not understood.
    pub(super) fn unknown(request: &'a Message<'a>, kinds: &[AttributeType]) -> Self {
        let message = Message::unknown_attributes(request, kinds, MessageWriteVec::new());
        Answer { request, message }
    }

    /// Adds what the next request is to be signed with.
    pub(super) fn challenge(mut self, nonce: &str) -> Self {
        if let (Ok(realm), Ok(nonce)) = (Realm::new(REALM), Nonce::new(nonce)) {
            let _ = self.message.add_attribute(&realm);
            let _ = self.message.add_attribute(&nonce);
        }
        self
    }

    pub(super) fn mapped(mut self, client: SocketAddr) -> Self {
        let mapped = XorMappedAddress::new(client, self.request.transaction_id());
        let _ = self.message.add_attribute(&mapped);
        self
    }

    pub(super) fn relayed(mut self, relayed: SocketAddr) -> Self {
        let relayed = XorRelayedAddress::new(relayed, self.request.transaction_id());
        let _ = self.message.add_attribute(&relayed);
        self
    }

    pub(super) fn lifetime(mut self, seconds: u32) -> Self {
        let _ = self.message.add_attribute(&Lifetime::new(seconds));
        self
    }

    pub(super) fn signed(mut self, key: &IntegrityKey) -> Vec<u8> {
        let sha1 = IntegrityAlgorithm::Sha1;
        let _ = self.message.add_message_integrity_with_key(key, sha1);
        self.unsigned()
    }

    /// Finishes it. It bears a fingerprint if the request does.
    pub(super) fn unsigned(mut self) -> Vec<u8> {
        if self.request.has_attribute(Fingerprint::TYPE) {
            let _ = self.message.add_fingerprint();
        }
        self.message.finish()
    }
}
