//! The registry's event loop: the sockets around the directory and the API, on one thread.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Receiver;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tungstenite::Utf8Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::protocol::signaling::CONNECTED_AGAIN;

use super::api::{Api, Outcome};
use super::connection::{AfterAnswer, Connection, Times};
use super::directory::{ConnectionId, Directory, Reaction};
use super::http::{Request, Response};
use super::keys::Keys;
use super::progress::Next;
use super::{Passing, StopHandle, Watch, limits};

pub(super) const LISTENER: Token = Token(0);
pub(super) const WAKER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// The registry's name in its own frames.
const REGISTRY: &str = "registry";

/// Everything that the registry's thread owns.
pub(super) struct Server {
    pub(super) poll: Poll,
    pub(super) listener: TcpListener,
    api: Api,
    /// Keys that take the place of those in use.
    new_keys: Receiver<Keys>,
    directory: Directory,
    connections: HashMap<ConnectionId, Connection>,
    max_connections: usize,
    times: Times,
    /// Is called for each frame that has an effect.
    watch: Option<Watch>,
    next_id: usize,
    /// Connections that have more to do than one turn allowed.
    unfinished: VecDeque<ConnectionId>,
    /// When to accept again, as more connections may be waiting; the socket reports them only once.
    accept_at: Option<Instant>,
    /// No connection has a deadline before this.
    next_deadline: Option<Instant>,
}

impl Server {
    /// Makes a server without connections. `poll` watches `listener` as [`LISTENER`].
    pub(super) fn new(
        poll: Poll,
        listener: TcpListener,
        api: Api,
        new_keys: Receiver<Keys>,
        max_connections: usize,
        times: Times,
        watch: Option<Watch>,
    ) -> Self {
        Server {
            poll,
            listener,
            api,
            new_keys,
            directory: Directory::default(),
            connections: HashMap::new(),
            max_connections,
            times,
            watch,
            next_id: FIRST_CONNECTION,
            unfinished: VecDeque::new(),
            accept_at: None,
            next_deadline: None,
        }
    }

    /// Serves until `stop` says so, then tells every peer that the registry ends.
    pub(super) fn run(&mut self, stop: &StopHandle) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !stop.is_stopped() {
            let timeout = self.timeout(Instant::now());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            let now = Instant::now();
            while let Ok(keys) = self.new_keys.try_recv() {
                self.api.replace_keys(keys);
            }
            self.expire(now);
            for event in &events {
                match event.token() {
                    LISTENER => {
                        self.accept_at.get_or_insert(now);
                    }
                    WAKER => {}
                    Token(id) => self.take_turn(ConnectionId(id), now),
                }
            }
            for _ in 0..self.unfinished.len() {
                if let Some(id) = self.unfinished.pop_front() {
                    self.take_turn(id, now);
                }
            }
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept(now);
            }
        }
        for connection in self.connections.values_mut() {
            connection.say_goodbye(CloseCode::Away, "the registry ends", Instant::now());
        }
        Ok(())
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let timers = self
            .next_deadline
            .map(|deadline| deadline.max(now) + limits::TIMER_GRAIN);
        [timers, self.accept_at]
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.saturating_duration_since(now))
    }

    /// Handles the deadlines of all connections when one is due.
    fn expire(&mut self, now: Instant) {
        if self.next_deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        let date = SystemTime::now();
        let mut over = Vec::new();
        for (id, connection) in &mut self.connections {
            if connection.deadline() <= now {
                match connection.expire(date, now) {
                    Ok(()) => self.unfinished.push_back(*id),
                    Err(why) => over.push((*id, why)),
                }
            }
        }
        for (id, why) in over {
            self.close(id, why);
        }
        self.next_deadline = self.connections.values().map(Connection::deadline).min();
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..limits::ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, _)) => self.welcome(stream, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.accept_at = None;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    log::warn!("the registry cannot accept a connection: {error}");
                    self.accept_at = Some(now + limits::ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, mut stream: TcpStream, now: Instant) {
        if self.connections.len() >= self.max_connections {
            log::debug!("a connection is refused: {} are open", self.max_connections);
            let refusal = Response::error(503, "too many connections; try again later");
            // The connection is closed whether the refusal arrives or not.
            let _ = stream.write(&refusal.to_bytes(SystemTime::now()));
            return;
        }
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        // Both interests are registered from the start: the system reports changes only, so it reports
        // writability only after the socket was full.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watched = stream.set_nodelay(true).and_then(|()| {
            self.poll
                .registry()
                .register(&mut stream, Token(id.0), interest)
        });
        if let Err(error) = watched {
            log::debug!("a connection is gone before it began: {error}");
            return;
        }
        self.connections
            .insert(id, Connection::new(stream, self.times, now));
        self.note_deadline(id);
    }

    /// Lets a connection do what it can do now, up to its share of a turn.
    fn take_turn(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.begin_turn();
        }
        while let Some(connection) = self.connections.get_mut(&id) {
            match connection.next(now) {
                Next::Head => self.let_in(id, now),
                Next::Request(request) => self.answer(id, request, now),
                Next::NoRequest(response) => {
                    connection.answer(&response, SystemTime::now(), AfterAnswer::End, now);
                }
                Next::Frame(text) => self.frame(id, text, now),
                Next::Violation(code, reason) => self.say_goodbye(id, code, reason, now),
                Next::Blocked => break,
                Next::TurnOver => {
                    self.unfinished.push_back(id);
                    break;
                }
                Next::Closed(why) => self.close(id, why),
            }
        }
        self.note_deadline(id);
    }

    /// Has the body of a request read if the answer needs it and there is room; answers it otherwise.
    fn let_in(&mut self, id: ConnectionId, now: Instant) {
        let bodies: usize = self.connections.values().map(Connection::body_length).sum();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some((head, length)) = connection.head() else {
            return;
        };
        let online = self.directory.len();
        let answer = self.api.answer_without_body(head, online, now);
        let is_full = bodies + length > limits::BODIES_BYTES;
        let answer = answer.or_else(|| is_full.then(too_many_bodies));
        match answer {
            Some(answer) => connection.answer(&answer, SystemTime::now(), AfterAnswer::End, now),
            None => connection.take_body(),
        }
    }

    fn answer(&mut self, id: ConnectionId, request: Request, now: Instant) {
        let outcome = self.api.answer(&request, self.directory.len(), now);
        let (response, then) = match outcome {
            Outcome::Answer(response) => (response, AfterAnswer::End),
            Outcome::WebSocket(response, peer) => {
                log::debug!("{peer} has opened a WebSocket");
                let received = request.rest;
                (response, AfterAnswer::WebSocket { peer, received })
            }
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.answer(&response, SystemTime::now(), then, now);
        }
    }

    /// Handles a text frame.
    fn frame(&mut self, id: ConnectionId, text: Utf8Bytes, now: Instant) {
        let connection = self.connections.get(&id);
        let Some(peer) = connection.and_then(Connection::peer).cloned() else {
            return;
        };
        match self.directory.frame(id, &peer, &text) {
            Reaction::Registered {
                peer_list,
                replaced,
            } => {
                self.show("register", peer.as_str(), REGISTRY);
                self.show("peer_list", REGISTRY, peer.as_str());
                self.send(id, peer_list.into());
                if let Some(replaced) = replaced {
                    self.say_goodbye(replaced, CloseCode::Policy, CONNECTED_AGAIN, now);
                }
            }
            Reaction::Relay {
                kind,
                target,
                connection,
            } => {
                self.show(kind, peer.as_str(), target.as_str());
                self.send(connection, text);
            }
            Reaction::Nothing(why) => log::trace!("a frame of {peer} has no effect: {why}"),
        }
    }

    fn show(&self, kind: &str, from: &str, to: &str) {
        if let Some(watch) = self.watch {
            watch(Passing { kind, from, to });
        }
    }

    fn send(&mut self, id: ConnectionId, text: Utf8Bytes) {
        if let Some(connection) = self.connections.get_mut(&id)
            && let Err(why) = connection.send(text)
        {
            self.close(id, why);
        }
    }

    /// Ends a WebSocket with a reason for its client.
    fn say_goodbye(
        &mut self,
        id: ConnectionId,
        code: CloseCode,
        reason: &'static str,
        now: Instant,
    ) {
        if let Some(connection) = self.connections.get_mut(&id) {
            if let Some(peer) = connection.peer() {
                log::debug!("the WebSocket of {peer} is closed: {reason}");
                self.directory.closed(id, peer);
            }
            connection.say_goodbye(code, reason, now);
            self.unfinished.push_back(id);
        }
    }

    fn close(&mut self, id: ConnectionId, why: &'static str) {
        if let Some(connection) = self.connections.remove(&id)
            && let Some(peer) = connection.peer()
        {
            log::debug!("the WebSocket of {peer} is over: {why}");
            self.directory.closed(id, peer);
        }
    }

    /// Makes sure that the loop looks at the connection at its deadline.
    fn note_deadline(&mut self, id: ConnectionId) {
        let deadline = self.connections.get(&id).map(Connection::deadline);
        self.next_deadline = [self.next_deadline, deadline].into_iter().flatten().min();
    }
}

fn too_many_bodies() -> Response {
    let text = "too many requests are on their way; try again later";
    Response::error(503, text).with("Retry-After", "1")
}
