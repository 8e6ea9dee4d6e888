//! One connection of the registry: a request, its answer, and then its end or a WebSocket.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant, SystemTime};

use tungstenite::Utf8Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

use super::api::Origin;
use super::http::{Request, RequestBuffer};
use super::limits;
use super::progress::Next;
use super::response::Response;
use super::socket::Socket;
use super::websocket::WebSocket;
use crate::protocol::PeerId;

/// The highest first byte of a STUN message (RFC 7983). Requests of HTTP begin with letters.
const LAST_OF_STUN: u8 = 3;

/// The longest times of the phases of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// From the connection's start to the end of its request, and from there to the end of its answer.
    pub(super) request_timeout: Duration,
    /// Time between two pings of a WebSocket.
    pub(super) ping_interval: Duration,
    /// How long a WebSocket may be without any byte from the client.
    pub(super) silence_timeout: Duration,
}

/// The state of a connection after an answer.
pub(super) enum AfterAnswer {
    /// The connection ends.
    End,
    /// It is the WebSocket of `peer`; the bytes `received` came behind the request.
    WebSocket { peer: PeerId, received: Vec<u8> },
}

/// A connection.
pub(super) struct Connection {
    stream: Socket,
    /// The place that it comes from; once it has sent the head of a request, as seen through proxies.
    origin: Origin,
    times: Times,
    phase: Phase,
    /// When the client last sent a byte, or when the connection was accepted.
    heard: Instant,
    /// Bytes that may still be read in this turn.
    turn: usize,
    /// While what it has sent is to be dealt with before more is read: how long the body of that is, in bytes.
    held: Option<usize>,
}

enum Phase {
    Request {
        buffer: RequestBuffer,
        /// Whether to read a body that did not come with its head.
        takes_body: bool,
        deadline: Instant,
    },
    Answer {
        unsent: Vec<u8>,
        then: AfterAnswer,
        deadline: Instant,
    },
    WebSocket {
        websocket: Box<WebSocket>,
        next_ping: Instant,
    },
    /// Everything is sent. What the client still sends is read and dropped: if we closed with unread
    /// bytes, the system would reset the connection, and the client might lose our last words.
    Farewell { deadline: Instant },
}

impl Connection {
    /// Makes a connection that was accepted `now`.
    pub(super) fn new(stream: Socket, origin: Origin, times: Times, now: Instant) -> Self {
        Connection {
            stream,
            origin,
            times,
            phase: Phase::Request {
                buffer: RequestBuffer::default(),
                takes_body: false,
                deadline: now + times.request_timeout,
            },
            heard: now,
            turn: 0,
            held: None,
        }
    }

    /// Returns the place that it comes from, as far as it is known.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Sets the place that it comes from, as seen through proxies.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// Returns the bytes of an answer that wait to be taken.
    pub(super) fn unsent(&self) -> usize {
        match &self.phase {
            Phase::Answer { unsent, .. } => unsent.len(),
            Phase::Request { .. } | Phase::WebSocket { .. } | Phase::Farewell { .. } => 0,
        }
    }

    /// Returns the peer whose WebSocket this is.
    pub(super) fn peer(&self) -> Option<&PeerId> {
        match &self.phase {
            Phase::WebSocket { websocket, .. } => Some(websocket.peer()),
            Phase::Request { .. } | Phase::Answer { .. } | Phase::Farewell { .. } => None,
        }
    }

    /// Gives its socket to another that serves it.
    pub(super) fn into_socket(self) -> Socket {
        self.stream
    }

    /// Has nothing read until it is released: a request with a body of so many bytes waits.
    pub(super) fn hold(&mut self, body_bytes: usize) {
        self.held = Some(body_bytes);
    }

    /// Has it read again.
    pub(super) fn release(&mut self) {
        self.held = None;
    }

    /// Begins a turn, in which up to [`limits::TURN_BYTES`] are read.
    pub(super) fn begin_turn(&mut self) {
        self.turn = limits::TURN_BYTES;
    }

    /// Writes what waits, reads what is there, and returns what happened next.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        if self.held.is_some() {
            return Next::Blocked;
        }
        let before = self.turn;
        let step = self.step(now);
        if self.turn < before {
            self.heard = now;
        }
        match step {
            Ok(next) => next,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                Next::Closed("the connection failed")
            }
            Err(_) if self.turn == 0 => Next::TurnOver,
            Err(_) => Next::Blocked,
        }
    }

    fn step(&mut self, now: Instant) -> io::Result<Next> {
        loop {
            let mut socket = Turn {
                stream: &mut self.stream,
                left: &mut self.turn,
            };
            match &mut self.phase {
                Phase::Request {
                    buffer, takes_body, ..
                } => return read_request(buffer, *takes_body, &mut socket),
                Phase::Answer { unsent, .. } => {
                    write_all(unsent, &mut socket)?;
                    self.end_answer(now);
                }
                Phase::WebSocket { websocket, .. } => return websocket.next(&mut socket),
                Phase::Farewell { .. } => return discard(&mut socket),
            }
        }
    }

    /// Returns the head of a request whose body is still on its way, and the length of that body in bytes.
    pub(super) fn head(&self) -> Option<(&Request, usize)> {
        match &self.phase {
            Phase::Request { buffer, .. } => buffer.head(),
            Phase::Answer { .. } | Phase::WebSocket { .. } | Phase::Farewell { .. } => None,
        }
    }

    /// Has the request's body read to its end.
    pub(super) fn take_body(&mut self) {
        if let Phase::Request { takes_body, .. } = &mut self.phase {
            *takes_body = true;
        }
    }

    /// Returns the length of the body that is being read or waits, in bytes; 0 when there is none.
    pub(super) fn body_length(&self) -> usize {
        let read = match &self.phase {
            Phase::Request {
                buffer,
                takes_body: true,
                ..
            } => buffer.head().map_or(0, |(_, length)| length),
            _ => 0,
        };
        self.held.unwrap_or(read)
    }

    /// Sets the answer to the request. The caller goes on with [`Connection::next`], which writes it.
    pub(super) fn answer(
        &mut self,
        response: &Response,
        date: SystemTime,
        then: AfterAnswer,
        now: Instant,
    ) {
        self.phase = Phase::Answer {
            unsent: response.to_bytes(date),
            then,
            deadline: now + self.times.request_timeout,
        };
    }

    fn end_answer(&mut self, now: Instant) {
        let farewell = Phase::Farewell {
            deadline: now + limits::FAREWELL,
        };
        if let Phase::Answer {
            then: AfterAnswer::WebSocket { peer, received },
            ..
        } = std::mem::replace(&mut self.phase, farewell)
        {
            self.phase = Phase::WebSocket {
                websocket: Box::new(WebSocket::new(peer, received)),
                next_ping: now + self.times.ping_interval,
            };
        } else {
            self.end_writing();
        }
    }

    /// Sends a text frame, or as much of it as the socket takes. An error says why the connection has to
    /// end: its queue is full, or it failed.
    pub(super) fn send(&mut self, text: Utf8Bytes) -> Result<(), &'static str> {
        match &mut self.phase {
            Phase::WebSocket { websocket, .. } => websocket.send(&mut self.stream, text),
            Phase::Request { .. } | Phase::Answer { .. } | Phase::Farewell { .. } => Ok(()),
        }
    }

    /// Ends a WebSocket with a close frame.
    pub(super) fn say_goodbye(&mut self, code: CloseCode, reason: &'static str, now: Instant) {
        if let Phase::WebSocket { websocket, .. } = &mut self.phase {
            websocket.close(&mut self.stream, code, reason);
            self.phase = Phase::Farewell {
                deadline: now + limits::FAREWELL,
            };
            self.end_writing();
        }
    }

    fn end_writing(&mut self) {
        if let Err(error) = self.stream.end_writing() {
            log::trace!("a client was gone before the end: {error}");
        }
    }

    /// Returns when [`Connection::expire`] has something to do.
    pub(super) fn deadline(&self) -> Instant {
        match &self.phase {
            Phase::Request { deadline, .. }
            | Phase::Answer { deadline, .. }
            | Phase::Farewell { deadline } => *deadline,
            Phase::WebSocket { next_ping, .. } => {
                (*next_ping).min(self.heard + self.times.silence_timeout)
            }
        }
    }

    /// Does what a passed deadline asks for. An error says why the connection has to end.
    pub(super) fn expire(&mut self, date: SystemTime, now: Instant) -> Result<(), &'static str> {
        if now < self.deadline() {
            return Ok(());
        }
        match &mut self.phase {
            // It has come, and waits for its answer.
            Phase::Request { deadline, .. } if self.held.is_some() => {
                *deadline = now + self.times.request_timeout;
                Ok(())
            }
            Phase::Request { buffer, .. } if !buffer.is_empty() => {
                let response = Response::error(408, "the request did not come to its end");
                self.answer(&response, date, AfterAnswer::End, now);
                Ok(())
            }
            Phase::Request { .. } => Err("it sent no request"),
            Phase::Answer { .. } => Err("it did not take its answer"),
            Phase::Farewell { .. } => Err("it did not end by itself"),
            Phase::WebSocket { .. } if self.heard + self.times.silence_timeout <= now => {
                Err("it was silent for too long")
            }
            Phase::WebSocket {
                websocket,
                next_ping,
            } => {
                *next_ping = now + self.times.ping_interval;
                websocket.ping(&mut self.stream)
            }
        }
    }
}

/// The socket during one turn: once the turn's bytes are read, reading fails with `WouldBlock`.
struct Turn<'a> {
    stream: &'a mut Socket,
    left: &'a mut usize,
}

impl Read for Turn<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if *self.left == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.stream.read(buffer)?;
        *self.left = self.left.saturating_sub(count);
        Ok(count)
    }
}

impl Write for Turn<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn read_request(
    buffer: &mut RequestBuffer,
    takes_body: bool,
    socket: &mut Turn<'_>,
) -> io::Result<Next> {
    let mut chunk = [0; 4096];
    loop {
        if buffer.head().is_some() && !takes_body {
            return Ok(Next::Head);
        }
        let count = socket.read(&mut chunk)?;
        if count == 0 {
            return Ok(Next::Closed("it ended before its request did"));
        }
        let bytes = chunk.get(..count).unwrap_or_default();
        if buffer.is_empty() && bytes.first().is_some_and(|first| *first <= LAST_OF_STUN) {
            return Ok(Next::Stun(bytes.to_vec()));
        }
        match buffer.push(bytes) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(Next::Request(request)),
            Err(refusal) => return Ok(Next::NoRequest(refusal.into())),
        }
    }
}

fn write_all(unsent: &mut Vec<u8>, socket: &mut Turn<'_>) -> io::Result<()> {
    while !unsent.is_empty() {
        let count = socket.write(unsent)?;
        unsent.drain(..count);
    }
    // TLS may hold some of it.
    socket.flush()
}

fn discard(socket: &mut Turn<'_>) -> io::Result<Next> {
    let mut chunk = [0; 4096];
    while socket.read(&mut chunk)? > 0 {}
    Ok(Next::Closed("it is done"))
}
