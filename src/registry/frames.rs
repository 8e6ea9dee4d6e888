//! What a text frame of a peer asks for (contract part 3).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::directory::{Directory, Place};
use super::reports::{Reported, reported};
use crate::limits::MESSAGE_NESTING;
use crate::protocol::PeerId;
use crate::protocol::message::is_object_within;

/// The types of frames that peers send each other.
const RELAYED: [&str; 3] = ["offer", "answer", "ice_candidate"];

/// What a frame asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Reaction {
    /// The sender is to be registered.
    Register,
    /// The sender is connected to these peers.
    Report(Vec<Reported>),
    /// The frame goes unchanged to this peer.
    Relay {
        /// Its type.
        kind: &'static str,
        /// The peer it is for.
        target: PeerId,
        /// Where that peer is.
        place: Place,
    },
    /// The frame has no effect, for this reason.
    Nothing(&'static str),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    peer_id: Cow<'a, str>,
    #[serde(default, borrow)]
    target_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
}

/// Returns what a text frame asks for that came on a connection which was opened with a token of `sender`.
pub(super) fn read(directory: &Directory, sender: &PeerId, text: &str) -> Reaction {
    if !is_object_within(text, MESSAGE_NESTING) {
        return Reaction::Nothing("it is no object, or nested too deeply");
    }
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        return Reaction::Nothing("it is no frame of the contract");
    };
    if envelope.peer_id != sender.as_str() {
        return Reaction::Nothing("its peer_id is not the sender's");
    }
    if let Some(kind) = RELAYED.into_iter().find(|kind| *kind == envelope.kind) {
        let target = envelope.target_id.and_then(|target| PeerId::new(&target));
        let found = target.and_then(|target| Some((directory.place(&target)?, target)));
        return match found {
            Some((place, target)) => Reaction::Relay {
                kind,
                target,
                place,
            },
            None => Reaction::Nothing("its target is not online"),
        };
    }
    match envelope.kind.as_ref() {
        "register" => Reaction::Register,
        "heartbeat" => match envelope.payload.and_then(reported) {
            Some(peers) if directory.report_of(sender) == Some(&peers) => {
                Reaction::Nothing("it reports what is known")
            }
            Some(peers) => Reaction::Report(peers),
            None => Reaction::Nothing("a heartbeat is not answered"),
        },
        _ => Reaction::Nothing("its type is unknown"),
    }
}

#[cfg(test)]
mod tests;
