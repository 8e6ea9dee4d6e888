//! Splits a stream into TURN messages and pads those that are written to it (RFC 8656 section 12.5, RFC
//! 8489 section 6.2.2).
//!
//! A stream carries STUN messages, whose length is a multiple of four, and channel data, which is
//! padded to one. The rest of the program sees datagrams.

use std::fmt;

/// Length of the header of channel data. Both headers begin with these four bytes.
const CHANNEL_HEADER: usize = 4;
/// Length of a STUN header.
const STUN_HEADER: usize = 20;

/// The error of a stream that carries something other than TURN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotTurn;

impl fmt::Display for NotTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what came is not TURN")
    }
}

/// Splits a stream into messages. Holds at most one message and what was last pushed.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    received: Vec<u8>,
    /// How many bytes of `received` were returned as messages.
    taken: usize,
}

impl Framing {
    /// Adds the next bytes of the stream. [`Framing::next`] is to be called until it returns `None`.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.extend_from_slice(bytes);
    }

    /// Returns the next whole message, without padding.
    ///
    /// # Errors
    /// The stream does not carry TURN and is of no more use.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, NotTurn> {
        let rest = self.received.get(self.taken..).unwrap_or_default();
        let Some((first, length)) = header(rest) else {
            return Ok(None);
        };
        let (length, padded) = match first {
            0..=3 if length % 4 == 0 => (STUN_HEADER + length, STUN_HEADER + length),
            0x40..=0x4F => {
                let length = CHANNEL_HEADER + length;
                (length, length.next_multiple_of(4))
            }
            _ => return Err(NotTurn),
        };
        if rest.len() < padded {
            return Ok(None);
        }
        let start = self.taken;
        self.taken += padded;
        Ok(self.received.get(start..start + length))
    }
}

/// Reads the first byte and the length field, which both kinds of message have in the same place.
fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    match bytes {
        [first, _, high, low, ..] => Some((*first, usize::from(u16::from_be_bytes([*high, *low])))),
        _ => None,
    }
}

/// Pads a message for a stream.
pub(crate) fn pad(message: &mut Vec<u8>) {
    message.resize(message.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel_data(data: &[u8]) -> Vec<u8> {
        let mut message = vec![0x40, 0x00, 0x00, u8::try_from(data.len()).unwrap()];
        message.extend_from_slice(data);
        message
    }

    fn stream() -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut stun = vec![0x01, 0x01, 0, 4];
        stun.extend([7; 20]);
        let messages = vec![
            channel_data(b"a"),
            stun,
            channel_data(b"abcd"),
            channel_data(b""),
        ];
        let mut stream = Vec::new();
        for message in &messages {
            let mut message = message.clone();
            pad(&mut message);
            stream.extend(message);
        }
        (messages, stream)
    }

    #[test]
    fn messages_come_out_as_they_went_in_whatever_the_pieces() {
        let (messages, stream) = stream();
        for piece in [1, 2, 3, 5, 7, 64] {
            let mut framing = Framing::default();
            let mut found = Vec::new();
            for bytes in stream.chunks(piece) {
                framing.push(bytes);
                while let Some(message) = framing.next().unwrap() {
                    found.push(message.to_vec());
                }
            }
            assert_eq!(found, messages, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_not_turn_ends_the_stream() {
        for bad in [&b"SSH-2.0"[..], &[0x80; 4], &[0x16, 3, 1, 0], &[0, 1, 0, 3]] {
            let mut framing = Framing::default();
            framing.push(bad);
            assert_eq!(framing.next(), Err(NotTurn), "{bad:?}");
        }
    }

    #[test]
    fn no_more_is_held_than_an_unfinished_message() {
        let (_, stream) = stream();
        let mut framing = Framing::default();
        for _ in 0..1000 {
            framing.push(&stream);
            while framing.next().unwrap().is_some() {}
        }
        framing.push(&[0x40]);
        assert_eq!(framing.received.len(), 1);
    }
}
