//! The waits of the signaling thread: for its sockets, a frame to send, news of the network, `stop` or a
//! deadline.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::failure::{Failure, Kind};
use super::news::News;
use super::way::Way;
use crate::runtime::wake::{LoopWaker, poll_once};

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// The function that lists the addresses of this machine.
pub type LocalAddresses = fn() -> io::Result<Vec<IpAddr>>;

/// The thread's own poll. Clones share it, and only one thread uses them.
#[derive(Clone)]
pub(super) struct Wakeups(Arc<Shared>);

struct Shared {
    /// It is never waited for. It is there because the HTTP client wants a connection that threads could
    /// share.
    poll: Mutex<(Poll, Events)>,
    registry: Registry,
    waker: LoopWaker,
    stop: Receiver<()>,
    news: Arc<News>,
    addresses: LocalAddresses,
}

/// The event loop's end: it ends each wait early.
pub(super) struct Control {
    waker: LoopWaker,
    stop: Sender<()>,
    news: Arc<News>,
}

impl Control {
    /// Ends the present wait, or else the next.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Asks the thread to end.
    pub(super) fn stop(&self) {
        // If the channel is full, the thread has been asked before.
        let _ = self.stop.try_send(());
        self.wake();
    }

    /// Tells the thread something of the network.
    pub(super) fn tell(&self, note: impl FnOnce(&News)) {
        note(&self.news);
        self.wake();
    }
}

impl Wakeups {
    /// Creates the poll, and what ends its waits.
    pub(super) fn new(addresses: LocalAddresses) -> io::Result<(Self, Control)> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = LoopWaker::new(&registry, WAKER)?;
        let (stop_sender, stop) = bounded(1);
        let news = Arc::new(News::default());
        let control = Control {
            waker: waker.clone(),
            stop: stop_sender,
            news: Arc::clone(&news),
        };
        let shared = Shared {
            poll: Mutex::new((poll, Events::with_capacity(8))),
            registry,
            waker,
            stop,
            news,
            addresses,
        };
        Ok((Wakeups(Arc::new(shared)), control))
    }

    /// Returns whether the thread is asked to end.
    pub(super) fn stopped(&self) -> bool {
        !self.0.stop.is_empty()
    }

    /// Returns a channel that is ready when the thread is asked to end, for waiting on something else
    /// at the same time.
    pub(super) fn stop(&self) -> &Receiver<()> {
        &self.0.stop
    }

    /// Returns a waker for other threads whose answers are waited for.
    pub(super) fn waker(&self) -> &LoopWaker {
        &self.0.waker
    }

    /// Returns the news that nobody has taken yet.
    pub(super) fn news(&self) -> &News {
        &self.0.news
    }

    /// Watches a socket until it is closed. The poll is edge-triggered: before each wait the socket
    /// must be read and written until it would block.
    pub(super) fn watch(&self, socket: &mut TcpStream) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.0.registry.register(socket, SOCKET, both)
    }

    /// Waits until something may have happened, at most until `deadline`.
    pub(super) fn wait(&self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let mut poll = self.0.poll.lock().unwrap_or_else(PoisonError::into_inner);
        let (poll, events) = &mut *poll;
        if let Err(error) = poll_once(poll, events, Some(timeout)) {
            // This is not known to happen; without the pause it would be a busy loop.
            log::error!("signaling: waiting failed: {error}");
            std::thread::sleep(timeout.min(Duration::from_secs(1)));
        }
        self.0.waker.clear();
    }

    /// Fails if what a connection is doing is to be cut short: because of the news, which are taken, or
    /// because the thread is asked to end.
    pub(super) fn check(&self, way: Way) -> Result<(), Failure> {
        self.check_stop()?;
        self.check_news(way).map(|_| ())
    }

    /// Fails if the thread is asked to end.
    pub(super) fn check_stop(&self) -> Result<(), Failure> {
        match self.stopped() {
            true => Err(Failure::new(Kind::PathLost, "asked to stop")),
            false => Ok(()),
        }
    }

    /// Takes the news of changes. Fails if a connection is lost by them, and returns whether there was a
    /// change that it may have survived.
    pub(super) fn check_news(&self, way: Way) -> Result<bool, Failure> {
        let lost = |why: String| Err(Failure::new(Kind::PathLost, why));
        if self.news().take_slept() {
            return lost("the machine has slept".to_owned());
        }
        if self.news().take_moved() {
            return lost("our address outside has changed".to_owned());
        }
        if !self.news().take_changed() {
            return Ok(false);
        }
        let from = way.local;
        if self.addresses().is_some_and(|found| !found.contains(&from)) {
            return lost(format!("our address {from} is gone"));
        }
        match way.rerouted() {
            Some(chosen) => lost(format!(
                "the way there begins at {chosen} now, not at {from}"
            )),
            None => Ok(true),
        }
    }

    /// Returns the addresses of this machine on interfaces that are up; `None` if the system does not list
    /// them.
    pub(super) fn addresses(&self) -> Option<Vec<IpAddr>> {
        let found = (self.0.addresses)();
        let found = found.inspect_err(|error| {
            log::debug!("signaling: cannot list the network interfaces: {error}");
        });
        found.ok()
    }
}
