//! The registry's event loop: the sockets around the directory and the API, on one thread.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Receiver;
use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Events, Interest, Poll, Token};
use rustls::ServerConfig;
use tungstenite::Utf8Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

use super::actions::Action;
use super::api::{Api, Origin};
use super::connection::{AfterAnswer, Connection, Times};
use super::crowd::Crowd;
use super::data::Saver;
use super::directory::{ConnectionId, Directory, Place};
use super::frames::{self, Reaction};
use super::handles::{Change, StopHandle};
use super::limits;
use super::options::{Passing, Watch};
use super::progress::Next;
use super::relay::Relay;
use super::response::Response;
use super::shared::Shared;
use super::socket::Socket;
use super::store::Unsaved;
use crate::config::networks::Networks;
use crate::protocol::PeerId;

pub(super) const LISTENER: Token = Token(0);
pub(super) const WAKER: Token = Token(1);
pub(super) const CONTROL: Token = Token(2);
const FIRST_CONNECTION: usize = 3;

/// The registry's name in its own frames.
pub(super) const REGISTRY: &str = "registry";

/// The parts that a server is made of.
pub(super) struct Parts {
    pub(super) poll: Poll,
    /// Watched as [`LISTENER`].
    pub(super) listener: TcpListener,
    /// The control socket, watched as [`CONTROL`].
    pub(super) control: Option<UnixListener>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) api: Api,
    pub(super) saver: Option<Saver>,
    /// Files that were read again.
    pub(super) changes: Receiver<Change>,
    pub(super) max_connections: usize,
    pub(super) times: Times,
    /// Proxies whose word about their clients' addresses is taken.
    pub(super) trusted_proxies: Networks,
    /// Serves those who speak STUN.
    pub(super) relay: Option<Relay>,
    /// The store that holds the state for several registries.
    pub(super) shared: Option<Shared>,
    /// The secret of logins that follows from the state, if the owner has not given one.
    pub(super) takes_login_secret: bool,
    /// Is called for each frame that has an effect.
    pub(super) watch: Option<Watch>,
}

/// Everything that the registry's thread owns.
pub(super) struct Server {
    pub(super) parts: Parts,
    pub(super) directory: Directory,
    pub(super) connections: HashMap<ConnectionId, Connection>,
    /// Connections by the address whose request is awaited, or by the peer whose WebSocket they are; and those refused.
    pub(super) crowd: Crowd<ConnectionId>,
    next_id: usize,
    /// Connections that have more to do than one turn allowed.
    unfinished: VecDeque<ConnectionId>,
    /// When to accept again, as more connections may be waiting; the sockets report them only once.
    accept_at: Option<Instant>,
    /// No connection has a deadline before this.
    next_deadline: Option<Instant>,
    /// The state is not written before this again, but for keys and devices.
    pub(super) next_save: Instant,
}

impl Server {
    /// Makes a server without connections.
    pub(super) fn new(parts: Parts, directory: Directory, now: Instant) -> Self {
        Server {
            parts,
            directory,
            connections: HashMap::new(),
            crowd: Crowd::default(),
            next_id: FIRST_CONNECTION,
            unfinished: VecDeque::new(),
            accept_at: None,
            next_deadline: None,
            next_save: now,
        }
    }

    /// Serves until `stop` says so, then tells every peer that the registry ends. Fails when the system's event queue
    /// does, or the thread ends that talks to the store.
    pub(super) fn run(&mut self, stop: &StopHandle) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !stop.is_stopped() {
            let timeout = self.timeout(Instant::now());
            match self.parts.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            let now = Instant::now();
            while let Ok(change) = self.parts.changes.try_recv() {
                match change {
                    Change::Keys(keys) => self.parts.api.store.replace_keys(keys),
                    Change::Tls(tls) => self.parts.tls = Some(tls),
                }
            }
            self.hear_store(now)?;
            self.expire(now);
            for event in &events {
                match event.token() {
                    LISTENER | CONTROL => {
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
            self.save_soon(now);
            self.exchange(Instant::now())?;
        }
        if self.parts.api.store.unsaved() > Unsaved::Nothing {
            let _ = self.save_now();
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
        let is_unsaved = self.parts.api.store.unsaved() > Unsaved::Nothing;
        let save = (is_unsaved && self.parts.saver.is_some()).then_some(self.next_save);
        let shared = self.parts.shared.as_ref();
        let shared = shared.and_then(|shared| shared.next_timeout(now));
        [timers, self.accept_at, save, shared]
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
            self.close(id, why, now);
        }
        self.next_deadline = self.connections.values().map(Connection::deadline).min();
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..limits::ACCEPTS_PER_TURN {
            match self.accept_one(now) {
                Ok(()) => {}
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

    /// Accepts a connection on the control socket, or else on the network.
    fn accept_one(&mut self, now: Instant) -> io::Result<()> {
        if let Some(control) = &self.parts.control {
            match control.accept() {
                Ok((stream, _)) => {
                    self.welcome(stream, Origin::Owner, now, |stream, _| {
                        Ok(Socket::Local(stream))
                    });
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let (stream, address) = self.parts.listener.accept()?;
        // Nothing of a frame waits for the rest of another.
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("a connection is gone before it began: {error}");
            return Ok(());
        }
        let origin = Origin::Address(address.ip().to_canonical());
        self.welcome(stream, origin, now, Socket::new);
        Ok(())
    }

    fn welcome<S: Source + Write>(
        &mut self,
        mut stream: S,
        origin: Origin,
        now: Instant,
        socket: impl FnOnce(S, Option<&Arc<ServerConfig>>) -> Result<Socket, rustls::Error>,
    ) {
        let tls = self.parts.tls.as_ref();
        let refusal = self.no_room(origin);
        if let Some(refusal) = &refusal
            && !self.has_room_for_refused()
        {
            if tls.is_none() {
                // The connection is closed whether the refusal arrives or not.
                let _ = stream.write(&refusal.to_bytes(SystemTime::now()));
            }
            return;
        }
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        // Both interests are registered from the start: the system reports changes only, so it reports
        // writability only after the socket was full.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watched = self.parts.poll.registry();
        if let Err(error) = watched.register(&mut stream, Token(id.0), interest) {
            log::debug!("a connection is gone before it began: {error}");
            return;
        }
        let socket = match socket(stream, tls) {
            Ok(socket) => socket,
            Err(error) => return log::warn!("TLS is not usable: {error}"),
        };
        let mut connection = Connection::new(socket, origin, self.parts.times, now);
        match refusal {
            None => self.count_request(id, origin),
            Some(refusal) => {
                connection.answer(&refusal, SystemTime::now(), AfterAnswer::End, now);
                self.count_refused(id);
            }
        }
        self.connections.insert(id, connection);
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
                Next::Stun(received) => self.hand_over(id, received, now),
                Next::Frame(text) => self.frame(id, text, now),
                Next::Violation(code, reason) => self.say_goodbye(id, code, reason, now),
                Next::Blocked => break,
                Next::TurnOver => {
                    self.unfinished.push_back(id);
                    break;
                }
                Next::Closed(why) => self.close(id, why, now),
            }
        }
        self.note_deadline(id);
    }

    /// Gives a connection that speaks STUN to the relay.
    fn hand_over(&mut self, id: ConnectionId, received: Vec<u8>, now: Instant) {
        let Some(relay) = &self.parts.relay else {
            if let Some(connection) = self.connections.get_mut(&id) {
                let response = Response::error(400, "this is not HTTP/1.1");
                connection.answer(&response, SystemTime::now(), AfterAnswer::End, now);
            }
            return;
        };
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.crowd.leave(&id);
        let mut socket = connection.into_socket();
        let unwatched = self.parts.poll.registry().deregister(&mut socket);
        match unwatched.and_then(|()| socket.peer_address()) {
            Ok(address) => relay.serve(socket, address, received),
            Err(error) => log::debug!("a connection is gone before it is served: {error}"),
        }
    }

    /// Handles a text frame.
    fn frame(&mut self, id: ConnectionId, text: Utf8Bytes, now: Instant) {
        let connection = self.connections.get(&id);
        let Some(peer) = connection.and_then(Connection::peer).cloned() else {
            return;
        };
        match frames::read(&self.directory, &peer, &text) {
            Reaction::Register => self.act(Action::Register { id, peer }, now),
            Reaction::Report(report) => self.act(Action::Report { id, peer, report }, now),
            Reaction::Relay {
                kind,
                target,
                place,
            } => {
                self.show(kind, peer.as_str(), target.as_str());
                match place {
                    Place::Here(connection) => self.send(connection, text, now),
                    Place::At(registry) => self.pass_on(&registry, &target, &text),
                }
            }
            Reaction::Nothing(why) => log::trace!("a frame of {peer} has no effect: {why}"),
        }
    }

    /// Sends a frame to a peer at another registry that shares our state.
    fn pass_on(&self, registry: &str, target: &PeerId, text: &str) {
        if let Some(shared) = &self.parts.shared {
            return shared.pass_on(registry, target, text);
        }
        log::debug!(
            "{} bytes for {target} go nowhere: it is at {registry}",
            text.len()
        );
    }

    pub(super) fn show(&self, kind: &str, from: &str, to: &str) {
        if let Some(watch) = self.parts.watch {
            watch(Passing { kind, from, to });
        }
    }

    pub(super) fn send(&mut self, id: ConnectionId, text: Utf8Bytes, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id)
            && let Err(why) = connection.send(text)
        {
            self.close(id, why, now);
        }
    }

    /// Ends a WebSocket with a reason for its client.
    pub(super) fn say_goodbye(
        &mut self,
        id: ConnectionId,
        code: CloseCode,
        reason: &'static str,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let peer = connection.peer().cloned();
        connection.say_goodbye(code, reason, now);
        self.unfinished.push_back(id);
        if let Some(peer) = peer {
            log::debug!("the WebSocket of {peer} is closed: {reason}");
            self.act(Action::Left { id, peer }, now);
        }
    }

    fn close(&mut self, id: ConnectionId, why: &'static str, now: Instant) {
        self.crowd.leave(&id);
        if let Some(connection) = self.connections.remove(&id)
            && let Some(peer) = connection.peer().cloned()
        {
            log::debug!("the WebSocket of {peer} is over: {why}");
            self.act(Action::Left { id, peer }, now);
        }
    }

    /// Has a connection do what it can do, in this turn or the next.
    pub(super) fn look_at(&mut self, id: ConnectionId) {
        self.unfinished.push_back(id);
    }

    /// Takes the secret of logins to the relay that is in the state.
    pub(super) fn take_login_secret(&mut self) {
        let Some(secret) = self.parts.api.store.login_secret() else {
            return;
        };
        if self.parts.takes_login_secret && self.parts.api.login_secret() != &secret {
            self.parts.api.set_login_secret(secret.clone());
            if let Some(relay) = &self.parts.relay {
                relay.set_secret(secret);
            }
        }
    }

    /// Makes sure that the loop looks at the connection at its deadline.
    fn note_deadline(&mut self, id: ConnectionId) {
        let deadline = self.connections.get(&id).map(Connection::deadline);
        self.next_deadline = [self.next_deadline, deadline].into_iter().flatten().min();
    }
}
