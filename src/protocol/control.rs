//! Frames on the `mesh-control` channel between two of ours (contract part 5).

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::json::{self, Members, Object, write_object};
use super::signaling::wire_id;
use crate::limits;

/// One control frame. A frame may hold several in the field's JSON; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// `hello`: the first frame of each side on each connection.
    Hello {
        /// The sender's session.
        session: String,
        /// Messages of the receiver's session that the sender's agent has taken so far.
        received: u64,
    },
    /// `ack`
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
    /// `pong`
    Pong {
        /// The mark of the ping, as JSON text.
        t: String,
    },
}

impl Control {
    /// The JSON text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        write_object(&mut text, |frame| match self {
            Control::Hello { session, received } => frame.object("hello", |hello| {
                hello.string("session", session);
                hello.number("received", received);
            }),
            Control::Ack { taken, window } => {
                frame.number("ack", taken);
                frame.number("window", window);
            }
            Control::Ping { t } => frame.raw("ping", t),
            Control::Pong { t } => frame.raw("pong", t),
        });
        text
    }

    /// Parses a frame; `None` for what we do not know or can not use. Of a frame that holds
    /// several, the first usable in the order of [`Control`]'s variants.
    pub fn parse(data: &[u8]) -> Option<Self> {
        if data.len() > limits::CONTROL_FRAME_BYTES {
            return None;
        }
        let frame: Frame<'_> = Object::read(std::str::from_utf8(data).ok()?).ok()?;
        frame
            .hello()
            .or_else(|| frame.ack())
            .or_else(|| frame.ping.map(mark).map(|t| Control::Ping { t }))
            .or_else(|| frame.pong.map(mark).map(|t| Control::Pong { t }))
    }
}

/// The members that frames have.
#[derive(Default)]
struct Frame<'a> {
    hello: Option<&'a RawValue>,
    ack: Option<&'a RawValue>,
    window: Option<&'a RawValue>,
    ping: Option<&'a RawValue>,
    pong: Option<&'a RawValue>,
}

impl<'de> Members<'de> for Frame<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "hello" => self.hello = Some(map.next_value()?),
            "ack" => self.ack = Some(map.next_value()?),
            "window" => self.window = Some(map.next_value()?),
            "ping" => self.ping = Some(map.next_value()?),
            "pong" => self.pong = Some(map.next_value()?),
            _ => json::pass_over(map)?,
        }
        Ok(())
    }
}

impl Frame<'_> {
    fn hello(&self) -> Option<Control> {
        let hello: Hello<'_> = Object::read(self.hello?.get()).ok()?;
        Some(Control::Hello {
            session: wire_id(hello.session?)?,
            received: count(hello.received?)?,
        })
    }

    fn ack(&self) -> Option<Control> {
        Some(Control::Ack {
            taken: count(self.ack?)?,
            window: count(self.window?)?,
        })
    }
}

/// The members of a `hello`.
#[derive(Default)]
struct Hello<'a> {
    session: Option<&'a RawValue>,
    received: Option<&'a RawValue>,
}

impl<'de> Members<'de> for Hello<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "session" => self.session = Some(map.next_value()?),
            "received" => self.received = Some(map.next_value()?),
            _ => json::pass_over(map)?,
        }
        Ok(())
    }
}

/// A whole number that is not negative and fits 64 bits.
fn count(value: &RawValue) -> Option<u64> {
    value.get().parse().ok()
}

/// The mark of a ping or pong, any value.
fn mark(value: &RawValue) -> String {
    value.get().to_owned()
}

#[cfg(test)]
mod tests;
