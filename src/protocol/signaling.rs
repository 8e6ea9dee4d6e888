//! Signaling frames between registry and sidecar on the WebSocket (contract parts 3 and 5).

use std::borrow::Cow;
use std::time::Duration;

use super::json::{ObjectWriter, Value, push_string, shorten, write_object};
use super::{PathKind, PeerId};
use crate::limits;

/// The version of our additions, sent as `v`.
const VERSION: u32 = 1;

/// The reason with which our registry closes a WebSocket whose peer has opened another.
pub const CONNECTED_AGAIN: &str = "the same peer has connected again";

/// The sender name in frames of the registry itself (contract part 3).
const REGISTRY: &str = "registry";

/// Our additions to the payload of an offer, answer or candidate (contract part 5). Registries relay them;
/// sidecars of another make ignore them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extension {
    /// Whether the sender speaks part 5 (`"v": 1` or higher).
    pub ours: bool,
    /// The id of the connection attempt, chosen by the offerer.
    pub conn: Option<String>,
    /// The sender's session.
    pub session: Option<String>,
    /// The error code with which the offer `conn` of the receiver is refused. It comes with an empty
    /// candidate, which means nothing to those who do not know it.
    pub refused: Option<String>,
}

/// A signal that one sidecar sends another through the registry.
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

/// A connection as the registry is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The peer.
    pub peer: PeerId,
    /// The kind of the path in use, once one is known.
    pub path: Option<PathKind>,
    /// The round-trip time of that path, once it was measured.
    pub round_trip: Option<Duration>,
}

/// A frame to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// `register`
    Register,
    /// `heartbeat`
    Heartbeat,
    /// A `heartbeat` that tells with whom we are connected, and how.
    Report {
        /// The connections.
        connections: Vec<Reported>,
    },
    /// A signal to another sidecar, which the registry relays.
    Relay {
        /// The sidecar that gets it.
        target: PeerId,
        /// The signal.
        signal: Signal,
        /// Our additions.
        extension: Extension,
    },
}

/// A frame from the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// `peer_list`; names that are not usable are left out.
    PeerList {
        /// The other peers online that this one may see.
        peers: Vec<PeerId>,
        /// How many names there were beyond [`limits::LISTED_PEERS`].
        left_out: usize,
    },
    /// A signal of another sidecar, relayed by the registry.
    Relay {
        /// The sidecar that sent it.
        sender: PeerId,
        /// The sidecar that it is for, if that is told. The registry relays only what is for us.
        target: Option<PeerId>,
        /// The signal.
        signal: Signal,
        /// Our additions, as far as they are usable.
        extension: Extension,
    },
    /// A frame of a type that we do not know; ignored.
    Unknown {
        /// The type, shortened for a log line.
        kind: String,
    },
}

/// The reason why a frame cannot be used. The text names no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError(pub String);

impl Outgoing {
    /// Returns the text frame, with `own` as its sender.
    pub fn to_text(&self, own: &PeerId) -> String {
        match self {
            Outgoing::Register => frame("register", own, None, |_| {}),
            Outgoing::Heartbeat => frame("heartbeat", own, None, |_| {}),
            Outgoing::Report { connections } => frame("heartbeat", own, None, |payload| {
                payload.array("mesh_peers", connections, |out, reported| {
                    push_string(out, reported.peer.as_str());
                });
                payload.array("mesh_paths", connections, |out, reported| {
                    write_object(out, |path| reported.write(path));
                });
            }),
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

impl Reported {
    fn write(&self, path: &mut Writer<'_>) {
        path.string("peer_id", self.peer.as_str());
        if let Some(kind) = self.path {
            path.string("path", kind.name());
        }
        if let Some(round_trip) = self.round_trip {
            let milliseconds = round_trip.as_secs_f64() * 1000.0;
            path.number("round_trip_ms", format_args!("{milliseconds:.3}"));
        }
    }
}

impl Signal {
    /// Returns the frame's `type`.
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
        if let Some(refused) = &self.refused {
            payload.string("refused", refused);
        }
    }
}

impl Incoming {
    /// Parses a text frame.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let value =
            Value::parse(text).map_err(|error| FrameError(format!("a frame that {error}")))?;
        let frame =
            Frame::of(value).ok_or_else(|| FrameError("a frame that is no JSON object".into()))?;
        let kind = frame
            .kind
            .and_then(Value::string)
            .ok_or_else(|| FrameError("a frame without a `type` that is a string".into()))?;
        // A list may be as long as the socket allows; every other frame comes from some peer.
        if kind != "peer_list" && text.len() > limits::SIGNALING_FRAME_BYTES {
            let (size, limit) = (text.len(), limits::SIGNALING_FRAME_BYTES);
            return Err(FrameError(format!(
                "a frame of {size} bytes, more than {limit}"
            )));
        }
        match kind.as_ref() {
            "peer_list" => frame.peer_list(),
            "offer" => frame.relay("offer", |payload| {
                payload.sdp().map(|sdp| Signal::Offer { sdp })
            }),
            "answer" => frame.relay("answer", |payload| {
                payload.sdp().map(|sdp| Signal::Answer { sdp })
            }),
            "ice_candidate" => frame.relay("ice_candidate", |payload| {
                let candidate = payload.candidate()?;
                Ok(Signal::Candidate { candidate })
            }),
            unknown => Ok(Incoming::Unknown {
                kind: shorten(unknown),
            }),
        }
    }
}

/// The members of a frame that have a meaning.
#[derive(Default)]
struct Frame<'a> {
    kind: Option<Value<'a>>,
    peer_id: Option<Value<'a>>,
    target_id: Option<Value<'a>>,
    /// The payload; null counts as absent.
    payload: Option<Value<'a>>,
}

impl<'a> Frame<'a> {
    fn of(frame: Value<'a>) -> Option<Self> {
        let mut members = Frame::default();
        let is_object = frame.members(|key, value| match key {
            "type" => members.kind = Some(value),
            "peer_id" => members.peer_id = Some(value),
            "target_id" => members.target_id = Some(value),
            "payload" => members.payload = value.unless_null(),
            _ => {}
        });
        is_object.then_some(members)
    }

    fn peer_list(&self) -> Result<Incoming, FrameError> {
        let sender = self.peer_id.and_then(Value::string);
        if sender.as_deref() != Some(REGISTRY) {
            return Err(FrameError("peer_list that is not the registry's".into()));
        }
        let mut peers = Vec::new();
        let mut left_out = 0;
        let is_list = self
            .payload
            .and_then(Payload::of)
            .and_then(|payload| payload.peers)
            .is_some_and(|list| {
                list.elements(|name| {
                    if peers.len() < limits::LISTED_PEERS {
                        peers.extend(name.string().and_then(|name| PeerId::new(&name)));
                    } else {
                        left_out += 1;
                    }
                })
            });
        match is_list {
            true => Ok(Incoming::PeerList { peers, left_out }),
            false => Err(FrameError("peer_list without an array `peers`".into())),
        }
    }

    /// Reads a frame that another sidecar sent. `signal` takes the signal from the payload, or says what
    /// is wrong.
    fn relay(
        &self,
        kind: &'static str,
        signal: impl FnOnce(&Payload<'_>) -> Result<Signal, String>,
    ) -> Result<Incoming, FrameError> {
        let sender = self
            .peer_id
            .and_then(Value::string)
            .and_then(|name| PeerId::new(&name))
            .ok_or_else(|| FrameError(format!("{kind} without a usable `peer_id`")))?;
        let target = self.target_id.and_then(Value::string);
        let fault = |fault| FrameError(format!("{kind} of {sender} {fault}"));
        let payload = match self.payload {
            None => Payload::default(),
            Some(payload) => Payload::of(payload)
                .ok_or_else(|| fault("has a payload that is no object".into()))?,
        };
        let signal = signal(&payload).map_err(fault)?;
        Ok(Incoming::Relay {
            signal,
            extension: payload.extension(),
            target: target.and_then(|name| PeerId::new(&name)),
            sender,
        })
    }
}

/// The members of a payload that some frame has; null counts as absent.
#[derive(Default)]
struct Payload<'a> {
    peers: Option<Value<'a>>,
    sdp: Option<Value<'a>>,
    candidate: Option<Value<'a>>,
    v: Option<Value<'a>>,
    conn: Option<Value<'a>>,
    session: Option<Value<'a>>,
    refused: Option<Value<'a>>,
}

impl<'a> Payload<'a> {
    fn of(payload: Value<'a>) -> Option<Self> {
        let mut members = Payload::default();
        let is_object = payload.members(|key, value| {
            let member = match key {
                "peers" => &mut members.peers,
                "sdp" => &mut members.sdp,
                "candidate" => &mut members.candidate,
                "v" => &mut members.v,
                "conn" => &mut members.conn,
                "session" => &mut members.session,
                "refused" => &mut members.refused,
                _ => return,
            };
            *member = value.unless_null();
        });
        is_object.then_some(members)
    }

    fn sdp(&self) -> Result<String, String> {
        let sdp = self.sdp.and_then(Value::string);
        let sdp = sdp.ok_or("has no `sdp` that is a string")?;
        let (size, limit) = (sdp.len(), limits::DESCRIPTION_BYTES);
        if size > limit {
            return Err(format!("has an `sdp` of {size} bytes, more than {limit}"));
        }
        Ok(sdp.into_owned())
    }

    fn candidate(&self) -> Result<String, String> {
        let Some(value) = self.candidate else {
            return Ok(String::new());
        };
        let candidate = value
            .string()
            .ok_or("has a `candidate` that is no string")?;
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
            refused: self.refused.and_then(wire_id),
        }
    }
}

/// Returns whether a `v` is an integer from 1 up.
fn is_version(value: Value<'_>) -> bool {
    value.is_integer() && !value.as_json().starts_with(['-', '0'])
}

/// Returns a `conn` or `session` id, if it can be kept and logged.
pub(super) fn wire_id(value: Value<'_>) -> Option<String> {
    value
        .string()
        .filter(|id| !id.is_empty() && id.len() <= limits::WIRE_ID_BYTES)
        .filter(|id| !id.chars().any(char::is_control))
        .map(Cow::into_owned)
}

#[cfg(test)]
mod tests;
