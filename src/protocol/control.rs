//! Frames on the `mesh-control` channel between two sidecars of this make (contract part 5).

use super::PeerId;
use super::json::{Value, write_object};
use super::signaling::wire_id;
use crate::limits;

/// What `hello` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The sender's session.
    pub session: String,
    /// Messages of the receiver's session that the sender's agent has taken so far.
    pub received: u64,
    /// The sender's line is paid for by the byte: while nothing is said, both ask each other for a sign of
    /// life less often.
    pub metered: bool,
    /// How much the receive buffers of the sender's UDP sockets hold, in bytes as its system counts them.
    pub udp_buffer: Option<u64>,
    /// The sender's own name.
    pub peer_id: Option<PeerId>,
    /// The proof that the sender knows the secret of the mesh; see [`Claim`](super::proof::Claim).
    pub proof: Option<String>,
}

/// One control frame. The JSON of a frame may hold several; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// `hello`: the first frame of each side on each connection.
    Hello(Hello),
    /// `ack`: what the sender's agent has taken, and the window.
    Ack {
        /// Messages of the receiver's session that the sender's agent has taken.
        taken: u64,
        /// Bytes beyond message `taken` that may be under way.
        window: u64,
    },
    /// `ping`: to be answered with a pong that repeats `t`.
    Ping {
        /// The sender's own mark, as JSON text.
        t: String,
    },
    /// `pong`: the answer to a ping.
    Pong {
        /// The mark of the ping, as JSON text.
        t: String,
    },
    /// `frame`: a signaling frame for the receiver, or to be passed on to the peer that it names.
    Frame {
        /// The frame, as JSON text; see [`Incoming`](super::signaling::Incoming).
        text: String,
    },
    /// `rest`: the sender is about to end the connection because it is idle and others need its place. The
    /// session stays; whoever has something to say connects again.
    Rest,
}

impl Control {
    /// Returns the frame as JSON text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        write_object(&mut text, |frame| match self {
            Control::Hello(said) => frame.object("hello", |hello| {
                hello.string("session", &said.session);
                hello.number("received", said.received);
                if said.metered {
                    hello.raw("metered", "true");
                }
                if let Some(bytes) = said.udp_buffer {
                    hello.number("udp_buffer", bytes);
                }
                if let Some(peer_id) = &said.peer_id {
                    hello.string("peer_id", peer_id.as_str());
                }
                if let Some(proof) = &said.proof {
                    hello.string("proof", proof);
                }
            }),
            Control::Ack { taken, window } => {
                frame.number("ack", taken);
                frame.number("window", window);
            }
            Control::Ping { t } => frame.raw("ping", t),
            Control::Pong { t } => frame.raw("pong", t),
            Control::Frame { text } => frame.raw("frame", text),
            Control::Rest => frame.object("rest", |_| {}),
        });
        text
    }

    /// Parses a frame; returns `None` for one that we do not know or cannot use. If a frame holds several,
    /// it returns the first usable one in the order of [`Control`]'s variants.
    pub fn parse(data: &[u8]) -> Option<Self> {
        if data.len() > limits::CONTROL_FRAME_BYTES {
            return None;
        }
        let frame = Frame::of(Value::parse(std::str::from_utf8(data).ok()?).ok()?);
        let json = |value: Value<'_>| value.as_json().to_owned();
        frame
            .hello()
            .or_else(|| frame.ack())
            .or_else(|| frame.ping.map(json).map(|t| Control::Ping { t }))
            .or_else(|| frame.pong.map(json).map(|t| Control::Pong { t }))
            .or_else(|| frame.frame.map(json).map(|text| Control::Frame { text }))
            .or_else(|| frame.rest.map(|_| Control::Rest))
    }
}

/// The known members of a control frame.
#[derive(Default)]
struct Frame<'a> {
    hello: Option<Value<'a>>,
    ack: Option<Value<'a>>,
    window: Option<Value<'a>>,
    ping: Option<Value<'a>>,
    pong: Option<Value<'a>>,
    frame: Option<Value<'a>>,
    rest: Option<Value<'a>>,
}

impl<'a> Frame<'a> {
    /// Reads the members of a frame; there are none if it is no object.
    fn of(frame: Value<'a>) -> Self {
        let mut members = Frame::default();
        frame.members(|key, value| match key {
            "hello" => members.hello = Some(value),
            "ack" => members.ack = Some(value),
            "window" => members.window = Some(value),
            "ping" => members.ping = Some(value),
            "pong" => members.pong = Some(value),
            "frame" => members.frame = Some(value),
            "rest" => members.rest = Some(value),
            _ => {}
        });
        members
    }

    fn hello(&self) -> Option<Control> {
        let (mut session, mut received, mut metered) = (None, None, false);
        let (mut udp_buffer, mut peer_id, mut proof) = (None, None, None);
        self.hello?.members(|key, value| match key {
            "session" => session = Some(value),
            "received" => received = Some(value),
            "metered" => metered = value.as_json() == "true",
            "udp_buffer" => udp_buffer = value.count(),
            "peer_id" => peer_id = value.string().and_then(|name| PeerId::new(&name)),
            "proof" => proof = wire_id(value),
            _ => {}
        });
        Some(Control::Hello(Hello {
            session: wire_id(session?)?,
            received: received?.count()?,
            metered,
            udp_buffer,
            peer_id,
            proof,
        }))
    }

    fn ack(&self) -> Option<Control> {
        Some(Control::Ack {
            taken: self.ack?.count()?,
            window: self.window?.count()?,
        })
    }
}

#[cfg(test)]
mod tests;
