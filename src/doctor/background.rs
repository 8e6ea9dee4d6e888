//! Checks in the background: each runs on a thread of its own and is awaited until a deadline, no longer.

use std::io;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};

/// A running check. Nothing ends it; the process does not wait for it.
#[derive(Debug)]
pub(super) struct Background<T>(Receiver<T>);

impl<T: Send + 'static> Background<T> {
    /// Begins the work on a thread of its own.
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

    /// Returns the result; `None` when the work has not ended by the deadline.
    pub(super) fn wait(&self, deadline: Instant) -> Option<T> {
        self.0.recv_deadline(deadline).ok()
    }
}
