//! The waits of the signaling thread: for its sockets, a frame to send, news of the network, `stop` or a
//! deadline.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::lost::{Lost, Way};
use super::news::News;
use crate::runtime::wake::LoopWaker;

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

/// What ends each wait early.
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
    pub(super) fn waker(&self) -> LoopWaker {
        self.0.waker.clone()
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
        match poll.poll(events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // This is not known to happen; without the pause it would be a busy loop.
                log::error!("signaling: waiting failed: {error}");
                std::thread::sleep(timeout.min(Duration::from_secs(1)));
            }
        }
        self.0.waker.clear();
    }

    /// Fails if what a connection is doing is to be cut short: because of the news, which are taken, or
    /// because the thread is asked to end.
    pub(super) fn check(&self, way: Way) -> Result<(), Lost> {
        if self.stopped() {
            return Err(Lost::Path("asked to stop".to_owned()));
        }
        self.check_news(way).map(|_| ())
    }

    /// Takes the news of changes. Fails if a connection is lost by them, and returns whether there was a
    /// change that it may have survived.
    pub(super) fn check_news(&self, way: Way) -> Result<bool, Lost> {
        if self.news().take_slept() {
            return Err(Lost::Path("the machine has slept".to_owned()));
        }
        if self.news().take_moved() {
            return Err(Lost::Path("our address outside has changed".to_owned()));
        }
        let has_changed = self.news().take_changed();
        if has_changed && self.is_gone(way.local) {
            return Err(Lost::Path(format!("our address {} is gone", way.local)));
        }
        if has_changed && let Some(chosen) = way.rerouted() {
            let from = way.local;
            return Err(Lost::Path(format!(
                "the way there begins at {chosen} now, not at {from}"
            )));
        }
        Ok(has_changed)
    }

    /// Returns whether this machine no longer has this address on an interface that is up.
    pub(super) fn is_gone(&self, local: IpAddr) -> bool {
        match (self.0.addresses)() {
            Ok(addresses) => !addresses.contains(&local),
            Err(error) => {
                log::debug!("signaling: cannot list the network interfaces: {error}");
                false
            }
        }
    }
}
