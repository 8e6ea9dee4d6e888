//! Wakes the event loop from other threads, with one system call until the loop has looked; and waits to be
//! woken.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use mio::{Events, Poll};

/// Wakes the event loop. Many wakes between two looks cost one system call, and none while it is awake.
#[derive(Debug, Clone)]
pub struct LoopWaker {
    waker: Arc<mio::Waker>,
    flags: Arc<Flags>,
}

#[derive(Debug, Default)]
struct Flags {
    /// Whether something was sent since the loop looked last.
    pending: AtomicBool,
    /// Whether the loop looks by itself before it sleeps.
    awake: AtomicBool,
}

impl LoopWaker {
    /// Creates a waker that makes `token` ready in the poll of `registry`.
    pub fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(LoopWaker {
            waker: Arc::new(mio::Waker::new(registry, token)?),
            flags: Arc::default(),
        })
    }

    /// Wakes the loop unless it is awake, or a wake is under way. To be called after the message is in its
    /// channel.
    pub fn wake(&self) {
        // In `sleep` the loop first writes `awake` and then reads `pending`. So at least one of both sees what
        // the other has written.
        if !self.flags.pending.swap(true, Ordering::SeqCst)
            && !self.flags.awake.load(Ordering::SeqCst)
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

    /// Takes the wakes until now, and returns whether there were any. The loop calls it before it drains its
    /// channels, so that messages that come in while it drains wake it again.
    pub fn clear(&self) -> bool {
        self.flags.pending.swap(false, Ordering::SeqCst)
    }

    /// Returns whether there were wakes that were not taken.
    pub(crate) fn is_pending(&self) -> bool {
        self.flags.pending.load(Ordering::SeqCst)
    }

    /// Polls once, for no longer than `timeout`, and not at all if there were wakes. From here on nobody
    /// wakes the loop but while it is in here, so all its waits have to be of this kind.
    pub(crate) fn sleep(
        &self,
        poll: &mut Poll,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.flags.awake.store(false, Ordering::SeqCst);
        let timeout = match self.is_pending() {
            true => Some(Duration::ZERO),
            false => timeout,
        };
        let polled = poll_once(poll, events, timeout);
        self.flags.awake.store(true, Ordering::SeqCst);
        polled
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_is_awake_is_not_woken_and_does_not_sleep_before_it_has_looked() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(1);
        let waker = LoopWaker::new(poll.registry(), mio::Token(0)).unwrap();
        let mut sleep = |timeout| {
            waker.sleep(&mut poll, &mut events, timeout).unwrap();
            !events.is_empty()
        };
        waker.wake();
        assert!(sleep(None), "the first wake is one of a loop that sleeps");
        assert!(waker.clear());
        // It is awake from here on.
        waker.wake();
        assert!(waker.is_pending());
        assert!(!sleep(None), "it returns at once, and nothing has woken it");
        assert!(waker.clear() && !waker.clear());
        assert!(!sleep(Some(Duration::from_millis(1))));
    }

    #[test]
    fn no_wake_is_lost_between_being_awake_and_asleep() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(1);
        let waker = LoopWaker::new(poll.registry(), mio::Token(0)).unwrap();
        let (sender, receiver) = crossbeam_channel::bounded(0);
        let waking = waker.clone();
        let other = std::thread::spawn(move || {
            // Each wake comes after the one before was taken, at about the time of the next sleep.
            while receiver.recv().is_ok() {
                waking.wake();
            }
        });
        for _ in 0..2000 {
            sender.send(()).unwrap();
            while !waker.clear() {
                let longest = Some(Duration::from_secs(20));
                let began = std::time::Instant::now();
                waker.sleep(&mut poll, &mut events, longest).unwrap();
                assert!(began.elapsed() < Duration::from_secs(10), "a wake is lost");
            }
        }
        drop(sender);
        other.join().unwrap();
    }
}
