//! The waits of the signaling thread: for its socket, a frame to send, `stop` or a deadline.

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::runtime::wake::LoopWaker;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// The thread's own poll.
pub(super) struct Wakeups {
    poll: Poll,
    events: Events,
    waker: LoopWaker,
    stop: Receiver<()>,
}

impl Wakeups {
    /// Creates the poll. Returns also what ends each wait early: the waker, and the sender that asks
    /// the thread to stop.
    pub(super) fn new() -> io::Result<(Self, LoopWaker, Sender<()>)> {
        let poll = Poll::new()?;
        let waker = LoopWaker::new(poll.registry(), WAKER)?;
        let (stop_sender, stop) = bounded(1);
        let wakeups = Wakeups {
            poll,
            events: Events::with_capacity(8),
            waker: waker.clone(),
            stop,
        };
        Ok((wakeups, waker, stop_sender))
    }

    /// Returns whether the thread is asked to end.
    pub(super) fn stopped(&self) -> bool {
        !self.stop.is_empty()
    }

    /// Returns a channel that is ready when the thread is asked to end, for waiting on something else
    /// at the same time.
    pub(super) fn stop(&self) -> &Receiver<()> {
        &self.stop
    }

    /// Watches a socket until it is closed. The poll is edge-triggered: before each wait the socket
    /// must be read and written until it would block.
    pub(super) fn watch(&self, socket: &mut TcpStream) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(socket, SOCKET, both)
    }

    /// Waits until something may have happened, at most until `deadline`.
    pub(super) fn wait(&mut self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // This is not known to happen; without the pause it would be a busy loop.
                log::error!("signaling: waiting failed: {error}");
                std::thread::sleep(timeout.min(Duration::from_secs(1)));
            }
        }
        self.waker.clear();
    }

    /// Waits for all of `duration`. Returns `false` when the thread is asked to end.
    pub(super) fn pause(&mut self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        while !self.stopped() && Instant::now() < deadline {
            self.wait(deadline);
        }
        !self.stopped()
    }
}
