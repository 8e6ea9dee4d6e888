//! Checks at the same time: each on a thread of its own, waited for until a deadline and no longer.

use std::io;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};

/// A piece of work under way. Nothing ends it; the process does not wait for it.
#[derive(Debug)]
pub(super) struct Background<T>(Receiver<T>);

impl<T: Send + 'static> Background<T> {
    /// Begins.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = bounded(1);
        let thread = std::thread::Builder::new().name("doctor".to_owned());
        thread.spawn(move || {
            // The receiver is gone when nobody waits any more.
            let _ = sender.send(work());
        })?;
        Ok(Background(receiver))
    }

    /// What came of it; `None` when it has not ended by then.
    pub(super) fn wait(&self, deadline: Instant) -> Option<T> {
        self.0.recv_deadline(deadline).ok()
    }
}
