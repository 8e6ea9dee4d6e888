//! Frames on the `mesh-control` channel between two of ours (contract part 5).

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
        todo!()
    }

    /// Parses a frame; `None` for what we do not know or can not use.
    pub fn parse(data: &[u8]) -> Option<Self> {
        todo!("{data:?}")
    }
}
