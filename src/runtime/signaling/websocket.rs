//! One WebSocket to the registry: opens it, sends and receives frames, closes it.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use tungstenite::client::client_with_config;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::http::StatusCode;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message, Utf8Bytes, WebSocket};

use super::dial::dial;
use super::failure::{Failure, Kind};
use super::retry_after;
use super::settings::Settings;
use super::stream::{self, Stream};
use super::wakeups::Wakeups;
use super::way::Way;
use crate::limits;
use crate::protocol::signaling::CONNECTED_AGAIN;
use crate::secret::Secret;

/// The size of the pieces in which frames are read and written; most frames have one or two KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// A received frame.
#[derive(Debug)]
pub(super) enum Received {
    /// A text frame.
    Text(Utf8Bytes),
    /// A frame that is no valid text, and why. The connection goes on.
    Unusable(&'static str),
    /// A ping (answered by tungstenite) or a pong.
    SignOfLife,
}

/// An open WebSocket that never blocks. Any of its errors, in words for a person, ends it.
pub(super) struct Connection {
    socket: WebSocket<Stream>,
    pub(super) way: Way,
    /// The round trip of the TCP connection when it was opened.
    pub(super) round_trip: Duration,
}

impl Connection {
    /// Connects to the registry, and secures and upgrades the connection.
    ///
    /// Takes [`Times::handshake`](super::Times::handshake) at most, beside what the resolver takes; less
    /// when the thread is asked to stop, or the way is lost by a change of the network.
    pub(super) fn open(
        settings: &Settings,
        token: &Secret,
        wakeups: &Wakeups,
    ) -> Result<Self, Failure> {
        let url = &settings.signaling_url;
        let request = url.with_token(token)?;
        let dialled = dial(url, settings, wakeups)?;
        let (socket, way, round_trip) = (dialled.socket, dialled.way, dialled.round_trip);
        let patience = settings.times.patience(round_trip);
        let deadline = dialled.began + patience;
        let stream = if url.is_secure() {
            Stream::secured(socket, url.host(), settings.tls.get())?
        } else {
            Stream::Plain(socket)
        };

        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_write_buffer_size(2 * limits::SIGNALING_FRAME_BYTES)
            .max_message_size(Some(limits::REGISTRY_FRAME_BYTES))
            .max_frame_size(Some(limits::REGISTRY_FRAME_BYTES));
        let mut handshake = client_with_config(request, stream, Some(config));
        loop {
            let interrupted = match handshake {
                Ok((socket, _)) => {
                    return Ok(Connection {
                        socket,
                        way,
                        round_trip,
                    });
                }
                Err(HandshakeError::Failure(error)) => return Err(refused(&error)),
                Err(HandshakeError::Interrupted(interrupted)) => interrupted,
            };
            wakeups.check(way)?;
            if Instant::now() >= deadline {
                return Err(Failure::late("not open", patience));
            }
            wakeups.wait(deadline);
            handshake = interrupted.handshake();
        }
    }

    /// Queues a text frame and writes as much as the socket takes; see [`Connection::flush`].
    pub(super) fn send(&mut self, text: String) -> Result<(), String> {
        self.write(Message::text(text))
    }

    /// Queues a ping, like [`Connection::send`].
    pub(super) fn ping(&mut self) -> Result<(), String> {
        self.write(Message::Ping(Vec::new().into()))
    }

    fn write(&mut self, message: Message) -> Result<(), String> {
        // tungstenite keeps a frame that could not be written now.
        let written = self.socket.write(message);
        unless_blocked(written).map_err(|error| describe(&error))?;
        self.flush().map(|_| ())
    }

    /// Writes what is left of earlier frames. Returns `false` when the socket does not take all of it
    /// now: nothing more should be sent before it does.
    pub(super) fn flush(&mut self) -> Result<bool, String> {
        let flushed = unless_blocked(self.socket.flush());
        Ok(flushed.map_err(|error| describe(&error))?.is_some())
    }

    /// Returns the next frame; `None` when there is none now.
    pub(super) fn receive(&mut self) -> Result<Option<Received>, Failure> {
        let message = match unless_blocked(self.socket.read()) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(None),
            // RFC 6455 (8.1) would end the connection. But the registry may have relayed this frame as
            // it came, and then any peer could cut us off. It has been read whole.
            Err(Error::Utf8(_)) => return Ok(Some(Received::Unusable("text that is not UTF-8"))),
            Err(error @ Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return Err(Failure::new(Kind::Closed, describe(&error)));
            }
            Err(error) => return Err(describe(&error).into()),
        };
        Ok(Some(match message {
            Message::Text(text) => Received::Text(text),
            Message::Binary(_) | Message::Frame(_) => Received::Unusable("a binary frame"),
            Message::Ping(_) | Message::Pong(_) => Received::SignOfLife,
            Message::Close(frame) => {
                let _ = self.socket.flush();
                return Err(match frame {
                    Some(CloseFrame { code, reason }) => {
                        let why = format!("closed by the registry ({code}, {:?})", reason.as_str());
                        let kind = match (reason.as_str(), code) {
                            (CONNECTED_AGAIN, _) => Kind::NameTaken,
                            (_, CloseCode::Away | CloseCode::Restart | CloseCode::Again) => {
                                Kind::Unreachable
                            }
                            _ => Kind::Closed,
                        };
                        Failure::new(kind, why)
                    }
                    None => Failure::new(Kind::Closed, "closed by the registry"),
                });
            }
        }))
    }

    /// Says goodbye and waits for the answer until `deadline`.
    pub(super) fn close(mut self, wakeups: &Wakeups, deadline: Instant) {
        let goodbye = CloseFrame {
            code: CloseCode::Normal,
            reason: Utf8Bytes::from_static(""),
        };
        let mut progress = unless_blocked(self.socket.close(Some(goodbye)));
        while progress.is_ok() && Instant::now() < deadline {
            let received = unless_blocked(self.socket.read());
            if let Ok(None) = received {
                wakeups.wait(deadline);
            }
            progress = received.and_then(|_| unless_blocked(self.socket.flush()));
        }
    }
}

/// Turns the error that means "not now" into `None`.
fn unless_blocked<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Io(error)) if is_blocked(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Returns the failure that a failed upgrade means.
fn refused(error: &Error) -> Failure {
    let why = describe(error);
    match error {
        Error::Http(response) => retry_after::lost(response.status(), response.headers(), why),
        _ => why.into(),
    }
}

fn describe(error: &Error) -> String {
    if let Error::Io(error) = error {
        stream::describe(error)
    } else if let Error::Http(response) = error {
        match response.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                format!("the registry refused the token ({status})")
            }
            status => format!("answered {status} in place of an upgrade to a WebSocket"),
        }
    } else if let Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) = error {
        "closed without a goodbye".to_owned()
    } else if let Error::Capacity(CapacityError::MessageTooLong { size, max_size }) = error {
        format!("a frame of {size} bytes came in, {max_size} are allowed")
    } else {
        error.to_string()
    }
}
