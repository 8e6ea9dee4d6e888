//! Wakes the event loop from other threads, with one system call until the loop has looked; and waits to be
//! woken.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use mio::{Events, Poll};

/// Wakes the event loop. Many wakes between two looks cost one system call.
#[derive(Debug, Clone)]
pub struct LoopWaker {
    waker: Arc<mio::Waker>,
    pending: Arc<AtomicBool>,
}

impl LoopWaker {
    /// Creates a waker that makes `token` ready in the poll of `registry`.
    pub fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(LoopWaker {
            waker: Arc::new(mio::Waker::new(registry, token)?),
            pending: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Wakes the loop unless a wake is already under way. To be called after the message is in its
    /// channel.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            log::error!("cannot wake the event loop: {error}");
        }
    }

    /// Does work on a thread of its own, and wakes the loop when its answer is in `answers`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn answer<A: Send + 'static>(
        &self,
        thread: &str,
        answers: &Sender<A>,
        work: impl FnOnce() -> A + Send + 'static,
    ) -> io::Result<()> {
        let (waker, answers) = (self.clone(), answers.clone());
        let run = move || {
            // The receiver is gone when nobody waits for the answer any more.
            if answers.send(work()).is_ok() {
                waker.wake();
            }
        };
        let thread = std::thread::Builder::new().name(thread.to_owned());
        thread.spawn(run).map(|_| ())
    }

    /// Allows the next wake. The loop calls it before it drains its channels, so that messages that
    /// come in while it drains wake it again.
    pub fn clear(&self) {
        self.pending.store(false, Ordering::SeqCst);
    }
}

/// Polls once. An interruption counts as a wait that ended with nothing.
pub(crate) fn poll_once(
    poll: &mut Poll,
    events: &mut Events,
    timeout: Option<Duration>,
) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
