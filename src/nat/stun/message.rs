//! The few STUN messages that we build and read ourselves (RFC 8489). The TURN crate handles those of
//! an allocation.

use std::net::SocketAddr;
use std::time::Duration;

use turn_client_proto::stun::types::attribute::{
    AttributeType, ErrorCode, MappedSocketAddr, MessageIntegrity, Nonce, RawAttribute, Realm,
    Username, XorMappedAddress,
};
use turn_client_proto::stun::types::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageHeader,
    MessageIntegrityCredentials, MessageType, MessageWriteVec, Method, ShortTermCredentials,
};
use turn_client_proto::types::attribute::Lifetime;
use turn_client_proto::types::message::REFRESH;
use turn_client_proto::types::stun::prelude::{
    AttributeStaticType as _, MessageWrite as _, MessageWriteExt as _,
};

use crate::limits;

/// The place from which a server is asked to answer (CHANGE-REQUEST, RFC 5780 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// Another port of the address that was asked.
    OtherPort,
    /// Another address and port.
    OtherAddress,
}

/// Numbers of attributes (RFC 5780 section 7).
const CHANGE_REQUEST: u16 = 0x0003;
const OTHER_ADDRESS: u16 = 0x802C;
/// The attribute ALTERNATE-SERVER (RFC 8489 section 14.15).
const ALTERNATE_SERVER: u16 = 0x8023;

/// Builds a Binding request with this transaction id, to be answered from elsewhere if that is asked
/// for.
pub(crate) fn binding(elsewhere: Option<Elsewhere>, id: u128) -> Vec<u8> {
    let mut message = builder(BINDING, id);
    let change = match elsewhere {
        None => return message.finish(),
        Some(Elsewhere::OtherPort) => [0, 0, 0, 2],
        Some(Elsewhere::OtherAddress) => [0, 0, 0, 6],
    };
    let change = RawAttribute::new(AttributeType::new(CHANGE_REQUEST), &change);
    // Adding it fails only after an attribute that has to be the last one, and there is none.
    let _ = message.add_attribute(&change);
    message.finish()
}

/// Numbers of the attributes of ICE (RFC 8445 section 16.1), and of the one that names both sides.
const USERNAME: u16 = 0x0006;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802A;

/// Builds another connectivity check like `check`, with a transaction id and a signature of its own (RFC 7675
/// section 5.1). The controlling side says again that it has chosen the pair. `None` if `check` is no
/// request.
pub(crate) fn consent_check(check: &[u8], id: u128, password: &str) -> Option<Vec<u8>> {
    const KEPT: [u16; 4] = [USERNAME, PRIORITY, ICE_CONTROLLED, ICE_CONTROLLING];
    let check = Message::from_bytes(check).ok()?;
    if !check.has_class(MessageClass::Request) {
        return None;
    }
    let mut message = builder(BINDING, id);
    for kept in KEPT {
        let Some(attribute) = check.raw_attribute(AttributeType::new(kept)) else {
            continue;
        };
        message.add_attribute(&attribute).ok()?;
        if kept == ICE_CONTROLLING {
            let chosen = RawAttribute::new(AttributeType::new(USE_CANDIDATE), &[]);
            message.add_attribute(&chosen).ok()?;
        }
    }
    message
        .add_message_integrity(&short_term(password), IntegrityAlgorithm::Sha1)
        .ok()?;
    message.add_fingerprint().ok()?;
    Some(message.finish())
}

/// Returns whether it is a peer's successful answer to a connectivity check, and bears the password.
pub(crate) fn is_verified_answer(bytes: &[u8], password: &str) -> bool {
    let Ok(message) = Message::from_bytes(bytes) else {
        return false;
    };
    let is_success = message.has_class(MessageClass::Success) && message.has_method(BINDING);
    is_success && message.validate_integrity(&short_term(password)).is_ok()
}

fn short_term(password: &str) -> MessageIntegrityCredentials {
    ShortTermCredentials::new(password.to_owned()).into()
}

/// The realm and nonce that a server asks us to sign requests with (RFC 8489 section 9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
}

/// Builds a request to keep our allocation for `lifetime` more, signed as the server has asked for;
/// `None` if the name or the challenge fit into no request.
pub(crate) fn signed_refresh(
    id: u128,
    lifetime: Duration,
    (username, password): (&str, &str),
    Challenge { realm, nonce }: &Challenge,
) -> Option<Vec<u8>> {
    let mut message = refresh(id, lifetime);
    message.add_attribute(&Username::new(username).ok()?).ok()?;
    message.add_attribute(&Realm::new(realm).ok()?).ok()?;
    message.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
    let (username, password) = (username.to_owned(), password.to_owned());
    let key = LongTermKeyCredentials::new(username, password, realm.clone())
        .make_key(IntegrityAlgorithm::Sha1);
    message
        .add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1)
        .ok()?;
    Some(message.finish())
}

/// Builds the same request for a server that asks for no signature.
pub(crate) fn unsigned_refresh(id: u128, lifetime: Duration) -> Vec<u8> {
    refresh(id, lifetime).finish()
}

fn refresh(id: u128, lifetime: Duration) -> MessageWriteVec {
    let mut message = builder(REFRESH, id);
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    // Adding it fails only after an attribute that has to be the last one, and there is none.
    let _ = message.add_attribute(&Lifetime::new(seconds));
    message
}

fn builder(method: Method, id: u128) -> MessageWriteVec {
    let kind = MessageType::from_class_method(MessageClass::Request, method);
    Message::builder(kind, id.into(), MessageWriteVec::new())
}

/// The facts about a request on its way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) id: u128,
    pub(crate) method: Method,
    /// It carries credentials (MESSAGE-INTEGRITY).
    pub(crate) signed: bool,
}

/// Reads what a request asks; `None` if the bytes are no request.
pub(crate) fn asked(bytes: &[u8]) -> Option<Asked> {
    let message = Message::from_bytes(bytes).ok()?;
    message.has_class(MessageClass::Request).then(|| Asked {
        id: message.transaction_id().into(),
        method: message.method(),
        signed: message.has_attribute(MessageIntegrity::TYPE),
    })
}

/// A server's answer. It proves only that its sender has seen the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) id: u128,
    /// Our address as the server sees it.
    pub(crate) mapped: Option<SocketAddr>,
    /// The other address at which the server answers, if it has one (OTHER-ADDRESS).
    pub(crate) other: Option<SocketAddr>,
    /// What requests are to be signed with from now on.
    pub(crate) challenge: Option<Challenge>,
    /// How long the server keeps what was asked for.
    pub(crate) lifetime: Option<Duration>,
    /// The server to which this one refers, with error 300 (ALTERNATE-SERVER).
    pub(crate) alternate: Option<SocketAddr>,
    /// The error's code and reason.
    pub(crate) error: Option<(u16, String)>,
}

/// Reads an answer; `None` if the bytes are none.
pub(crate) fn reply(bytes: &[u8]) -> Option<Reply> {
    if !MessageHeader::from_bytes(bytes)
        .ok()?
        .get_type()
        .is_response()
    {
        return None;
    }
    let message = Message::from_bytes(bytes).ok()?;
    let id = message.transaction_id();
    let mapped = message.attribute::<XorMappedAddress>().ok();
    let address = |kind| {
        let attribute = message.raw_attribute(AttributeType::new(kind))?;
        let address = MappedSocketAddr::from_raw(&attribute).ok()?;
        Some(address.addr())
    };
    let lifetime = message.attribute::<Lifetime>().ok();
    let error = message.attribute::<ErrorCode>().ok();
    let realm = message.attribute::<Realm>().ok();
    let nonce = message.attribute::<Nonce>().ok();
    let challenge = realm.zip(nonce).map(|(realm, nonce)| Challenge {
        realm: realm.realm().to_owned(),
        nonce: nonce.nonce().to_owned(),
    });
    Some(Reply {
        challenge: challenge.filter(|_| message.has_class(MessageClass::Error)),
        id: id.into(),
        mapped: mapped
            .filter(|_| message.has_class(MessageClass::Success))
            .map(|mapped| mapped.addr(id)),
        other: address(OTHER_ADDRESS),
        alternate: address(ALTERNATE_SERVER).filter(|_| message.has_class(MessageClass::Error)),
        lifetime: lifetime.map(|lifetime| Duration::from_secs(lifetime.seconds().into())),
        error: error
            .filter(|_| message.has_class(MessageClass::Error))
            .map(|error| (error.code(), words(error.reason()))),
    })
}

/// Makes an outsider's words safe for a line of the log: bounded, escaped, and without control characters,
/// such as the zero bytes with which some servers fill up their texts.
fn words(text: &str) -> String {
    let visible = text.split(char::is_control).filter(|part| !part.is_empty());
    let visible = visible.collect::<Vec<_>>().join(" ");
    let quoted = visible.trim().chars().take(limits::QUOTED_CHARS);
    quoted.flat_map(char::escape_debug).collect()
}

/// Returns whether these bytes may be a Binding request, judged by their type (RFC 8489 section 5).
pub(crate) fn is_binding_request(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 1])
}

/// Returns whether these bytes may be STUN, judged by the first byte (RFC 7983).
pub(crate) fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A check as an ICE agent in the controlling role sends it.
    pub(crate) fn check(password: &str) -> Vec<u8> {
        let mut message = builder(BINDING, 5);
        for (kind, value) in [
            (USERNAME, "theirs:ours".as_bytes()),
            (PRIORITY, &[1; 4]),
            (ICE_CONTROLLING, &[2; 8]),
        ] {
            let attribute = RawAttribute::new(AttributeType::new(kind), value);
            message.add_attribute(&attribute).unwrap();
        }
        message
            .add_message_integrity(&short_term(password), IntegrityAlgorithm::Sha1)
            .unwrap();
        message.finish()
    }

    /// The answer to a check by one whose password this is.
    pub(crate) fn answer(check: &[u8], password: &str) -> Vec<u8> {
        let check = Message::from_bytes(check).unwrap();
        let mut answer = Message::builder_success(&check, MessageWriteVec::new());
        let address = "192.0.2.1:5000".parse().unwrap();
        let mapped = XorMappedAddress::new(address, check.transaction_id());
        answer.add_attribute(&mapped).unwrap();
        answer
            .add_message_integrity(&short_term(password), IntegrityAlgorithm::Sha1)
            .unwrap();
        answer.finish()
    }

    #[test]
    fn a_consent_check_says_the_same_of_us_and_that_the_pair_is_chosen() {
        let again = consent_check(&check("old"), 7, "new").unwrap();
        let again = Message::from_bytes(&again).unwrap();
        assert_eq!(u128::from(again.transaction_id()), 7);
        assert!(again.validate_integrity(&short_term("new")).is_ok());
        let value = |kind| {
            again
                .raw_attribute(AttributeType::new(kind))
                .unwrap()
                .value
                .to_vec()
        };
        assert_eq!(value(USERNAME), b"theirs:ours");
        assert_eq!(value(PRIORITY), [1; 4]);
        assert_eq!(value(ICE_CONTROLLING), [2; 8]);
        assert!(value(USE_CANDIDATE).is_empty());
        assert_eq!(consent_check(&answer(&check("p"), "p"), 7, "p"), None);
    }

    #[test]
    fn requests_are_recognised() {
        let bytes = unsigned_refresh(7, Duration::from_secs(600));
        let method = REFRESH;
        let signed = false;
        assert_eq!(
            asked(&bytes),
            Some(Asked {
                id: 7,
                method,
                signed
            })
        );
        assert_eq!(reply(&bytes), None);
    }

    #[test]
    fn an_answer_from_elsewhere_is_asked_for_as_rfc_5780_has_it() {
        let bytes = binding(Some(Elsewhere::OtherAddress), 7);
        assert_eq!(bytes[20..], [0, 3, 0, 4, 0, 0, 0, 6]);
        let other_port = binding(Some(Elsewhere::OtherPort), 7);
        assert_eq!(other_port[20..], [0, 3, 0, 4, 0, 0, 0, 2]);
        assert_eq!(asked(&bytes).unwrap().method, BINDING);
    }

    #[test]
    fn a_server_tells_where_else_it_answers() {
        let mut answer = vec![1, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42];
        answer.extend([0; 12]);
        answer.extend([0x80, 0x2C, 0, 8, 0, 1, 0x0D, 0x96, 192, 0, 2, 2]);
        let other = reply(&answer).unwrap().other;
        assert_eq!(other, Some("192.0.2.2:3478".parse().unwrap()));
    }

    #[test]
    fn answers_tell_the_address_or_the_error() {
        let request = binding(None, 9);
        let request = Message::from_bytes(&request).unwrap();
        let address = "192.0.2.1:5000".parse().unwrap();
        let mut success = Message::builder_success(&request, MessageWriteVec::new());
        let mapped = XorMappedAddress::new(address, request.transaction_id());
        success.add_attribute(&mapped).unwrap();
        let success = reply(&success.finish()).unwrap();
        assert_eq!((success.id, success.mapped), (9, Some(address)));
        assert_eq!((success.lifetime, success.error), (None, None));
        assert_eq!(success.other, None);

        let mut failure = Message::builder_error(&request, MessageWriteVec::new());
        let reason = ErrorCode::new(486, "go\n\0away\0\0").unwrap();
        failure.add_attribute(&reason).unwrap();
        let failure = reply(&failure.finish()).unwrap();
        assert_eq!((failure.id, failure.mapped), (9, None));
        assert_eq!(failure.error, Some((486, "go away".to_owned())));
    }
}
