//! A client's TCP or TLS connection to the relay.

use std::io::{self, Read as _, Write as _};
use std::time::Instant;

use super::client::Client;
use crate::nat::turn::framing::{self, Framing};
use crate::registry::limits::{IDLE_RELAY_STREAM, RELAY_STREAM_BYTES};
use crate::registry::socket::Socket;

/// A connection.
pub(super) struct Stream {
    pub(super) socket: Socket,
    pub(super) client: Client,
    pub(super) framing: Framing,
    unsent: Vec<u8>,
    /// When it ends if it has no allocation then.
    pub(super) idle_until: Instant,
}

impl Stream {
    /// Makes it of a connection of which `received` was read.
    pub(super) fn new(socket: Socket, client: Client, received: &[u8], now: Instant) -> Self {
        let mut framing = Framing::default();
        framing.push(received);
        Stream {
            socket,
            client,
            framing,
            unsent: Vec::new(),
            idle_until: now + IDLE_RELAY_STREAM,
        }
    }

    /// Reads once. Returns the number of bytes; fails with `WouldBlock` when there are none.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer)?;
        self.framing.push(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// Sends a message, or drops it if too much waits: relayed data is never reliable.
    pub(super) fn send(&mut self, mut message: Vec<u8>) -> io::Result<()> {
        framing::pad(&mut message);
        if self.unsent.len() + message.len() > RELAY_STREAM_BYTES {
            log::trace!(
                "{} takes too little; a message is dropped",
                self.client.address
            );
            return Ok(());
        }
        self.unsent.extend_from_slice(&message);
        self.write()
    }

    /// Writes what waits, as far as the socket takes it.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            match self.unsent.get(written..) {
                None | Some([]) => break self.socket.flush(),
                Some(rest) => match self.socket.write(rest) {
                    Ok(count) => written += count,
                    Err(error) => break Err(error),
                },
            }
        };
        self.unsent.drain(..written);
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }
}
