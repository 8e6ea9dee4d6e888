//! Registry and sidecar: the frames on the WebSocket (contract parts 3 and 5).

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::PeerId;
use super::json::{self, Members, Object, ObjectWriter, write_object};
use crate::limits;

/// The version of our additions that we send as `v`.
const VERSION: u32 = 1;

/// Our additions to the payload of an offer, answer or candidate (contract part 5). Registries
/// relay them, others ignore them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extension {
    /// Whether the sender speaks part 5 (`"v": 1` or higher).
    pub ours: bool,
    /// The connection attempt it belongs to, chosen by the offerer.
    pub conn: Option<String>,
    /// The sender's session.
    pub session: Option<String>,
}

/// What one sidecar tells another through the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// `offer`
    Offer {
        /// The session description.
        sdp: String,
    },
    /// `answer`
    Answer {
        /// The session description.
        sdp: String,
    },
    /// `ice_candidate`; we send `sdpMid` `"0"` and `sdpMLineIndex` 0, and take any.
    Candidate {
        /// The candidate line; an empty one ends the candidates.
        candidate: String,
    },
}

/// A frame to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// `register`
    Register,
    /// `heartbeat`
    Heartbeat,
    /// Relayed to `target`.
    Relay {
        /// Who gets it.
        target: PeerId,
        /// What it says.
        signal: Signal,
        /// Our additions.
        extension: Extension,
    },
}

/// A frame from the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// `peer_list`: names that are not usable are left out.
    PeerList {
        /// The others online that this one may see.
        peers: Vec<PeerId>,
    },
    /// Relayed from `sender`.
    Relay {
        /// Who sent it.
        sender: PeerId,
        /// What it says.
        signal: Signal,
        /// Our additions, as far as they are usable.
        extension: Extension,
    },
    /// A type that we do not know; ignored.
    Unknown {
        /// The type, shortened for a log line.
        kind: String,
    },
}

/// Why a frame can not be used; the text names no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError(pub String);

impl Outgoing {
    /// The text frame, sent by `own`.
    pub fn to_text(&self, own: &PeerId) -> String {
        match self {
            Outgoing::Register => frame("register", own, None, |_| {}),
            Outgoing::Heartbeat => frame("heartbeat", own, None, |_| {}),
            Outgoing::Relay {
                target,
                signal,
                extension,
            } => frame(signal.kind(), own, Some(target), |payload| {
                signal.write(payload);
                extension.write(payload);
            }),
        }
    }
}

type Writer<'a> = ObjectWriter<'a, String>;

fn frame(
    kind: &'static str,
    own: &PeerId,
    target: Option<&PeerId>,
    payload: impl FnOnce(&mut Writer<'_>),
) -> String {
    let mut text = String::new();
    write_object(&mut text, |frame| {
        frame.string("type", kind);
        frame.string("peer_id", own.as_str());
        if let Some(target) = target {
            frame.string("target_id", target.as_str());
        }
        frame.object("payload", payload);
    });
    text
}

impl Signal {
    /// The frame's `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Signal::Offer { .. } => "offer",
            Signal::Answer { .. } => "answer",
            Signal::Candidate { .. } => "ice_candidate",
        }
    }

    fn write(&self, payload: &mut Writer<'_>) {
        match self {
            Signal::Offer { sdp } | Signal::Answer { sdp } => payload.string("sdp", sdp),
            Signal::Candidate { candidate } => {
                payload.string("candidate", candidate);
                payload.string("sdpMid", "0");
                payload.number("sdpMLineIndex", 0);
            }
        }
    }
}

impl Extension {
    fn write(&self, payload: &mut Writer<'_>) {
        if self.ours {
            payload.number("v", VERSION);
        }
        if let Some(conn) = &self.conn {
            payload.string("conn", conn);
        }
        if let Some(session) = &self.session {
            payload.string("session", session);
        }
    }
}

impl Incoming {
    /// Parses a text frame.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        if text.len() > limits::SIGNALING_FRAME_BYTES {
            let (size, limit) = (text.len(), limits::SIGNALING_FRAME_BYTES);
            return Err(FrameError(format!(
                "a frame of {size} bytes, more than {limit}"
            )));
        }
        let frame: Frame<'_> = Object::read(text).map_err(|_| match json::is_json(text) {
            Ok(()) => FrameError("a frame that is no JSON object".into()),
            Err(error) => FrameError(format!("a frame that is not JSON: {error}")),
        })?;
        let kind = frame
            .kind
            .and_then(json::string)
            .ok_or_else(|| FrameError("a frame without a `type` that is a string".into()))?;
        match kind.as_ref() {
            "peer_list" => parse_peer_list(frame.payload),
            "offer" => parse_relay("offer", &frame, |payload| {
                payload.sdp().map(|sdp| Signal::Offer { sdp })
            }),
            "answer" => parse_relay("answer", &frame, |payload| {
                payload.sdp().map(|sdp| Signal::Answer { sdp })
            }),
            "ice_candidate" => parse_relay("ice_candidate", &frame, |payload| {
                payload
                    .candidate()
                    .map(|candidate| Signal::Candidate { candidate })
            }),
            unknown => Ok(Incoming::Unknown {
                kind: json::shorten(unknown),
            }),
        }
    }
}

fn parse_peer_list(payload: Option<&RawValue>) -> Result<Incoming, FrameError> {
    let names: Option<Vec<&RawValue>> = payload
        .and_then(|payload| Object::read(payload.get()).ok())
        .and_then(|payload: Payload<'_>| serde_json::from_str(payload.peers?.get()).ok());
    let peers = names
        .ok_or_else(|| FrameError("peer_list without an array `peers`".into()))?
        .into_iter()
        .filter_map(json::string)
        .filter_map(|name| PeerId::new(&name))
        .collect();
    Ok(Incoming::PeerList { peers })
}

/// Parses what another sidecar sent. `signal` takes it from the payload, or says what is wrong.
fn parse_relay(
    kind: &'static str,
    frame: &Frame<'_>,
    signal: impl FnOnce(&Payload<'_>) -> Result<Signal, String>,
) -> Result<Incoming, FrameError> {
    let sender = frame
        .peer_id
        .and_then(json::string)
        .and_then(|name| PeerId::new(&name))
        .ok_or_else(|| FrameError(format!("{kind} without a usable `peer_id`")))?;
    let fault = |fault| FrameError(format!("{kind} of {sender} {fault}"));
    let payload: Payload<'_> = match frame.payload {
        None => Payload::default(),
        Some(payload) => Object::read(payload.get())
            .map_err(|_| fault("has a payload that is no object".into()))?,
    };
    let signal = signal(&payload).map_err(fault)?;
    Ok(Incoming::Relay {
        signal,
        extension: payload.extension(),
        sender,
    })
}

/// The members of a frame that have a meaning.
#[derive(Default)]
struct Frame<'a> {
    kind: Option<&'a RawValue>,
    peer_id: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
}

impl<'de> Members<'de> for Frame<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = Some(map.next_value()?),
            "peer_id" => self.peer_id = Some(map.next_value()?),
            // A null payload is an absent one.
            "payload" => self.payload = map.next_value()?,
            _ => json::pass_over(map)?,
        }
        Ok(())
    }
}

/// The members of a payload that some frame has; null ones are absent.
#[derive(Default)]
struct Payload<'a> {
    peers: Option<&'a RawValue>,
    sdp: Option<&'a RawValue>,
    candidate: Option<&'a RawValue>,
    v: Option<&'a RawValue>,
    conn: Option<&'a RawValue>,
    session: Option<&'a RawValue>,
}

impl<'de> Members<'de> for Payload<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "peers" => self.peers = map.next_value()?,
            "sdp" => self.sdp = map.next_value()?,
            "candidate" => self.candidate = map.next_value()?,
            "v" => self.v = map.next_value()?,
            "conn" => self.conn = map.next_value()?,
            "session" => self.session = map.next_value()?,
            _ => json::pass_over(map)?,
        }
        Ok(())
    }
}

impl Payload<'_> {
    fn sdp(&self) -> Result<String, String> {
        self.sdp
            .and_then(json::string)
            .map(Cow::into_owned)
            .ok_or_else(|| "has no `sdp` that is a string".into())
    }

    fn candidate(&self) -> Result<String, String> {
        let Some(value) = self.candidate else {
            return Ok(String::new());
        };
        let candidate = json::string(value).ok_or("has a `candidate` that is no string")?;
        if candidate.len() > limits::CANDIDATE_BYTES {
            let (size, limit) = (candidate.len(), limits::CANDIDATE_BYTES);
            return Err(format!(
                "has a candidate of {size} bytes, more than {limit}"
            ));
        }
        Ok(candidate.into_owned())
    }

    fn extension(&self) -> Extension {
        Extension {
            ours: self.v.is_some_and(is_version),
            conn: self.conn.and_then(wire_id),
            session: self.session.and_then(wire_id),
        }
    }
}

/// Whether a `v` is an integer from 1 up.
fn is_version(value: &RawValue) -> bool {
    let text = value.get();
    text != "0" && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A `conn` or `session` id that can be kept and logged.
pub(super) fn wire_id(value: &RawValue) -> Option<String> {
    json::string(value)
        .filter(|id| !id.is_empty() && id.len() <= limits::WIRE_ID_BYTES)
        .filter(|id| !id.chars().any(char::is_control))
        .map(Cow::into_owned)
}

#[cfg(test)]
mod tests;
