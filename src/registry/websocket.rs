//! The WebSocket of a peer (RFC 6455), over whatever socket it is handed.

use std::io::{self, Read, Write};

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Error, Message, Utf8Bytes, error::ProtocolError};

use super::limits;
use super::progress::Next;
use crate::protocol::PeerId;

/// The WebSocket of one peer: its frames in and out.
pub(super) struct WebSocket {
    peer: PeerId,
    context: WebSocketContext,
}

impl WebSocket {
    /// Makes the WebSocket of `peer`; the bytes `received` came right behind its handshake.
    pub(super) fn new(peer: PeerId, received: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_write_buffer_size(limits::OUT_QUEUE_BYTES)
            .max_message_size(Some(limits::FRAME_BYTES))
            .max_frame_size(Some(limits::FRAME_BYTES));
        WebSocket {
            peer,
            context: WebSocketContext::from_partially_read(received, Role::Server, Some(config)),
        }
    }

    /// Returns the peer whose WebSocket it is.
    pub(super) fn peer(&self) -> &PeerId {
        &self.peer
    }

    /// Writes what waits and reads on to the next text frame. Pings are answered on the way; binary frames
    /// are ignored.
    pub(super) fn next(&mut self, socket: &mut (impl Read + Write)) -> io::Result<Next> {
        loop {
            let read =
                unless_blocked(self.context.flush(socket)).and_then(|()| self.context.read(socket));
            match read {
                Ok(Message::Text(text)) => return Ok(Next::Frame(text)),
                Ok(_) => {}
                Err(error) => return after(error),
            }
        }
    }

    /// Sends a text frame, or queues what the socket does not take. An error says why the connection has
    /// to end.
    pub(super) fn send(
        &mut self,
        socket: &mut (impl Read + Write),
        text: Utf8Bytes,
    ) -> Result<(), &'static str> {
        self.write(socket, Message::Text(text))
    }

    /// Sends a ping, which asks for a sign of life.
    pub(super) fn ping(&mut self, socket: &mut (impl Read + Write)) -> Result<(), &'static str> {
        self.write(socket, Message::Ping(Bytes::new()))
    }

    /// Sends a close frame with the reason, as far as the socket takes it.
    pub(super) fn close(
        &mut self,
        socket: &mut (impl Read + Write),
        code: CloseCode,
        reason: &'static str,
    ) {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        };
        if let Err(error) = self.context.close(socket, Some(frame)) {
            log::trace!("{} was not told why it is closed: {error}", self.peer);
        }
    }

    fn write(
        &mut self,
        socket: &mut (impl Read + Write),
        message: Message,
    ) -> Result<(), &'static str> {
        match unless_blocked(self.context.write(socket, message)) {
            Ok(()) => Ok(()),
            Err(Error::WriteBufferFull(_)) => Err("it reads too slowly"),
            Err(_) => Err("the connection failed"),
        }
    }
}

/// Treats a socket that takes no more as no failure: the rest is written when it is ready again.
fn unless_blocked(result: tungstenite::Result<()>) -> tungstenite::Result<()> {
    match result {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        other => other,
    }
}

/// Returns what an error while reading means for the connection.
fn after(error: Error) -> io::Result<Next> {
    match error {
        Error::Io(error) => Err(error),
        Error::ConnectionClosed | Error::AlreadyClosed => Ok(Next::Closed("it said goodbye")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Ok(Next::Closed("it went without a goodbye"))
        }
        Error::WriteBufferFull(_) => Ok(Next::Closed("it reads too slowly")),
        Error::Capacity(_) => Ok(Next::Violation(
            CloseCode::Size,
            "the message is over 256 KiB",
        )),
        Error::Utf8(_) => Ok(Next::Violation(CloseCode::Invalid, "the text is not UTF-8")),
        Error::Protocol(_)
        | Error::AttackAttempt
        | Error::Tls(_)
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => Ok(Next::Violation(
            CloseCode::Protocol,
            "this is not WebSocket",
        )),
    }
}
