//! The few STUN messages that we make and read ourselves (RFC 8489); those of an allocation are the
//! TURN crate's business.

use std::net::SocketAddr;
use std::time::Duration;

use turn_client_proto::stun::types::attribute::{ErrorCode, MessageIntegrity, XorMappedAddress};
use turn_client_proto::stun::types::message::{
    BINDING, Message, MessageClass, MessageHeader, MessageType, MessageWriteVec, Method,
};
use turn_client_proto::types::attribute::Lifetime;
use turn_client_proto::types::message::REFRESH;
use turn_client_proto::types::stun::prelude::{AttributeStaticType as _, MessageWrite as _};

use crate::limits;

/// What is asked of a server, without a proof of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// What our address is.
    Binding,
    /// To refresh what we have; it is answered with the wish for a proof, so it changes nothing.
    Refresh,
}

/// The request with this transaction id.
pub(super) fn request(question: Question, id: u128) -> Vec<u8> {
    let method = match question {
        Question::Binding => BINDING,
        Question::Refresh => REFRESH,
    };
    let kind = MessageType::from_class_method(MessageClass::Request, method);
    Message::builder(kind, id.into(), MessageWriteVec::new()).finish()
}

/// A request on its way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: u128,
    pub(super) method: Method,
    /// It carries a proof of who asks.
    pub(super) signed: bool,
}

/// What a request asks; `None` when it is none.
pub(super) fn asked(bytes: &[u8]) -> Option<Asked> {
    let message = Message::from_bytes(bytes).ok()?;
    message.has_class(MessageClass::Request).then(|| Asked {
        id: message.transaction_id().into(),
        method: message.method(),
        signed: message.has_attribute(MessageIntegrity::TYPE),
    })
}

/// A server's answer. Nothing of it is proven but that whoever sent it has seen the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) id: u128,
    /// What the server sees as our address.
    pub(super) mapped: Option<SocketAddr>,
    /// How long the server keeps what was asked for.
    pub(super) lifetime: Option<Duration>,
    /// The error's code and words.
    pub(super) error: Option<(u16, String)>,
}

/// Reads an answer; `None` when it is none.
pub(super) fn reply(bytes: &[u8]) -> Option<Reply> {
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
    let lifetime = message.attribute::<Lifetime>().ok();
    let error = message.attribute::<ErrorCode>().ok();
    Some(Reply {
        id: id.into(),
        mapped: mapped
            .filter(|_| message.has_class(MessageClass::Success))
            .map(|mapped| mapped.addr(id)),
        lifetime: lifetime.map(|lifetime| Duration::from_secs(lifetime.seconds().into())),
        error: error
            .filter(|_| message.has_class(MessageClass::Error))
            .map(|error| (error.code(), words(error.reason()))),
    })
}

/// An outsider's words as they may stand in a line of the log.
fn words(text: &str) -> String {
    let quoted = text.chars().take(limits::QUOTED_CHARS);
    quoted.flat_map(char::escape_debug).collect()
}

/// Whether these bytes may be STUN, by the first of them (RFC 7983).
pub(super) fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4)
}

#[cfg(test)]
mod tests {
    use turn_client_proto::types::stun::prelude::MessageWriteExt as _;

    use super::*;

    #[test]
    fn requests_are_recognised() {
        let bytes = request(Question::Refresh, 7);
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
    fn answers_tell_the_address_or_the_error() {
        let request = request(Question::Binding, 9);
        let request = Message::from_bytes(&request).unwrap();
        let address = "192.0.2.1:5000".parse().unwrap();
        let mut success = Message::builder_success(&request, MessageWriteVec::new());
        let mapped = XorMappedAddress::new(address, request.transaction_id());
        success.add_attribute(&mapped).unwrap();
        let success = reply(&success.finish()).unwrap();
        assert_eq!((success.id, success.mapped), (9, Some(address)));
        assert_eq!((success.lifetime, success.error), (None, None));

        let mut failure = Message::builder_error(&request, MessageWriteVec::new());
        let reason = ErrorCode::new(486, "go\naway").unwrap();
        failure.add_attribute(&reason).unwrap();
        let failure = reply(&failure.finish()).unwrap();
        assert_eq!((failure.id, failure.mapped), (9, None));
        assert_eq!(failure.error, Some((486, "go\\naway".to_owned())));
    }
}
