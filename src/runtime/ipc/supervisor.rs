//! The supervisor thread: accepts connections, decides which one is the agent, and watches the agent
//! and the socket file.

use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use crossbeam_channel::TryRecvError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::access::RefusedUsers;
use super::agent::Agent;
use super::bind::{self, BoundSocket};
use super::messages::{Ended, LoopEnded, LoopLink, Notice};
use super::probe::is_probe;
use super::transport::{Transport, is_hung_up};
use crate::limits;
use crate::mesh::Generation;
use crate::protocol::ipc::{ErrorCode, ErrorReport, Event, Limits};

/// A connection that is neither the agent nor refused yet.
#[derive(Debug)]
struct Guest {
    stream: UnixStream,
    /// Whether it is another sidecar that asks what we are, not an agent.
    is_probe: bool,
    /// When it is refused if the agent is still there or, once answered, dropped.
    deadline: Instant,
}

/// The thread that accepts connections, and watches the agent and the socket file.
#[derive(Debug)]
pub(super) struct Supervisor {
    limits: Limits,
    /// The listening socket; `None` without one, and when stopping.
    socket: Option<BoundSocket>,
    /// Hangs up when the sidecar is ending.
    stop: UnixStream,
    is_stopping: bool,
    link: LoopLink,
    generation: Generation,
    agent: Option<Agent>,
    /// Connections that wait for the agent to go.
    guests: Vec<Guest>,
    /// Sidecars that were told that we have no agent.
    answered: Vec<Guest>,
    /// The readers of agents, the last one's included, that may still be at work; in order.
    readers: Vec<Ended>,
    accept_from: Instant,
    refused_users: RefusedUsers,
    check_file_at: Instant,
    file_lost: bool,
}

impl Supervisor {
    pub(super) fn new(
        limits: Limits,
        socket: Option<BoundSocket>,
        stop: UnixStream,
        link: LoopLink,
    ) -> Self {
        let now = Instant::now();
        Supervisor {
            limits,
            socket,
            stop,
            is_stopping: false,
            link,
            generation: 0,
            agent: None,
            guests: Vec::new(),
            answered: Vec::new(),
            readers: Vec::new(),
            accept_from: now,
            refused_users: RefusedUsers::default(),
            check_file_at: now,
            file_lost: false,
        }
    }

    pub(super) fn spawn(self) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            socket.listener.set_nonblocking(true)?;
        }
        thread::Builder::new()
            .name("ipc-accept".to_owned())
            .spawn(move || {
                if self.run().is_err() {
                    log::debug!("the event loop has ended before the IPC socket");
                }
            })?;
        Ok(())
    }

    fn run(mut self) -> Result<(), LoopEnded> {
        loop {
            self.retire_agent();
            if is_hung_up(self.stop.as_fd()) {
                self.is_stopping = true;
                self.socket = None;
                self.guests.clear();
                self.answered.clear();
                match &mut self.agent {
                    Some(agent) => agent.stop_reading(),
                    None => return Ok(()),
                }
            }
            self.readers
                .retain(|ended| ended.try_recv() != Err(TryRecvError::Disconnected));
            self.accept();
            self.admit_guest();
            self.dismiss_guests();
            self.check_file()?;
            self.wait();
        }
    }

    /// Sleeps until something may have changed. The next turn finds out what.
    fn wait(&self) {
        if let Some(first) = self.readers.first()
            && self.is_draining()
        {
            // The readers end in order. All else can wait until the next look at the file.
            let _ = first.recv_deadline(self.check_file_at);
            return;
        }
        let now = Instant::now();
        let mut wake_at: Option<Instant> = None;
        let mut wake_by =
            |at: Instant| wake_at = Some(wake_at.map_or(at, |earlier| earlier.min(at)));
        // Hangups and errors are reported without being asked for.
        let mut watched = Vec::with_capacity(4 + limits::IPC_GUESTS);
        if let Some(agent) = &self.agent {
            let signs = agent.signs_of_its_end();
            let signs = signs.map(|sign| PollFd::from_borrowed_fd(sign, PollFlags::empty()));
            watched.extend(signs);
        }
        if !self.is_stopping {
            watched.push(PollFd::new(&self.stop, PollFlags::empty()));
        }
        if let Some(socket) = &self.socket {
            wake_by(self.check_file_at);
            if self.accept_from > now {
                wake_by(self.accept_from);
            } else {
                watched.push(PollFd::new(&socket.listener, PollFlags::IN));
            }
        }
        for guest in &self.answered {
            watched.push(PollFd::new(&guest.stream, PollFlags::empty()));
            wake_by(guest.deadline);
        }
        if self.agent.is_some() {
            self.guests.iter().for_each(|guest| wake_by(guest.deadline));
        }
        let timeout = wake_at
            .map(|at| Timespec::try_from(at.saturating_duration_since(now)).unwrap_or_default());
        if let Err(error) = poll(&mut watched, timeout.as_ref())
            && error != rustix::io::Errno::INTR
        {
            log::error!("waiting for the IPC socket: {error}");
            thread::sleep(limits::IPC_ACCEPT_PAUSE);
        }
    }

    /// Lets the agent go if it has hung up.
    fn retire_agent(&mut self) {
        if let Some(agent) = self.agent.take_if(|agent| agent.has_gone()) {
            agent.retire();
            log::debug!("agent {} has left", self.generation);
            self.check_file_at = Instant::now();
        }
    }

    /// Accepts waiting connections as guests: while there is no agent, one at a time that can become
    /// it, else all.
    fn accept(&mut self) {
        if self.is_draining() || Instant::now() < self.accept_from {
            return;
        }
        let Some(socket) = &self.socket else {
            return;
        };
        let most = match self.agent {
            Some(_) => limits::IPC_GUESTS + 1,
            None if self.guests.is_empty() => 1,
            None => 0,
        };
        for _ in 0..most {
            let (stream, address) = match socket.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The connection is gone already. Those behind it are accepted next turn.
                    let is_transient = matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::Interrupted
                            | io::ErrorKind::ConnectionAborted
                    );
                    if !is_transient {
                        log::error!("cannot accept a connection on the IPC socket: {error}");
                        self.accept_from = Instant::now() + limits::IPC_ACCEPT_PAUSE;
                    }
                    return;
                }
            };
            if !socket
                .settings
                .access
                .lets_in(&stream, &mut self.refused_users)
            {
                continue;
            }
            let guest = Guest {
                stream,
                is_probe: is_probe(&address),
                deadline: Instant::now() + socket.settings.reconnect_grace,
            };
            if self.guests.len() < limits::IPC_GUESTS {
                self.guests.push(guest);
            } else {
                refuse(guest);
            }
        }
    }

    /// Makes the first guest that wants to be the agent the agent, if there is none.
    fn admit_guest(&mut self) {
        while self.agent.is_none() && !self.is_draining() && !self.guests.is_empty() {
            let guest = self.guests.remove(0);
            if guest.is_probe {
                self.answer_probe(guest);
                continue;
            }
            let served = Transport::connection(guest.stream).and_then(|agent| self.serve(agent));
            match served {
                Ok(()) => self.let_guests_wait_anew(),
                Err(error) => log::error!("cannot serve an agent: {error}"),
            }
        }
    }

    /// Makes this the agent. To be called while there is none.
    pub(super) fn serve(&mut self, transport: Transport) -> io::Result<()> {
        self.generation += 1;
        let (agent, reader_ended) = Agent::start(
            transport,
            self.generation,
            self.limits,
            self.link.clone(),
            self.readers.last().cloned(),
        )?;
        log::debug!("agent {} has connected", self.generation);
        self.agent = Some(agent);
        self.readers.push(reader_ended);
        Ok(())
    }

    /// Gives guests their time anew, in the hope that the new agent leaves soon.
    fn let_guests_wait_anew(&mut self) {
        if let Some(socket) = &self.socket {
            let deadline = Instant::now() + socket.settings.reconnect_grace;
            let guests = self.guests.iter_mut();
            guests.for_each(|guest| guest.deadline = deadline);
        }
    }

    /// Tells a sidecar that starts on our socket that we have no agent.
    fn answer_probe(&mut self, mut guest: Guest) {
        let ready = Event::Ready {
            peer_id: None,
            fingerprint: None,
            max_message_bytes: self.limits.message_bytes,
            max_line_bytes: self.limits.line_bytes,
            registry_connected: false,
        };
        say(&guest.stream, &ready);
        guest.deadline = Instant::now() + limits::IPC_TAKEOVER_TIME;
        if self.answered.len() >= limits::IPC_GUESTS {
            self.answered.remove(0);
        }
        self.answered.push(guest);
    }

    /// Refuses guests that have waited long enough, and forgets sidecars that have had their answer.
    fn dismiss_guests(&mut self) {
        let now = Instant::now();
        if self.agent.is_some() {
            let expired = self.guests.extract_if(.., |guest| guest.deadline <= now);
            expired.for_each(refuse);
        }
        let before = self.answered.len();
        self.answered
            .retain(|guest| guest.deadline > now && !is_hung_up(guest.stream.as_fd()));
        if self.answered.len() < before {
            self.check_file_at = now;
        }
    }

    /// Checks the socket file. If it is gone or another's while there is no agent, none can find us. If it
    /// has merely vanished while the agent is connected, it is made anew, so that the agent finds us when it
    /// comes back.
    fn check_file(&mut self) -> Result<(), LoopEnded> {
        let now = Instant::now();
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        if now < self.check_file_at {
            return Ok(());
        }
        if let Some(agent) = &self.agent {
            self.check_file_at = now + socket.settings.served_file_check;
            // What an agent removes after it has left is not made anew.
            if socket.file.has_vanished() && !agent.has_gone() {
                make_file_anew(socket);
            }
            return Ok(());
        }
        self.check_file_at = now + socket.settings.file_check;
        if !self.file_lost && socket.file.is_lost() {
            self.file_lost = true;
            self.link.notify(Notice::SocketLost)?;
        }
        Ok(())
    }

    /// Returns whether so many commands of agents that are gone wait that no further agent is let in.
    fn is_draining(&self) -> bool {
        self.agent.is_none() && self.readers.len() >= limits::IPC_DRAINING
    }
}

fn make_file_anew(socket: &mut BoundSocket) {
    let path = socket.settings.socket.display();
    match bind::make_anew(&socket.file, &socket.settings.access) {
        Ok(Some(listener)) => {
            log::warn!("the IPC socket {path} had vanished; it was made anew");
            socket.listener = listener;
        }
        Ok(None) => {}
        Err(error) => log::debug!("the IPC socket {path} cannot be made anew: {error}"),
    }
}

/// Tells that another agent is connected, and closes the connection.
fn refuse(guest: Guest) {
    let busy = Event::Error {
        id: None,
        error: ErrorReport::new(
            ErrorCode::Busy,
            "another agent is connected to this sidecar: close its connection first, or start a \
             sidecar of your own on another IPC_SOCKET",
        ),
    };
    say(&guest.stream, &busy);
    // A socket closed with unread bytes is reset, which keeps some from reading the error.
    let _ = io::copy(
        &mut (&guest.stream).take(limits::IPC_WRITE_BYTES as u64),
        &mut io::sink(),
    );
}

/// Writes one event without waiting: it is the first on its socket, so there is room.
fn say(mut stream: &UnixStream, event: &Event) {
    let mut line = Vec::new();
    event.write_line(&mut line);
    if let Err(error) = stream
        .set_nonblocking(true)
        .and_then(|()| stream.write_all(&line))
    {
        log::debug!("answering on the IPC socket: {error}");
    }
}
